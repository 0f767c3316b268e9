"""What a kernel prints, from Python or below it, as Jupyter stream messages in the order written. Used by the warm kernel."""

from __future__ import annotations

import fcntl
import io
import os
import select
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any

from jupyter_client.session import Session, extract_header

__all__ = ["Capture", "KernelStream"]

FLUSH_SECONDS = 0.2
"""How old a text may grow before it is sent, as in ipykernel's OutStream."""

PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031  # fcntl(2), Linux

Header = dict[str, Any]


class KernelStream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr` of a kernel: texts are sent as `stream` messages of the cell that wrote them."""

    encoding = "UTF-8"
    errors = None

    def __init__(self, session: Session, name: str, capture: Capture) -> None:
        self.session, self.name, self.capture = session, name, capture
        self._process = os.getpid()
        self._own: ContextVar[Header] = ContextVar("parent_header")
        self._latest: Header = {}
        self._texts: list[tuple[Header, str]] = []
        self._oldest = 0.0
        self._hooks: list[Callable[[Any], Any]] = []

    @property
    def parent_header(self) -> Header:
        """The request that the current thread or task works for."""
        return self._own.get(self._latest)

    @parent_header.setter
    def parent_header(self, header: Header) -> None:
        self._own.set(header)
        self._latest = header

    def set_parent(self, parent: Header) -> None:
        """Called by the shell at the start of each request."""
        self.parent_header = extract_header(parent)

    def set_thread_parent(self, parent: Header) -> Token[Header]:
        """Called by ipykernel when a thread works for a request of its own."""
        return self._own.set(extract_header(parent))

    def reset_thread_parent(self, token: Token[Header]) -> None:
        """Undoes `set_thread_parent`."""
        self._own.reset(token)

    def register_hook(self, hook: Callable[[Any], Any]) -> None:
        """Adds a filter of messages, as ipykernel's OutStream has it."""
        self._hooks.append(hook)

    def unregister_hook(self, hook: Callable[[Any], Any]) -> bool:
        """Removes a filter; False when there was none."""
        with suppress(ValueError):
            self._hooks.remove(hook)
            return True
        return False

    def isatty(self) -> bool:
        """No terminal: programs print without colours and cursor movements."""
        return False

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The real file behind the stream, for programs that insist on one."""
        return self.capture.original[self.name]

    def write(self, text: str) -> int:
        """Keeps the text until it is sent; in a process forked by the notebook it goes to the captured file."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        if os.getpid() != self._process:
            os.write(self.capture.descriptor[self.name], text.encode("utf8", "replace"))
            return len(text)
        with self.capture.lock:
            self.capture.drain(self)  # what was written below Python came first
            now = time.monotonic()
            self._oldest = self._oldest if self._texts else now
            self._texts.append((self.parent_header, text))
        if now - self._oldest > FLUSH_SECONDS:
            self.flush()
        return len(text)

    def writelines(self, texts: Iterable[str]) -> None:  # type: ignore[override]
        """Writes each text."""
        for text in texts:
            self.write(text)

    def write_captured(self, text: str) -> None:
        """Adds a text written below Python; it belongs to the cell that runs."""
        self._texts.append((self._latest, text))

    def flush(self) -> None:
        """Sends what was written, one message for each cell that wrote."""
        if os.getpid() != self._process:
            return
        with self.capture.lock:
            self.capture.drain(self)
            texts, self._texts = self._texts, []
            joined: dict[str | None, tuple[Header, list[str]]] = {}
            for header, text in texts:
                joined.setdefault(header.get("msg_id"), (header, []))[1].append(text)
            for header, parts in joined.values():
                if any(parts):
                    self._send(header, "".join(parts))

    def _send(self, header: Header, text: str) -> None:
        message: Any = self.session.msg("stream", {"name": self.name, "text": text}, parent=header)
        for hook in self._hooks:
            message = hook(message)
            if message is None:
                return
        self.session.send(None, message)


class Capture:
    """File descriptors 1 and 2 of this process, read into the kernel's streams; one thread does so while a cell runs."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.original: dict[str, int] = {}
        self.descriptor = {"stdout": 1, "stderr": 2}
        self._readers: dict[str, int] = {}
        self._writers: dict[str, int] = {}
        self.streams: tuple[KernelStream, KernelStream]

    def open(self, session: Session) -> None:
        """Makes the pipes and streams."""
        for name in self.descriptor:
            self._readers[name], self._writers[name] = os.pipe()
            os.set_blocking(self._readers[name], False)
            with suppress(OSError):  # a larger pipe only makes waiting rarer
                fcntl.fcntl(self._writers[name], F_SETPIPE_SZ, PIPE_BYTES)
        self.streams = KernelStream(session, "stdout", self), KernelStream(session, "stderr", self)

    def start(self) -> tuple[KernelStream, KernelStream]:
        """Redirects both descriptors into the pipes, which a thread reads, and returns the streams that take their place."""
        for name, descriptor in self.descriptor.items():
            self.original[name] = os.dup(descriptor)
            os.dup2(self._writers[name], descriptor)
            os.close(self._writers.pop(name))
        threading.Thread(target=self._follow, daemon=True, name="kernel-output").start()
        return self.streams

    def stop(self) -> None:
        """Gives the descriptors back."""
        for name, original in self.original.items():
            os.dup2(original, self.descriptor[name])

    def abandon(self) -> None:
        """Gives up pipes and standard files, which a forked copy shares with its original; what is written is lost."""
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, *self.descriptor.values()):
            os.dup2(null, descriptor)
        with self.lock:
            given_up = (null, *self._readers.values(), *self.original.values())
            self._readers, self.original = {}, {}
            for each in given_up:
                os.close(each)

    def drain(self, stream: KernelStream) -> None:
        """Takes what was written below Python into the stream; the caller holds the lock."""
        parts = []
        with suppress(BlockingIOError):
            while stream.name in self._readers and (part := os.read(self._readers[stream.name], 1 << 16)):
                parts.append(part)
        if parts:
            stream.write_captured(b"".join(parts).decode("utf8", "replace"))

    def _follow(self) -> None:
        while readers := list(self._readers.values()):
            try:
                ready = select.select(readers, [], [], FLUSH_SECONDS)[0]
            except (OSError, ValueError):  # `abandon` closed them
                return
            if ready:
                time.sleep(FLUSH_SECONDS / 4)  # gather: a program below Python writes line by line
            for stream in self.streams:
                stream.flush()
