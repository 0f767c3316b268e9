"""Content-addressed files: what a notebook saved or a dataset held, under its sha256. Written once, never changed."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, cast

from workbench.errors import NotFound
from workbench.store.sink import Sink

__all__ = ["Objects", "digest_of", "replace_file", "sync_folder"]

PARTIAL = ".writing-"
DAY = 24 * 60 * 60


def digest_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=PARTIAL)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@cache
def _sweep(folder: Path) -> None:
    """Removes, once in each process, what writers that were killed left in a folder: a living one wrote within the day."""
    for partial in folder.glob(f"{PARTIAL}*"):
        with suppress(FileNotFoundError):  # its writer, or another sweeper, was faster
            if partial.stat().st_mtime < time.time() - DAY:
                partial.unlink()


def _publish(temporary: Path, target: Path) -> None:
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.replace(target)
    sync_folder(target.parent)


def replace_file(target: Path, content: bytes) -> None:
    """Writes a file so that a reader, or a crash at any moment, sees the old content or the new one, never a part."""
    with _temporary(target.parent) as temporary:
        temporary.write_bytes(content)
        _publish(temporary, target)


@dataclass(frozen=True, slots=True)
class Objects:
    """The object store of one project, in the folder `root`."""

    root: Path

    def _place(self, digest: str) -> Path:
        return self.root / digest[:2] / digest

    def write(self, fill: Callable[[Path], object]) -> tuple[str, int]:
        """Stores the file that `fill(path)` writes.

        Returns:
            The digest and the size in bytes. Storing the same bytes twice keeps one file.
        """
        with self._writing() as temporary:
            fill(temporary)
            return self._keep(temporary, digest_of(temporary))

    def stream(self, fill: Callable[[IO[bytes]], object]) -> tuple[str, int]:
        """Stores what `fill(stream)` writes, one piece after the other; for large values, which are hashed on the way.

        Returns:
            The digest and the size in bytes, as `write`.
        """
        with self._writing() as temporary:
            with Sink(temporary) as sink:
                fill(cast("IO[bytes]", sink))  # which is how libraries name a binary stream
            return self._keep(temporary, sink.digest)

    @contextmanager
    def _writing(self) -> Iterator[Path]:
        _sweep(self.root)
        with _temporary(self.root) as temporary:
            yield temporary

    def _keep(self, temporary: Path, digest: str) -> tuple[str, int]:
        size, target = temporary.stat().st_size, self._place(digest)
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            sync_folder(self.root)
            temporary.chmod(0o400)
            _publish(temporary, target)
        return digest, size

    def write_bytes(self, content: bytes) -> tuple[str, int]:
        """Stores bytes; returns their digest and size."""
        return self.write(lambda path: path.write_bytes(content))

    def path(self, digest: str) -> Path:
        """The file of a digest.

        Raises:
            NotFound: no object has this digest.
        """
        place = self._place(digest)
        if not place.is_file():
            raise NotFound(
                f"no object {digest[:12]}… in {self.root}",
                hint="Its file was removed by hand; restore .workbench/objects from a backup, or run again.",
            )
        return place
