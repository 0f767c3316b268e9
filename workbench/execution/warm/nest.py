"""A nest: a warm process that has imported what one notebook imports, and forks a kernel for each run. Forked by `server`."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from workbench.execution.warm.attached import serve_jupyter
from workbench.execution.warm.brood import Brood, native_threads
from workbench.execution.warm.cells import get_ready, run_cells
from workbench.execution.warm.child import close_others, end_with_parent, freeze
from workbench.execution.warm.imports import hidden, import_all, stamps
from workbench.execution.warm.kernel import INLINE, WarmKernel, build_kernel
from workbench.execution.warm.mending import Mending
from workbench.execution.warm.wire import ANSWER, ORDER, Frame, Wire, pair

__all__ = ["IDLE_SECONDS", "run_nest"]

IDLE_SECONDS = 900.0
POLL_SECONDS = 5.0
BUSY_SECONDS = 0.2
"""For how long the next spare waits while kernels work, since its fork would take a processor from them."""


def run_nest(wire: Wire, modules: Sequence[str], environment: Mapping[str, str]) -> None:
    """Imports the modules, tells the server what it became, then serves orders; never returns.

    The server is answered `ready`, or `unfit` with the modules that must not be imported ahead; then this process is of no use.
    """
    end_with_parent()
    os.environ.clear()
    os.environ.update({"MPLBACKEND": INLINE, **environment})
    kernel = build_kernel()  # before the first fork, so that all kernels share it; libraries ask for it when they are imported
    with kernel.shell.builtin_trap:  # libraries that ask where they are imported find the shell, as in a cell
        unfit = import_all(modules, lambda: kernel.session.dropped)
    if unfit:
        wire.send(ANSWER, {"unfit": unfit})
        os._exit(0)
    kernel.shell.display_formatter.format(1)  # builds what the first output would
    kernel.shell._sys_modules_keys = set(sys.modules)  # what an aggressive `%reset` leaves
    freeze()
    wire.send(ANSWER, {"ready": os.getpid(), "stamps": stamps(kernel.application.configuration())})
    with suppress(EOFError):
        _Nest(wire, kernel).serve()
    os._exit(0)


@dataclass(slots=True)
class _Spare:
    """A kernel forked ahead, which waits for its order."""

    pid: int
    wire: Wire


class _Nest:
    def __init__(self, wire: Wire, kernel: WarmKernel) -> None:
        self.wire, self.kernel = wire, kernel
        self.threads = native_threads()
        self.spare: _Spare | None = None
        self.spares_live = True  # one that died unasked is not followed by another before the next order
        self.leaving = False
        self.handed_out = 0.0
        self.brood = Brood(on_end=self._ended)
        self.brood.watch_signals()
        self.mending = Mending(self.brood)

    def serve(self) -> None:
        """Until it was idle for long, or the server closed the wire and the last kernel ended."""
        while (not self.leaving or self.brood.children or self.mending.outputs) and self.brood.idle_seconds() < IDLE_SECONDS:
            if self._lacks_spare() and (not self.brood.children or time.monotonic() > self.handed_out + BUSY_SECONDS):
                self._fork_spare()
            sockets: list[socket.socket] = [] if self.leaving else [self.wire.socket]
            self.mending.mend()
            seconds = min(self.mending.seconds(), BUSY_SECONDS if self._lacks_spare() else POLL_SECONDS)
            if self.brood.wait(sockets, 0.0 if self.wire.pending() else seconds) or self.wire.pending():
                self._take_order()

    def _lacks_spare(self) -> bool:
        return self.spare is None and self.spares_live and not self.leaving and not self.wire.pending()

    def _take_order(self) -> None:
        try:
            frame = self.wire.receive()
        except EOFError:
            self.leaving = True
            return
        if frame is None:
            return
        client = Wire(socket.socket(fileno=frame.files[0]))
        answer = self._answer(frame, client)
        with suppress(OSError):  # a client that is gone is noticed as such, with its kernel
            client.send(ANSWER, answer)
        if "pid" not in answer:
            client.close()
        for given in frame.files[1:]:
            os.close(given)

    def _answer(self, frame: Frame, client: Wire) -> dict[str, Any]:
        """Forks what is ordered; answers with its process id, or why not."""
        order = frame.content()
        if native_threads() > self.threads:
            self.leaving = True
            self.wire.close()  # the server looks for another nest
            return {"error": "an import started threads later; forking them is not safe"}
        local = hidden(order["cwd"])
        if local is not None:
            return {"error": f"{local} would be imported instead of the installed module that is loaded already"}
        try:
            pid = (self._hand_out if order["kind"] == "cells" else self._fork_jupyter)(order, frame, client)
        except OSError as error:
            return {"error": f"no process can be forked: {error.strerror}"}
        self.mending.watch(pid, order.get("output"))
        return {"pid": pid}

    def _hand_out(self, order: dict[str, Any], frame: Frame, client: Wire) -> int:
        """The spare takes the order; without one, a kernel is forked for it."""
        spare, self.spare, self.spares_live = self.spare, None, True
        self.handed_out = time.monotonic()
        if spare is not None:
            with suppress(OSError):
                spare.wire.send_files(ORDER, frame.payload, frame.files[1:])
                spare.wire.close()
                self.brood.adopt(spare.pid, client)
                return spare.pid

        def live() -> None:
            close_others(frame.files[1:])
            get_ready(self.kernel)
            _run(self.kernel, order, frame.files[1:])

        return self.brood.fork(client, live)

    def _fork_jupyter(self, order: dict[str, Any], frame: Frame, client: Wire) -> int:
        return self.brood.fork(client, lambda: serve_jupyter(self.kernel, order, list(frame.files[1:])))

    def _fork_spare(self) -> None:
        ours, theirs = pair()

        def live() -> None:
            close_others([theirs.fileno()])
            _wait_as_spare(self.kernel, theirs)

        with suppress(OSError):  # no more processes: the next kernel is forked when it is ordered, or refused
            self.spare = _Spare(self.brood.fork(None, live), ours)
        theirs.close()

    def _ended(self, pid: int) -> None:
        if self.spare is not None and self.spare.pid == pid:
            self.spare.wire.close()
            self.spare, self.spares_live = None, False


def _wait_as_spare(kernel: WarmKernel, wire: Wire) -> None:
    get_ready(kernel)
    try:
        frame = wire.receive()
    except EOFError:
        sys.exit(0)
    wire.close()
    assert frame is not None  # noqa: S101 - without a deadline, receive waits
    _run(kernel, frame.content(), frame.files)


def _run(kernel: WarmKernel, order: dict[str, Any], given: Sequence[int]) -> None:
    *files, connection = given
    run_cells(kernel, order, files, Wire(socket.socket(fileno=connection)))
