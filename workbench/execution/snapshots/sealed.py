"""The file of one snapshot: header, pickle, memory and an HMAC over all of it. Called by `snapshots.folder`.

Layout: the magic bytes; the header's length (64 bits, little-endian), the header as JSON, and its HMAC-SHA256 (RFC 2104); the
pickle; the regions of memory that it refers to, each on a multiple of 64 bytes; the index of regions as JSON, and its length;
the HMAC of everything before.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import PickleBuffer
from typing import IO, Any

from workbench.errors import BadInput, NotFound

__all__ = ["HoldsSecretError", "Inspection", "Refused", "Sealed", "Sink", "open_sealed", "peek", "sealing"]

Inspection = Callable[[bytes], str | None]
"""Says which secret some bytes hold, by name, or None."""

MAGIC = b"wb-snap1"
ALIGNED, WINDOW, OVERLAP = 64, 1 << 20, 1 << 16
_LENGTH, _MAC = 8, 32
_LONGEST_HEADER = 1 << 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Something that no snapshot can carry: the name in the notebook, its type, and why."""

    name: str
    type: str
    why: str


class HoldsSecretError(Exception):
    """The bytes to be stored hold a secret, whose name is the message."""


class Sink:
    """Where a snapshot's bytes go: each is authenticated, searched for secrets in overlapping windows, and written."""

    def __init__(self, stream: IO[bytes], key: bytes, inspection: Inspection | None) -> None:
        self._stream, self._key, self._inspection = stream, key, inspection
        self._mac = hmac.new(key, digestmod=hashlib.sha256)
        self._pending = bytearray()
        self.size = 0

    def write(self, data: bytes | memoryview | PickleBuffer) -> int:
        """Takes bytes of any kind, without a copy of all of them; what a pickler calls.

        Raises:
            HoldsSecretError: a secret was found.
        """
        view = memoryview(data).cast("B")
        for start in range(0, view.nbytes, WINDOW):  # while a window is in the processor's cache, all is done with it
            window = view[start : start + WINDOW]
            self._mac.update(window)
            self._stream.write(window)
            if self._inspection is not None:
                self._pending += window
                if len(self._pending) >= WINDOW:
                    self.inspect()
        self.size += view.nbytes
        return view.nbytes

    def inspect(self) -> None:
        """Searches what was written since the last search, and enough before it that no secret is cut in two."""
        name = self._inspection(bytes(self._pending)) if self._inspection is not None else None
        if name is not None:
            raise HoldsSecretError(name)
        del self._pending[:-OVERLAP]

    def header(self, content: Mapping[str, Any]) -> None:
        """Writes the part that `peek` reads, with an HMAC of its own."""
        header = json.dumps(content).encode()
        self.write(MAGIC + len(header).to_bytes(_LENGTH, "little") + header + hmac.digest(self._key, header, "sha256"))

    def memory(self, buffers: Sequence[PickleBuffer]) -> None:
        """Writes the buffers of a pickle, once where they share memory, and where each lies."""
        places = [(0, 0)] * len(buffers)
        begun = ended = written = 0  # addresses: where this region begins and ends; and where it lies in the file
        for address, position in sorted((_address(buffer), position) for position, buffer in enumerate(buffers)):
            view = buffers[position].raw()
            if address >= ended:
                self.write(bytes(-self.size % ALIGNED))
                begun, ended, written = address, address, self.size
            if address + view.nbytes > ended:
                self.write(view[ended - address :])
                ended = address + view.nbytes
            places[position] = (written + address - begun, view.nbytes)
        index = json.dumps(places).encode()
        self.write(index)
        self.write(len(index).to_bytes(_LENGTH, "little"))

    def seal(self) -> None:
        """Ends the file, after a last search."""
        self.inspect()
        self._stream.write(self._mac.digest())


def _address(buffer: PickleBuffer) -> int:
    import numpy as np  # what makes such buffers has loaded it

    address: int = np.frombuffer(buffer.raw(), dtype=np.uint8).__array_interface__["data"][0]
    return address


@contextmanager
def sealing(target: Path, key: bytes, inspection: Inspection | None) -> Iterator[Sink]:
    """A sink whose bytes become the file `target` at the end, in one step and for good, or not at all.

    Raises:
        HoldsSecretError: a secret was found; nothing is left.
        OSError: the file system is full; nothing is left.
    """
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".writing-")  # readable by its owner alone
    try:
        with os.fdopen(handle, "wb") as stream:
            sink = Sink(stream, key, inspection)
            yield sink
            sink.seal()
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A snapshot whose HMAC was right: its header, the pickle as a file at its first byte, and the pickle's buffers.

    The buffers are this process's own copy-on-write view of the file: they cost nothing until they are read, and what is
    written to them reaches no file.
    """

    header: Mapping[str, Any]
    pickled: mmap.mmap
    buffers: Sequence[memoryview]


def peek(path: Path, key: bytes) -> dict[str, Any] | None:
    """The header of a snapshot, once its own HMAC was right; None where there is none. The rest of the file is not read."""
    try:
        with path.open("rb") as stream:
            start = stream.read(len(MAGIC) + _LENGTH)
            if not start.startswith(MAGIC):
                return None
            content = stream.read(min(int.from_bytes(start[len(MAGIC) :], "little"), _LONGEST_HEADER))
            mac = stream.read(_MAC)
    except OSError:
        return None
    if not hmac.compare_digest(hmac.digest(key, content, "sha256"), mac):
        return None
    header: dict[str, Any] = json.loads(content)
    return header


def open_sealed(path: Path, key: bytes) -> Sealed:
    """Maps a snapshot into memory and checks its HMAC, in constant time, before anything else is believed.

    Raises:
        NotFound: there is no such snapshot.
        BadInput: it was not written with this key, or was changed or cut off since.
    """
    try:
        with path.open("rb") as stream:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    except FileNotFoundError as error:
        raise NotFound(f"no snapshot {path.stem[:12]}…", hint="Run the notebook from its first cell.") from error
    except ValueError as error:  # an empty file
        raise _untrusted(path) from error
    content = memoryview(mapped)
    if not hmac.compare_digest(hmac.digest(key, content[:-_MAC], "sha256"), content[-_MAC:]):
        raise _untrusted(path)
    end = len(content) - _MAC - _LENGTH
    index = json.loads(bytes(content[end - int.from_bytes(content[end : end + _LENGTH], "little") : end]))
    mapped.seek(len(MAGIC))
    header = json.loads(mapped.read(int.from_bytes(mapped.read(_LENGTH), "little")))
    mapped.seek(_MAC, os.SEEK_CUR)
    return Sealed(header=header, pickled=mapped, buffers=[content[start : start + size] for start, size in index])


def _untrusted(path: Path) -> BadInput:
    return BadInput(
        f"the snapshot {path.stem[:12]}… was not written with this project's key, or was changed since; nothing in it was read",
        hint="Delete it, and run the notebook from its first cell.",
    )
