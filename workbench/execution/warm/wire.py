"""Frames over a unix socket: a kind, JSON, binary buffers and file descriptors. Every warm process talks through this."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import threading
import time

TYPE_CHECKING = False  # typing's own, dataclasses and pathlib take milliseconds to import, and thin processes load this module
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Protocol

    class Readable(Protocol):
        """What has a file descriptor, such as a socket or a wire."""

        def fileno(self) -> int:
            """The descriptor."""

    Wait = Callable[[Iterable[int | Readable], float | None], set[int]]


__all__ = ["ANSWER", "MESSAGE", "MESSAGE_PARTS", "ORDER", "RELEASE", "Frame", "Wire", "pair", "readable"]

ORDER, ANSWER, MESSAGE = 1, 2, 3
"""Kinds: what a process is told to do, what it says about it, and one Jupyter message."""

MESSAGE_PARTS = ("header", "parent_header", "metadata", "content")
"""The parts of a Jupyter message that are JSON."""

HEADER = struct.Struct("!BIII")  # kind, length of the JSON, length of the buffers, count of file descriptors
LENGTH = struct.Struct("!I")
CHUNK = 1 << 20
MOST_FILES = 8

RELEASE = {"release": True}
"""What the client of a forked process says that leaves it to itself."""


class Frame:
    """One frame; `files` are open descriptors that now belong to the receiver."""

    __slots__ = ("buffers", "files", "kind", "payload")

    def __init__(self, kind: int, payload: bytes, buffers: Sequence[bytes] = (), files: Sequence[int] = ()) -> None:
        self.kind, self.payload, self.buffers, self.files = kind, payload, buffers, files

    def content(self) -> Any:
        """The JSON that the frame carries."""
        return json.loads(self.payload)


class Wire:
    """One end of a connected unix stream socket; sending is safe from several threads."""

    def __init__(self, connection: socket.socket, *, most: int | None = None) -> None:
        """`most` are the bytes that a received frame may have; a longer one counts as the end of the connection."""
        self.socket = connection
        self.most = most
        self.sending = threading.Lock()
        self._received = bytearray()
        self._files: list[int] = []
        self._held: list[bytes] = []

    def fileno(self) -> int:
        """For `select`."""
        return self.socket.fileno()

    def close(self) -> None:
        """Closes this end, and files received with a frame that never came; the other end reads EOF."""
        self.socket.close()
        while self._files:
            os.close(self._files.pop())

    def send(self, kind: int, content: object) -> None:
        """Sends JSON."""
        self.send_raw(kind, json.dumps(content).encode())

    def send_files(self, kind: int, payload: bytes, files: Sequence[int]) -> None:
        """Sends JSON that is encoded already, and duplicates of open file descriptors."""
        with self.sending:
            header = HEADER.pack(kind, len(payload), 0, len(files))
            socket.send_fds(self.socket, [header], list(files))  # with the header alone, so that they arrive with it
            self.socket.sendall(payload)

    def send_raw(self, kind: int, payload: bytes, buffers: Sequence[bytes | memoryview] = ()) -> None:
        """Sends JSON that is encoded already, and buffers, behind what was held back."""
        tail = b"".join(part for each in buffers for part in (LENGTH.pack(len(each)), bytes(each)))
        header = HEADER.pack(kind, len(payload), len(tail), 0)
        with self.sending:
            held, self._held = self._held, []
            if len(payload) + len(tail) < CHUNK:
                self.socket.sendall(b"".join((*held, header, payload, tail)))
            else:
                for part in (*held, header, payload, tail):
                    self.socket.sendall(part)

    def hold(self, kind: int, payload: bytes) -> None:
        """Holds a small frame back until the next is sent: each call of the system costs more than the frame."""
        with self.sending:
            self._held.append(HEADER.pack(kind, len(payload), 0, 0) + payload)

    def receive(self, deadline: float | None = None, *, unless: Wire | None = None, wait: Wait | None = None) -> Frame | None:
        """The next frame, or None when `deadline` (of `time.monotonic`) passed first; `wait` stands in for `readable`.

        Raises:
            EOFError: the other end closed, its process died or sends no frames; or nothing comes any more and `unless` has news.
        """
        while (frame := self._complete()) is None:
            seconds = None if deadline is None else deadline - time.monotonic()
            ready = (wait or readable)([self, unless] if unless else [self], seconds)
            if not ready:
                return None
            if self.fileno() not in ready:
                raise EOFError
            try:
                received, files, _flags, _address = socket.recv_fds(self.socket, CHUNK, MOST_FILES)
            except ConnectionError as error:
                raise EOFError from error
            if not received:
                raise EOFError
            self._received += received
            self._files += files
        return frame

    def pending(self) -> bool:
        """Whether a whole frame was received and not yet taken: `select` does not know of it."""
        if len(self._received) < HEADER.size:
            return False
        _kind, payload, tail, _files = HEADER.unpack_from(self._received)
        return len(self._received) >= HEADER.size + int(payload) + int(tail)

    def _complete(self) -> Frame | None:
        if not self.pending():
            if self.most is not None and len(self._received) > self.most:
                raise EOFError
            return None
        kind, length, tail, count = HEADER.unpack_from(self._received)
        start, end = HEADER.size, HEADER.size + length
        with memoryview(self._received) as view:
            payload, packed = bytes(view[start:end]), bytes(view[end : end + tail])
        del self._received[: end + tail]
        files, self._files = self._files[:count], self._files[count:]
        try:
            return Frame(kind, payload, _unpack(packed), files)
        except struct.error as error:
            raise EOFError from error


def _unpack(packed: bytes) -> list[bytes]:
    buffers, position = [], 0
    while position < len(packed):
        (length,) = LENGTH.unpack_from(packed, position)
        position += LENGTH.size
        buffers.append(packed[position : position + length])
        position += length
    return buffers


def readable(sources: Iterable[int | Readable], seconds: float | None) -> set[int]:
    """Waits, without end if `seconds` is None; returns the descriptors that can be read or have ended.

    Any number of them, and of any height, unlike `select`.
    """
    poll = select.poll()
    for each in sources:
        poll.register(each, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(None if seconds is None else max(0.0, seconds * 1000))}


def pair() -> tuple[Wire, Wire]:
    """Two connected ends, with room for large outputs."""
    ends = socket.socketpair(socket.AF_UNIX)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
    return Wire(ends[0]), Wire(ends[1])
