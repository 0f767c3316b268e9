"""Frames over a unix socket: a kind, JSON, binary buffers and file descriptors. Every warm process talks through this."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ANSWER", "MESSAGE", "ORDER", "Frame", "Wire", "pair"]

ORDER, ANSWER, MESSAGE = 1, 2, 3
"""Kinds: what a process is told to do, what it says about it, and one Jupyter message."""

HEADER = struct.Struct("!BIII")  # kind, length of the JSON, length of the buffers, count of file descriptors
LENGTH = struct.Struct("!I")
CHUNK = 1 << 20
MOST_FILES = 8


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `files` are open descriptors that now belong to the receiver."""

    kind: int
    payload: bytes
    buffers: Sequence[bytes] = ()
    files: Sequence[int] = ()

    def content(self) -> Any:
        """The JSON that the frame carries."""
        return json.loads(self.payload)


class Wire:
    """One end of a connected unix stream socket; sending is safe from several threads."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.sending = threading.Lock()
        self._received = bytearray()
        self._files: list[int] = []

    def fileno(self) -> int:
        """For `select`."""
        return self.socket.fileno()

    def close(self) -> None:
        """Closes this end; the other reads EOF."""
        self.socket.close()

    def send(self, kind: int, content: object) -> None:
        """Sends JSON."""
        self.send_raw(kind, json.dumps(content).encode())

    def send_files(self, kind: int, content: object, files: Sequence[int]) -> None:
        """Sends JSON and duplicates of open file descriptors."""
        payload = json.dumps(content).encode()
        with self.sending:
            header = HEADER.pack(kind, len(payload), 0, len(files))
            socket.send_fds(self.socket, [header], list(files))  # with the header alone, so that they arrive with it
            self.socket.sendall(payload)

    def send_raw(self, kind: int, payload: bytes, buffers: Sequence[bytes | memoryview] = ()) -> None:
        """Sends JSON that is encoded already, and buffers."""
        tail = b"".join(part for each in buffers for part in (LENGTH.pack(len(each)), bytes(each)))
        header = HEADER.pack(kind, len(payload), len(tail), 0)
        with self.sending:
            if len(payload) + len(tail) < CHUNK:
                self.socket.sendall(b"".join((header, payload, tail)))
            else:
                for part in (header, payload, tail):
                    self.socket.sendall(part)

    def receive(self, deadline: float | None = None) -> Frame | None:
        """The next frame, or None when `deadline` (of `time.monotonic`) passed first.

        Raises:
            EOFError: the other end closed, or its process died.
        """
        while (frame := self._complete()) is None:
            wait = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self.socket], [], [], wait)[0]:
                return None
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
        return len(self._received) >= HEADER.size + payload + tail

    def _complete(self) -> Frame | None:
        if not self.pending():
            return None
        kind, length, tail, count = HEADER.unpack_from(self._received)
        start, end = HEADER.size, HEADER.size + length
        with memoryview(self._received) as view:
            payload, packed = bytes(view[start:end]), bytes(view[end : end + tail])
        del self._received[: end + tail]
        files, self._files = self._files[:count], self._files[count:]
        return Frame(kind, payload, _unpack(packed), files)


def _unpack(packed: bytes) -> list[bytes]:
    buffers, position = [], 0
    while position < len(packed):
        (length,) = LENGTH.unpack_from(packed, position)
        position += LENGTH.size
        buffers.append(packed[position : position + length])
        position += length
    return buffers


def pair() -> tuple[Wire, Wire]:
    """Two connected ends, with room for large outputs."""
    ends = socket.socketpair(socket.AF_UNIX)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
    return Wire(ends[0]), Wire(ends[1])
