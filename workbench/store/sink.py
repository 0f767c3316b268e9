"""The stream a large object is written through: its sha256 is computed and its bytes reach the disk while more is written."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer  # collections.abc has it from Python 3.12

__all__ = ["Sink"]

ASIDE = 1 << 20
SYNCED = 1 << 26


class Sink(io.RawIOBase):
    """A new file that is only ever appended to; after `close` its bytes are on disk and `digest` is theirs.

    Hashing and the disk each take about as long as the copy into the page cache, so the three go on side by side: pieces of a
    mebibyte (2²⁰ bytes) and more are hashed by a thread of their own (hashlib releases the lock), and what was written is
    flushed every 64 MiB instead of once at the end. It has no `fileno`: libraries that find one write past `write`.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._hash = hashlib.sha256()
        self._hashing: Thread | None = None
        self._size = self._synced = 0

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
        self._wait()
        if len(view) < ASIDE:
            self._hash.update(view)
        else:
            self._hashing = Thread(target=self._hash.update, args=(view,))
            self._hashing.start()
        self._append(view)
        if not isinstance(data, bytes):  # bytes cannot change, so the next piece may be made while these are hashed
            self._wait()
        return len(view)

    def close(self) -> None:
        """Waits for the last bytes to be hashed and to be on disk."""
        if not self.closed:
            super().close()
            self._wait()
            with self._file:
                os.fsync(self._file.fileno())

    @property
    def digest(self) -> str:
        """The sha256 of what was written, in hexadecimal; final once closed."""
        return self._hash.hexdigest()

    def _append(self, view: memoryview) -> None:
        while view:
            written = self._file.write(view[: SYNCED - (self._size - self._synced)])
            self._size, view = self._size + written, view[written:]
            if self._size - self._synced >= SYNCED:
                os.fsync(self._file.fileno())
                self._synced = self._size

    def _wait(self) -> None:
        if self._hashing is not None:
            self._hashing.join()
            self._hashing = None
