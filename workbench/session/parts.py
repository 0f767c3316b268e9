"""A file of many parts, written in one go and mapped copy-on-write; `session.pandas_frames` keeps a frame in one.

The parts are raw arrays and Arrow IPC streams (the Arrow columnar format, version 1), each at a multiple of 64 bytes so that
processors can load whole vectors from a mapped one. A JSON description of what they make up follows, and its length.
"""

from __future__ import annotations

import json
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.data.frames import MAPPED

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Parts", "PartsWriter", "Spec", "open_parts", "write_raw"]

ALIGNMENT = 64
LENGTH = 8

Spec = dict[str, Any]


def write_raw(values: np.ndarray[Any, Any], stream: IO[bytes]) -> Literal["C", "F"]:
    """Writes an array's memory, not a copy of it, and returns its order; where it lies apart, one row after the other."""
    by_columns = values.flags.f_contiguous and not values.flags.c_contiguous
    laid = values.T if by_columns else values
    for piece in [laid] if laid.flags.c_contiguous or laid.ndim == 1 else laid:
        stream.write(np.ascontiguousarray(piece).view(np.uint8).reshape(-1).data)
    return "F" if by_columns else "C"


@dataclass(frozen=True, slots=True)
class PartsWriter:
    """Appends parts to a stream; each is described by a `Spec`, from which `Parts` reads it."""

    stream: IO[bytes]

    def array(self, values: np.ndarray[Any, Any]) -> Spec:
        """Writes an array of numbers, dates or truth values as it lies in memory."""
        at, order = self._align(), write_raw(values, self.stream)
        return {"at": at, "dtype": values.dtype.str, "shape": values.shape, "order": order}

    def arrow(self, values: pa.Array | pa.ChunkedArray) -> Spec:
        """Writes a column as an Arrow IPC stream."""
        import pyarrow as pa

        at, table = self._align(), pa.table({"": values})
        with pa.ipc.new_stream(pa.PythonFile(self.stream, mode="w"), table.schema) as writer:
            writer.write_table(table)
        return {"at": at}

    def finish(self, description: Spec) -> None:
        """Writes what the parts make up.

        Raises:
            TypeError: the description holds what is no JSON.
        """
        text = json.dumps(description).encode()
        self.stream.write(text + len(text).to_bytes(LENGTH, "little"))

    def _align(self) -> int:
        self.stream.write(bytes(-self.stream.tell() % ALIGNMENT))
        return self.stream.tell()


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a mapped file. Arrays can be written to: a page that is, becomes this process's own."""

    buffer: bytearray | mmap.mmap

    @property
    def description(self) -> Spec:
        """What the parts make up."""
        end = len(self.buffer) - LENGTH
        described: Spec = json.loads(self.buffer[end - int.from_bytes(self.buffer[end:], "little") : end])
        return described

    def array(self, spec: Spec) -> np.ndarray[Any, Any]:
        """An array in the file, without a copy."""
        return np.ndarray(spec["shape"], np.dtype(spec["dtype"]), buffer=self.buffer, offset=spec["at"], order=spec["order"])

    def arrow(self, spec: Spec) -> pa.ChunkedArray:
        """A column in the file, without a copy."""
        import pyarrow as pa

        return pa.ipc.open_stream(pa.py_buffer(self.buffer)[spec["at"] :]).read_all().column(0)


def open_parts(path: Path) -> Parts:
    """Maps a file that `PartsWriter` wrote; one below `data.frames.MAPPED` bytes is read, as a mapping holds a descriptor."""
    if path.stat().st_size < MAPPED:
        return Parts(bytearray(path.read_bytes()))
    with path.open("rb") as stream:
        return Parts(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY))
