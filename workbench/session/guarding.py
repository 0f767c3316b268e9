"""Refuses to keep a secret: what the verbs are about to store is searched first, as the bytes that would be stored."""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from workbench.errors import BadInput
from workbench.execution.secrets import Scrubber, scrubber_of_process
from workbench.session.formats import format_of
from workbench.session.values import write_value
from workbench.store import Objects

__all__ = ["refuse_secrets"]

PLACED = ("model.skops", "torch.safetensors")
"""The formats whose libraries only write beside the file to be, on disk."""


def refuse_secrets(verb: str, name: str, value: object) -> None:
    """Does nothing where the value holds no secret that this process resolved or finds in its environment.

    Args:
        verb: what the notebook called, `save` or `record`.
        name: the name it gave the value.
        value: what would be stored.

    Raises:
        BadInput: a secret was found, in any spelling that `Scrubber` knows, or the value cannot be stored; nothing was.
    """
    scrubber = scrubber_of_process()
    found = _found(scrubber, name, value) if scrubber else None
    if found:
        raise BadInput(
            f"session.{verb}({name}=…) holds secret://{found}, and was not kept",
            hint="Keep the reference, or what you made with the secret, but not the secret itself.",
        )


def _found(scrubber: Scrubber, name: str, value: object) -> str | None:
    """The name of a secret in the bytes that would be stored, and in the file that would be copied."""
    if isinstance(value, Path):
        with suppress(OSError):  # storing it will fail alike, and say why
            return scrubber.find_in_file(value)
        return None
    names, worded = _worded(value)
    if found := scrubber.find(names):
        return found
    with _anonymous() as path:
        if format_of(worded).name in PLACED:
            path.write_bytes(_pickled(name, worded))
        else:
            write_value(cast("Objects", _Trial(path)), name, worded)
        return scrubber.find_in_file(path)


def _pickled(name: str, value: object) -> bytes:
    """A model or tensors as bytes to search, which are never kept or read back."""
    try:
        return pickle.dumps(value, protocol=5)
    except Exception as error:  # what an estimator's parts raise is theirs to choose
        raise BadInput(
            f"session.save({name}=…) was given a {type(value).__name__} that cannot be searched for secrets: {error}",
            hint="Save it in a notebook that resolves no secrets.",
        ) from error


def _worded(value: Any) -> tuple[str, object]:
    """The names of a table's columns and those that may hold words, since gigabytes of numbers hold no secret."""
    polars, pandas = sys.modules.get("polars"), sys.modules.get("pandas")
    if polars and isinstance(value, polars.DataFrame):
        letters = (polars.UInt8, polars.Int8)
        kept = [
            name
            for name, kind in value.schema.items()
            if kind in letters or not (kind.is_numeric() or kind.is_temporal() or kind == polars.Boolean)
        ]
        return " ".join(value.columns), value.select(kept)
    if pandas and isinstance(value, pandas.DataFrame):
        numbers = [kind for kind in set(value.dtypes) if kind.kind in "fcmMb" or (kind.kind in "iu" and kind.itemsize > 1)]
        return " ".join(map(str, value.columns)), value.loc[:, [kind not in numbers for kind in value.dtypes]]
    if isinstance(value, np.ndarray) and (value.dtype.kind in "fcmMb" or (value.dtype.kind in "iu" and value.itemsize > 1)):
        return "", value[:0] if value.ndim else 0
    return "", value


class _Trial:
    """Stands where a value is written to the object store, and keeps it in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, fill: Callable[[Path], object]) -> tuple[str, int]:
        """What `fill` writes to a path."""
        fill(self._path)
        return "", 0

    def stream(self, fill: Callable[[IO[bytes]], object]) -> tuple[str, int]:
        """What `fill` writes to a stream."""
        with self._path.open("wb") as stream:
            fill(stream)
        return "", 0

    def write_bytes(self, content: bytes) -> tuple[str, int]:
        """These bytes."""
        self._path.write_bytes(content)
        return "", 0


@contextmanager
def _anonymous() -> Iterator[Path]:
    """A file that not even a kill leaves behind, where the system can have one: in memory, on Linux."""
    if sys.platform != "linux":
        with tempfile.TemporaryDirectory(prefix="wb-") as folder:
            yield Path(folder) / "value"
        return
    handle = os.memfd_create("wb-value")
    try:
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
