"""Finished cells beside an output notebook that is behind them: a file that is only appended to. Called by `saving`.

The process that appends to it holds a lock on it, which the system takes away when the process dies, however that comes about.

A record is one line, `BASE INDEX LENGTH CHECK`, followed by LENGTH bytes: what cell INDEX became of the notebook file whose
sha256 is BASE. Bound to that content, a record never changes another one, in whatever order a crash left the two files. CHECK
is the CRC-32 of BASE, INDEX and the bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Journal", "base_of", "cells_in"]

HEADER = re.compile(rb"([0-9a-f]{64}) ([0-9]{1,18}) ([0-9]{1,18}) ([0-9a-f]{8})\n")


def base_of(content: bytes) -> str:
    """What binds a record to the notebook file that it goes with: the sha256 of the file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def cells_in(records: bytes, base: str) -> dict[int, bytes]:
    """The latest content of each cell, by position, recorded for the notebook file of this base.

    A torn record at the end, as a kill leaves it, is ignored.
    """
    cells, at = {}, 0
    while header := HEADER.match(records, at):
        owner, index, length, check = (field.decode() for field in header.groups())
        at = header.end() + int(length)
        content = records[header.end() : at]
        if len(content) < int(length) or _check(owner, int(index), content) != check:
            break
        if owner == base:
            cells[int(index)] = content
    return cells


@dataclass(slots=True)
class Journal:
    """The journal in the file `path`, readable by its owner only, which exists once something was appended."""

    path: Path
    _handle: int | None = None

    @classmethod
    def beside(cls, notebook: Path) -> Journal:
        """The journal of an output notebook: `.NAME.cells` in the same folder."""
        return cls(notebook.with_name(f".{notebook.name}.cells"))

    def append(self, base: str, cells: Mapping[int, bytes]) -> None:
        """Adds cells, given by position, all or none: records after a torn one could not be found.

        Raises:
            OSError: nothing could be added, for instance because the disk is full.
        """
        rest = memoryview(b"".join(_record(base, index, content) for index, content in cells.items()))
        handle = self._opened()
        before = os.fstat(handle).st_size
        try:
            while rest:
                rest = rest[os.write(handle, rest) :]
        except BaseException:
            os.ftruncate(handle, before)
            raise

    def _opened(self) -> int:
        if self._handle is None:
            self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            with suppress(OSError):  # not every file system has locks
                fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self._handle

    def close(self) -> None:
        """Nothing more will be appended."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __del__(self) -> None:
        """A run that could not end as it should no longer appends either."""
        self.close()

    def remove(self) -> None:
        """Removes the file, if there is one."""
        self.path.unlink(missing_ok=True)
        self.close()

    def writer_lives(self) -> bool | None:
        """Whether the process that appends to it lives; None where there is no journal, or no telling. Not for that process."""
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            return _is_held(handle, fcntl.LOCK_NB)
        finally:
            os.close(handle)

    @contextmanager
    def left(self) -> Iterator[bytes]:
        """What a process that is gone has appended, to be merged by nobody else meanwhile; empty where there is nothing.

        Raises:
            OSError: the file exists and cannot be read.
        """
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            yield b""
            return
        with open(handle, "rb") as journal:
            yield b"" if _is_held(handle) else journal.read()


def _is_held(handle: int, how: int = 0) -> bool | None:
    """Whether another process holds the lock of the one that appends; None where that cannot be told.

    Those who ask take turns, from then until they close the handle: by another kind of lock, which does not meet the writer's.
    """
    if not os.fstat(handle).st_size:  # just created, and about to be locked: to ask must not be in the way
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | how)
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:  # not every file system has locks
        return None
    return False


def _record(base: str, index: int, content: bytes) -> bytes:
    return f"{base} {index} {len(content)} {_check(base, index, content)}\n".encode() + content


def _check(base: str, index: int, content: bytes) -> str:
    return f"{zlib.crc32(content, zlib.crc32(f'{base} {index}'.encode())):08x}"
