"""What a disk could hold after a power cut: a writer's system calls are recorded with strace, and replayed up to each of them.

At each call, the writes that no fsync has followed yet are lost, kept, or kept in part: each in full, torn, or not at all, by
chance. Names of files and their removal count as durable at once; the shared memory beside SQLite's log is rebuilt from it.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CALLS = "write,pwrite64,fsync,fdatasync,ftruncate,unlink"
SECTOR = 512


@dataclass(frozen=True)
class Call:
    """One system call: `name`, the file it is about, and what of `offset`, `data` and `size` belongs to it."""

    name: str
    file: str
    offset: int = 0
    data: bytes = b""
    size: int = 0


@dataclass
class Disk:
    """A disk with a cache: what is durable, and what was written to each file since its last fsync."""

    durable: dict[str, bytes]
    waiting: dict[str, list[Call]] = field(default_factory=dict)

    def take(self, call: Call) -> None:
        """Does what a call does."""
        if call.name == "unlink":
            self.durable.pop(call.file, None)
            self.waiting.pop(call.file, None)
        elif call.name in ("fsync", "fdatasync"):
            self.durable[call.file] = applied(self.durable.get(call.file, b""), self.waiting.pop(call.file, []))
        else:
            self.durable.setdefault(call.file, b"")
            self.waiting.setdefault(call.file, []).append(call)

    def after(self, luck: random.Random | None, *, kept: bool = False) -> dict[str, bytes]:
        """The files after a power cut: with `luck` in part, else with all (`kept`) or none of what was waiting."""
        files = dict(self.durable)
        for file, calls in self.waiting.items():
            survived = calls if kept else []
            if luck is not None:
                survived = [part for call in calls if (part := partly(call, luck)) is not None]
            files[file] = applied(files[file], survived)
        return files


def partly(call: Call, luck: random.Random) -> Call | None:
    """What of one waiting call has reached the disk: half of them did, a quarter is torn at a sector's edge, the rest is lost."""
    drawn = luck.random()
    if drawn < 0.5:
        return call
    if drawn < 0.75 and call.name == "pwrite64":
        return Call("pwrite64", call.file, call.offset, call.data[: luck.randrange(len(call.data) + 1) // SECTOR * SECTOR])
    return None


def applied(content: bytes, calls: list[Call]) -> bytes:
    """A file's content after writes and truncations."""
    changed = bytearray(content)
    for call in calls:
        if call.name == "ftruncate":
            changed[:] = changed[: call.size].ljust(call.size, b"\0")
        else:
            end = call.offset + len(call.data)
            changed.extend(bytes(max(0, end - len(changed))))
            changed[call.offset : end] = call.data
    return bytes(changed)


def recorded(command: list[str], database: Path, trace: Path) -> Iterator[Call]:
    """Runs a program under strace, and yields its calls on the database's files and its writes to standard output."""
    strace = ["strace", "-f", "-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-o", str(trace)]
    subprocess.run([*strace, *command], stdout=subprocess.PIPE, check=True, timeout=200)
    with trace.open(encoding="ascii") as lines:
        for line in lines:
            found = re.match(r"\d+ +(\w+)\((.*)\) += (\d+)$", line)
            call = found and parsed(found[1], found[2])
            if call and (call.file == "1" or (call.file.startswith(str(database)) and not call.file.endswith("-shm"))):
                yield call
            assert found or not ("unfinished" in line and str(database).encode().hex() in line.replace("\\x", "")), line


def parsed(name: str, arguments: str) -> Call:
    """A call from strace's hexadecimal spelling; a write to standard output has the file `1`."""
    text = re.search(r'"(.*?)"', arguments)
    data = plain(text[1]) if text else b""
    if name == "unlink":
        return Call(name, os.fsdecode(data))
    descriptor = re.match(r"(\d+)<(.*?)>", arguments)
    assert descriptor, arguments
    file = "1" if descriptor[1] == "1" else os.fsdecode(plain(descriptor[2]))
    last = int(arguments.rpartition(",")[2]) if name in ("pwrite64", "ftruncate") else 0
    return Call(name, file, offset=last, data=data, size=last)


def plain(text: str) -> bytes:
    """What strace wrote as \\x and two digits for each byte."""
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()


def cuts(calls: list[Call], files: Mapping[str, bytes], *, lucky: int = 1) -> Iterator[tuple[dict[str, bytes], bytes]]:
    """Every disk that a power cut after some call could leave, with what the program had said by then."""
    disk, said, luck = Disk(dict(files)), b"", random.Random(1)  # noqa: S311 - moments, not secrets
    for call in calls:
        if call.file == "1":
            said += call.data
        else:
            disk.take(call)
        yield disk.after(None), said
        yield disk.after(None, kept=True), said
        for _ in range(lucky):
            yield disk.after(luck), said
