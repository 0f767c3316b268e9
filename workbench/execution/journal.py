"""Finished cells beside an output notebook that is behind them: a file that is only appended to. Called by `saving`.

A record is one line, `BASE INDEX LENGTH CHECK`, followed by LENGTH bytes: what cell INDEX became of the notebook file whose
sha256 is BASE. Bound to that content, a record never changes another one, in whatever order a crash left the two files. CHECK
is the CRC-32 of BASE, INDEX and the bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Journal", "base_of"]

HEADER = re.compile(rb"([0-9a-f]{64}) ([0-9]{1,18}) ([0-9]{1,18}) ([0-9a-f]{8})\n")


def base_of(content: bytes) -> str:
    """What binds a record to the notebook file that it goes with: the sha256 of the file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal in the file `path`, readable by its owner only, which exists once something was appended."""

    path: Path

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
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            before = os.fstat(handle).st_size
            try:
                while rest:
                    rest = rest[os.write(handle, rest) :]
            except BaseException:
                os.ftruncate(handle, before)
                raise
        finally:
            os.close(handle)

    def read(self, base: str) -> dict[int, bytes]:
        """The latest content of each cell, by position, recorded for the notebook file of this base.

        A torn record at the end, as a kill leaves it, is ignored. Empty where there is no journal.

        Raises:
            OSError: the file exists and cannot be read.
        """
        records = self.path.read_bytes() if self.path.exists() else b""
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

    def remove(self) -> None:
        """Removes the file, if there is one."""
        self.path.unlink(missing_ok=True)


def _record(base: str, index: int, content: bytes) -> bytes:
    return f"{base} {index} {len(content)} {_check(base, index, content)}\n".encode() + content


def _check(base: str, index: int, content: bytes) -> str:
    return f"{zlib.crc32(content, zlib.crc32(f'{base} {index}'.encode())):08x}"
