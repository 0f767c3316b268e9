"""The children of a process that forks: each lives as long as its client, which is told of its end. Used by server and nests."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from workbench.execution.warm.wire import ANSWER, RELEASE, Wire, readable

__all__ = ["Brood", "native_threads"]


def native_threads() -> int:
    """How many threads this process has, those of C libraries included; 1 where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


RELEASE_SECONDS = 1.0
GRACE_SECONDS = 15.0
"""How long a child that is asked to end may take, where ending needs work such as saving a notebook."""


@dataclass(slots=True)
class _Child:
    client: Wire
    gently: bool


@dataclass(slots=True)
class Brood:
    """Forks children for clients, ends a child when its client goes away, and tells a client when its child ends.

    `on_end` is told of each child that ended.
    """

    children: dict[int, _Child] = field(default_factory=dict)
    on_end: Callable[[int], None] = lambda _pid: None
    _ending: dict[int, float] = field(default_factory=dict)
    _alone: set[int] = field(default_factory=set)
    last_busy: float = field(default_factory=time.monotonic)
    _wakeup: tuple[int, int] | None = None

    def watch_signals(self) -> None:
        """Makes the end of a child wake `wait`."""
        reading, writing = os.pipe()
        for end in (reading, writing):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writing)
        self._wakeup = (reading, writing)

    def fork(self, client: Wire | None, work: Callable[[], None], *, gently: bool = False) -> int:
        """Forks a child that does `work` and ends; returns its process id.

        Args:
            client: who is told of its end, and with whom it ends; None for a child that belongs to this process.
            work: what the child does; it closes what it inherited, and never returns into the loop of this process.
            gently: when its client goes away, the child is asked to end by SIGTERM first.
        """
        pid = os.fork()
        if pid == 0:
            self._become_child()
            _run_and_exit(work)
        if client is not None:
            self.adopt(pid, client, gently=gently)
        return pid

    def fork_alone(self, work: Callable[[], None]) -> int:
        """Forks a child that lives as long as it will; this process does not count as idle before it ended."""
        pid = self.fork(None, work)
        self._alone.add(pid)
        return pid

    def adopt(self, pid: int, client: Wire, *, gently: bool = False) -> None:
        """Binds a child that was forked ahead to the client that it now works for."""
        self.children[pid] = _Child(client, gently)

    def _become_child(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def wait(self, others: list[socket.socket], seconds: float) -> list[socket.socket]:
        """Waits until one of `others` can be read, a child ends, a client goes away or the time is over."""
        reading = self._wakeup[0] if self._wakeup else -1
        clients = {child.client.fileno(): pid for pid, child in self.children.items()}
        ready = readable([*others, *clients, *([reading] if self._wakeup else [])], seconds)
        if reading in ready:
            with suppress(BlockingIOError):
                os.read(reading, 4096)
        for connection, pid in clients.items():
            if connection in ready:
                self._hear(pid)
        for pid in [pid for pid, deadline in self._ending.items() if time.monotonic() > deadline]:
            _kill(pid)
        self._reap()
        if self.children or ready:
            self.last_busy = time.monotonic()
        return [each for each in others if each.fileno() in ready]

    def _hear(self, pid: int) -> None:
        """A client has gone away, and its child ends; or it lets the child live on alone."""
        child = self.children.pop(pid)
        said = None
        with suppress(EOFError, ValueError):
            frame = child.client.receive(time.monotonic() + RELEASE_SECONDS)
            said = frame and frame.content()
        child.client.close()
        if said == RELEASE:
            self._alone.add(pid)
        elif child.gently:
            self._ending[pid] = time.monotonic() + GRACE_SECONDS
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        else:
            _kill(pid)

    def _reap(self) -> None:
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            pid = ended.si_pid
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)  # what it started and left behind, while nobody else can have this number
            _, status = os.waitpid(pid, 0)
            child = self.children.pop(pid, None)
            self._ending.pop(pid, None)
            self._alone.discard(pid)
            if child is not None:
                with suppress(OSError):
                    child.client.send(ANSWER, {"exit": os.waitstatus_to_exitcode(status)})
                child.client.close()
            self.on_end(pid)

    def is_empty(self) -> bool:
        """Whether every child that works for somebody has ended."""
        return not self.children and not self._ending and not self._alone

    def idle_seconds(self) -> float:
        """How long there has been nothing to do."""
        return time.monotonic() - self.last_busy if self.is_empty() else 0.0


def _kill(pid: int) -> None:
    """Kills a child and what it started; at its very beginning it does not lead a group yet."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _run_and_exit(work: Callable[[], None]) -> None:
    """A child's whole life: never a return into its parent's loop, never a run of its parent's exit hooks."""
    code = 1
    try:
        work()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # a fault of ours: its traceback goes to the client's terminal or log
        import traceback

        traceback.print_exc()
    os._exit(code)
