"""Processes that are kept after their run: where they are noted, found and asked. Used by kernels, `resume` and `attach`."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from workbench.execution.warm.place import runtime_folder
from workbench.execution.warm.wire import ORDER, Frame, Wire

__all__ = ["END", "Kept", "accepted", "connect", "kept", "left_alone", "listening_at", "waiting_entry"]

ORDER_SECONDS = 2.0
MOST_LEFT = 8
"""So many failed runs of a user keep their state in memory, and fewer where memory is scarce: the newest."""

SCARCE = 0.1
"""The share of the machine's memory that is to stay free."""

END = {"kind": "end"}
"""The order to end as soon as nobody uses what was forked from here."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One process that can be asked: a `fork_point` is copied for each run that continues from it and each person that attaches.

    A failed `kernel` that could not be copied serves one person, itself. `link` says after which cells it is, `step` is the
    folder of the step it worked for, `address` its socket; it ends at `until`, in seconds since the epoch. `left` says that its
    run is over.
    """

    kind: Literal["fork_point", "kernel"]
    pid: int
    link: str
    notebook: str
    step: str
    address: str
    until: float
    left: bool = False


def _folder() -> Path:
    folder = Path(runtime_folder(), "kept")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _note(entry: Kept) -> None:
    """Makes a process known; an entry that a crash cuts short is ignored, so nothing waits for the disk."""
    temporary = _folder() / f".{entry.pid}.writing"
    temporary.write_bytes(msgspec.json.encode(entry))
    temporary.rename(_folder() / f"{entry.pid}.json")


def _forget(pid: int) -> None:
    """The process is about to end."""
    (_folder() / f"{pid}.json").unlink(missing_ok=True)


def kept() -> Iterator[Kept]:
    """The processes that still live; traces of dead ones are removed."""
    for path in sorted(_folder().glob("*.json")):
        with suppress(FileNotFoundError):
            try:
                entry = msgspec.json.decode(path.read_bytes(), type=Kept)
            except msgspec.MsgspecError:
                path.unlink(missing_ok=True)
                continue
            if Path(f"/proc/{entry.pid}").exists() and Path(entry.address).exists():
                yield entry
            else:
                path.unlink(missing_ok=True)
                Path(entry.address).unlink(missing_ok=True)


def connect(entry: Kept) -> Wire:
    """Connects to a fork point.

    Raises:
        OSError: it has just ended.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(entry.address)
    except OSError:
        connection.close()
        raise
    return Wire(connection)


def waiting_entry(kind: Literal["fork_point", "kernel"], link: str, notebook: str, step: str, seconds: float) -> Kept:
    """How this process makes itself known; the time it ends is that of its run and `seconds`, at least."""
    pid = os.getpid()
    address, until = str(_folder() / f"{pid}.sock"), time.time() + seconds
    return Kept(kind=kind, pid=pid, link=link, notebook=notebook, step=step, address=address, until=until)


def left_alone(entry: Kept, seconds: float) -> None:
    """The run of this process is over and it stays for so long; those left earlier end where they would be too many."""
    _note(msgspec.structs.replace(entry, until=time.time() + seconds, left=True))
    newest_first = sorted((each for each in kept() if each.left), key=lambda each: each.until, reverse=True)
    others = [each for each in newest_first if each.pid != entry.pid]
    for other in others[0 if _memory_is_scarce() else MOST_LEFT - 1 :]:
        with suppress(OSError):
            connection = connect(other)
            connection.send(ORDER, END)
            connection.close()


def _memory_is_scarce() -> bool:
    """What the system says of itself: proc_meminfo(5)."""
    with suppress(OSError, KeyError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        kilobytes = {name: int(rest.split()[0]) for name, rest in (line.split(":") for line in lines)}
        return kilobytes["MemAvailable"] < SCARCE * kilobytes["MemTotal"]
    return False


@contextmanager
def listening_at(entry: Kept) -> Iterator[socket.socket]:
    """Waits to be asked, under the entry's address, as long as the context lasts."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(entry.address)
    Path(entry.address).chmod(0o600)
    listening.listen(8)
    _note(entry)
    try:
        yield listening
    finally:
        _forget(entry.pid)
        Path(entry.address).unlink(missing_ok=True)
        listening.close()


def accepted(listening: socket.socket) -> tuple[Wire, Frame | None]:
    """A connection and its order; None when it closes or says nothing. The folder lets nobody in but this user."""
    connection, _ = listening.accept()
    client = Wire(connection)
    with suppress(EOFError):
        frame = client.receive(time.monotonic() + ORDER_SECONDS)
        if frame is not None:
            return client, frame
    client.close()
    return client, None
