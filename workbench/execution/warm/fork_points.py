"""Copies of a running kernel, forked before cells, from which a failed run continues. Runs in the kernel's process.

A fork point shares the kernel's memory until one of them writes (copy on write), so gigabytes cost milliseconds. It sleeps. When
its kernel fails, dies or is killed, it stays for a while, and each run that continues is forked from it, so that one state can
be continued several times. Linux forks only the calling thread: a kernel with threads of its own has no fork points.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.execution.warm.attached import open_channels
from workbench.execution.warm.brood import Brood
from workbench.execution.warm.child import one_thread, stand_alone, take_files
from workbench.execution.warm.gpu import driver_started
from workbench.execution.warm.kept import END, accepted, left_alone, listening_at, waiting_entry
from workbench.execution.warm.kernel import WarmKernel
from workbench.execution.warm.mending import Mending
from workbench.execution.warm.wire import ANSWER, ORDER, Frame, Wire, pair

__all__ = ["ForkPoints", "reason_against_forking"]

GRACE_SECONDS, SHARE = 0.5, 0.05
"""What forks may cost a run: half a second, and a twentieth of the time that it has taken."""

HARMLESS_THREADS = ("MainThread", "kernel-output", "IPythonHistorySavingThread", "tqdm_monitor")
POLL_SECONDS = 5.0
READY_SECONDS = 5.0
ADOPTED = ("WORKBENCH_", "METAFLOW_", "MF_")
"""Variables that a continued kernel takes from the run that continues; all others are the notebook's own."""


def reason_against_forking() -> str | None:
    """Why this process cannot be copied by a fork, or None."""
    foreign = [each.name for each in threading.enumerate() if each.name not in HARMLESS_THREADS and not _is_monitor(each)]
    if foreign:
        return f"the notebook runs threads ({', '.join(foreign[:3])})"
    with suppress(OSError):
        for task in os.listdir("/proc/self/task"):
            if Path(f"/proc/self/task/{task}/comm").read_text().startswith("polars"):
                return "polars has started its threads, which a fork does not copy"
    torch: Any = sys.modules.get("torch")
    if driver_started() or (torch is not None and hasattr(torch, "cuda") and torch.cuda.is_initialized()):
        return "a GPU is in use, which a fork cannot share"
    return None


def _is_monitor(thread: threading.Thread) -> bool:
    return type(thread).__name__ == "TMonitor"  # tqdm's, which only refreshes bars


@dataclass(slots=True)
class ForkPoints:
    """The fork point of one kernel: at most one at a time, the newest."""

    kernel: WarmKernel
    wire: Wire
    keep_seconds: float
    notebook: str
    step: str
    continue_with: Callable[[WarmKernel, Wire], None]
    began: float = field(default_factory=time.monotonic)
    spent: float = 0.0
    last: float = 0.0
    link: str = ""
    refused: str | None = None
    _point: Wire | None = None
    _forked: list[int] = field(default_factory=list)
    _drawn: Any = None

    def before_cell(self, link: str) -> None:
        """Copies the kernel as it is before a cell runs, where the time allows and a copy would be whole."""
        if self.spent + self.last > GRACE_SECONDS + SHARE * (time.monotonic() - self.began):
            return
        self.refused = reason_against_forking()
        if self.refused is not None:
            self.drop()
            return
        started = time.monotonic()
        ours, theirs = pair()
        sys.stdout.flush()
        sys.stderr.flush()
        self._drawn = random.getstate()
        with self.kernel.capture.lock, self.wire.sending, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any thread, also of our own
            pid = os.fork()
        if pid == 0:
            ours.close()
            self._sleep(theirs, link)
        theirs.close()
        self.drop()
        self._forked.append(pid)
        try:
            ours.receive(started + READY_SECONDS)
        except EOFError:
            self.refused = "the copy of the kernel did not live"
            return
        self._point, self.link = ours, link
        self.last = time.monotonic() - started
        self.spent += self.last

    def drop(self) -> None:
        """Lets the fork point end."""
        if self._point is not None:
            with suppress(OSError):
                self._point.send(ORDER, {"drop": True})
            self._point.close()
            self._point = None
        self._forked = [pid for pid in self._forked if not _has_ended(pid)]

    def keep(self) -> bool:
        """Lets the fork point outlive this kernel, and says whether there is one: to go away without `drop` does it."""
        there = self._point is not None
        if self._point is not None:
            self._point.close()
            self._point = None
        return there

    def _sleep(self, original: Wire, link: str) -> None:
        """The life of a fork point; never returns."""
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self._point is not None:
            self._point.close()
        self.wire.close()
        self.kernel.capture.abandon()
        try:
            self._serve(original, link)
        finally:
            os._exit(0)

    def _serve(self, original: Wire, link: str) -> None:
        """Forks a kernel for whoever asks, while the original lives and `keep_seconds` after it failed, died or was killed."""
        entry = waiting_entry("fork_point", link, self.notebook, self.step, self.keep_seconds)
        brood = Brood()
        brood.watch_signals()
        mending = Mending(brood)
        with listening_at(entry) as listening:
            original.send(ANSWER, {"ready": entry.pid})
            alive = True
            while alive or not brood.is_empty() or mending.outputs or brood.idle_seconds() < self.keep_seconds:
                mending.mend()
                sockets = [listening, *([original.socket] if alive else [])]
                ready = brood.wait(sockets, min(mending.seconds(), POLL_SECONDS))
                if original.socket in ready:
                    alive = False
                    with suppress(EOFError):
                        frame = original.receive()
                        self.keep_seconds = 0.0 if frame is not None and "drop" in frame.content() else self.keep_seconds
                    if self.keep_seconds:
                        left_alone(entry, self.keep_seconds)
                if listening in ready:
                    self._accept(listening, brood, mending, original)

    def _accept(self, listening: socket.socket, brood: Brood, mending: Mending, original: Wire) -> None:
        client, frame = accepted(listening)
        if frame is None:
            return
        if frame.content() == END:
            self.keep_seconds = 0.0
            client.close()
            return

        def live() -> None:
            listening.close()
            original.close()
            self._become(frame)

        order = frame.content()
        attaches = order["kind"] == "attach"
        pid = brood.fork_alone(live) if attaches else brood.fork(client, live)
        mending.watch(pid, order.get("output"))
        with suppress(OSError):
            client.send(ANSWER, {"pid": pid})
        if attaches:
            client.close()
        for given in frame.files:
            os.close(given)

    def _become(self, frame: Frame) -> None:
        """In the fork of a fork point: the kernel of a run that continues, or of a person who attaches; never returns."""
        stand_alone()
        random.setstate(self._drawn)  # Python seeds this generator anew in every fork; a copy goes on as the original would
        order = frame.content()
        if order["kind"] == "attach":
            take_files(frame.files)
            self.kernel.renew()
            one_thread()
            open_channels(self.kernel, order)
        else:
            self._continue(frame)

    def _continue(self, frame: Frame) -> None:
        *files, connection = frame.files
        order = frame.content()
        take_files(files)
        os.environ.update({name: value for name, value in order["environment"].items() if name.startswith(ADOPTED)})
        one_thread()
        talk = Wire(socket.socket(fileno=connection))
        self.kernel.renew()
        self.kernel.prepare()
        self.kernel.start(talk)
        talk.send(ANSWER, {"ready": os.getpid(), "language_info": self.kernel.kernel.language_info})
        self.continue_with(self.kernel, talk)


def _has_ended(pid: int) -> bool:
    """Takes the exit status of one child; those of the notebook's own children are left to the notebook."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
