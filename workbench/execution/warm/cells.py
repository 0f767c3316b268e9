"""The life of one warm kernel: takes its order, runs the cells that come over the wire, and ends. Runs in the forked child."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.execution.warm.child import become, exit_hooks, reseed, stand_alone
from workbench.execution.warm.continuity import Continuity
from workbench.execution.warm.kernel import WarmKernel, introduce, request
from workbench.execution.warm.wire import ANSWER, MESSAGE, ORDER, Frame, Wire

__all__ = ["get_ready", "run_cells"]

TRACKERS = ("multiprocessing.resource_tracker", "joblib.externals.loky.backend.resource_tracker")
RESET_PEAK = "5"  # written to /proc/self/clear_refs, resets the peak resident size: proc(5)


def get_ready(kernel: WarmKernel) -> None:
    """Readies a kernel in a process of its own, as far as that takes no order."""
    stand_alone()
    reseed()
    kernel.prepare()
    kernel.application.prepare()
    introduce(kernel.shell)
    kernel.rehearse()


def run_cells(kernel: WarmKernel, order: dict[str, Any], files: list[int], wire: Wire) -> None:
    """Completes a kernel that is ready: it becomes the process that the order describes; never returns."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    become(files, order)
    os.environ.setdefault("PYDEVD_USE_FRAME_EVAL", "NO")  # as ipykernel's launcher does
    sys.argv = ["ipykernel_launcher.py"]
    kernel.shell.init_environment()
    kernel.shell.starting_dir = os.getcwd()
    kernel.shell.history_manager.dir_hist[:] = [Path.cwd()]
    kernel.application.finish()
    kernel.start(wire)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # between cells; ipykernel sets its own handler while one runs
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    wire.send(ANSWER, {"ready": os.getpid(), "language_info": kernel.kernel.language_info})
    _serve(kernel, wire)


def _serve(kernel: WarmKernel, wire: Wire) -> None:
    """Runs requests until the client says quit or goes away; never returns."""
    continuity = Continuity(kernel, wire, _serve)
    order: dict[str, Any] = {}
    with suppress(EOFError):
        while "quit" not in order:
            frame = wire.receive()
            if frame is None:
                continue
            if frame.kind == MESSAGE:
                kernel.dispatch(_message(frame))
            elif frame.kind == ORDER:
                order = frame.content()
                if "execute" in order:
                    _execute(kernel, order, wire, continuity)
                elif "continuity" in order:
                    wire.send(ANSWER, {"continuity": continuity.begin(order["continuity"])})
    if continuity.end(order.get("quit", "gone")):
        continuity.wait_for_person()
    _end(kernel, wire)


def _execute(kernel: WarmKernel, order: dict[str, Any], wire: Wire, continuity: Continuity) -> None:
    """Runs one cell, then tells what it cost."""
    link = order.get("link")
    continuity.before_cell(link)
    before = _Usage.now()
    kernel.dispatch(request("execute_request", order["execute"], order["id"]))
    if os.getpid() != kernel.session.owner:
        os._exit(0)  # the cell forked, and this is its child, which came back
    wire.send(ANSWER, {"done": order["id"], "usage": before.since()})
    continuity.after_cell(order.get("next"), kernel.succeeded)


def _message(frame: Frame) -> dict[str, Any]:
    """A message of the client's, such as a widget's answer."""
    message: dict[str, Any] = json.loads(frame.payload)
    header = message["header"]
    return {**message, "msg_id": header["msg_id"], "msg_type": header["msg_type"], "buffers": list(frame.buffers)}


def _end(kernel: WarmKernel, wire: Wire) -> None:
    kernel.stop()
    kernel.shell.history_manager.end_session = _nothing  # it is in memory, and ends with this process
    with suppress(Exception):
        kernel.shell._atexit_once()
    exit_hooks()
    with suppress(OSError):
        wire.send(ANSWER, {"ended": os.getpid()})
    if not any(getattr(getattr(sys.modules.get(name), "_resource_tracker", None), "_pid", None) for name in TRACKERS):
        os.killpg(0, signal.SIGKILL)  # what the notebook started and left behind ends with it, even if the nest was killed
    os._exit(0)  # the tracker of shared memory cleans up


def _nothing() -> None:
    """Takes the place of work that would be lost."""


class _Usage:
    """Processor time and memory of this process and of the processes it waited for."""

    def __init__(self, cpu: float, started: float) -> None:
        self.cpu, self.started = cpu, started

    @staticmethod
    def _cpu() -> float:
        own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime

    @classmethod
    def now(cls) -> _Usage:
        """Begins to count; the peak of memory starts anew where the system allows it."""
        with suppress(OSError), open("/proc/self/clear_refs", "w") as peak:
            peak.write(RESET_PEAK)
        return cls(cls._cpu(), time.perf_counter())

    def since(self) -> dict[str, float | int]:
        """Seconds, processor seconds, and resident bytes now and at their peak."""
        memory: dict[str, int] = {}
        with suppress(OSError), open("/proc/self/status") as status:
            memory = {line[:5]: int(line.split()[1]) * 1024 for line in status if line.startswith(("VmRSS", "VmHWM"))}
        return {
            "seconds": round(time.perf_counter() - self.started, 6),
            "cpu_seconds": round(self._cpu() - self.cpu, 6),
            "resident_bytes": memory.get("VmRSS", 0),
            "peak_bytes": memory.get("VmHWM", 0),
        }
