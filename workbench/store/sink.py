"""The stream a large object is written through: its sha256 is computed and its bytes reach the disk while more is written."""

from __future__ import annotations

import hashlib
import io
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer  # collections.abc has it from Python 3.12

__all__ = ["Sink"]

ASIDE = 1 << 20
FLUSHED = 1 << 26


class Sink(io.RawIOBase):
    """A new file that is only ever appended to; after `close` its bytes are on disk and `digest` is theirs.

    Hashing and the disk each take longer than the copy into the page cache, so the three go on side by side, in threads: pieces
    of a mebibyte (2²⁰ bytes) and more are hashed while they and the next are written (hashlib releases the lock), and what was
    written is flushed every 64 MiB instead of once at the end. It has no `fileno`: libraries that find one write past `write`.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._hash = hashlib.sha256()
        self._threads = ThreadPoolExecutor(2)
        self._hashing: Future[None] | None = None
        self._flushing: Future[None] | None = None
        self._size = self._flushed = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """How many bytes were written."""
        return self._size

    def write(self, data: Buffer, /) -> int:
        """Appends all of `data`, which the caller may change as soon as this returns.

        Raises:
            OSError: the disk is full or failed.
        """
        view = memoryview(data)
        if not view.nbytes:
            return 0
        view = view.cast("B")
        _wait(self._hashing)
        if len(view) < ASIDE:
            self._hash.update(view)
        else:
            self._hashing = self._threads.submit(self._hash.update, view)
        try:
            self._append(view)
        finally:
            if not isinstance(data, bytes):  # bytes cannot change, so the next piece may be made while these are hashed
                _wait(self._hashing)
        return len(view)

    def close(self) -> None:
        """Waits for the last bytes to be hashed and to be on disk.

        Raises:
            OSError: the disk failed.
        """
        if not self.closed:
            super().close()
            with self._file, self._threads:
                _wait(self._hashing)
                _wait(self._flushing)
                os.fsync(self._file.fileno())

    @property
    def digest(self) -> str:
        """The sha256 of what was written, in hexadecimal; final once closed."""
        return self._hash.hexdigest()

    def _append(self, view: memoryview) -> None:
        while view:
            written = self._file.write(view[:FLUSHED])
            self._size, view = self._size + written, view[written:]
            if self._size - self._flushed >= FLUSHED and (self._flushing is None or self._flushing.done()):
                _wait(self._flushing)
                self._flushing, self._flushed = self._threads.submit(os.fsync, self._file.fileno()), self._size


def _wait(work: Future[None] | None) -> None:
    """Waits for work in another thread, and raises what it raised: the system tells only one fsync that the disk failed."""
    if work is not None:
        work.result()
