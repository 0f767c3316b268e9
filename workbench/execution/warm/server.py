"""The warm process of a user: imports what every notebook run needs, and forks nests and jobs from it. Started by `asking`.

It runs nothing but imports and stays single-threaded, so that its forks are safe. Clients are processes of the same user, over
a socket in a folder only that user can enter.
"""

from __future__ import annotations

import glob
import importlib
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from workbench.execution.warm.brood import Brood
from workbench.execution.warm.child import freeze
from workbench.execution.warm.imports import changed, stamps
from workbench.execution.warm.inherited import lift_limits
from workbench.execution.warm.nests import Nests
from workbench.execution.warm.wire import ANSWER, Frame, Wire

__all__ = ["main"]

IDLE_SECONDS = 1800.0
ORDER_SECONDS = 2.0
ORDER_BYTES = 64_000_000
CREDENTIALS = struct.Struct("3i")  # pid, uid, gid of SO_PEERCRED: unix(7)


def main(address: str) -> None:
    """Serves until idle; the calling process returns when the server in its background is ready."""
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        ready = os.read(reading, 1)
        os._exit(0 if ready else 1)
    os.close(reading)
    os.setsid()
    lift_limits()
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else the debugger that ipykernel imports complains in the log
    _preload()
    server = _Server(Path(address))
    os.write(writing, b"1")
    os.close(writing)
    with suppress(KeyboardInterrupt):
        server.serve()
    server.close()


def _preload() -> None:
    """What every kernel and every job needs, used once where the first use is slow; none of it starts a thread."""
    from workbench.execution.lazy_grammar import defer_iri_grammar

    defer_iri_grammar()
    import ipykernel.debugger  # noqa: F401 - imported by the kernel when it is made

    glob.glob("*.ipy")  # compiles what every shell looks for
    import IPython.extensions.storemagic  # noqa: F401 - loaded by every shell
    import nbformat
    import papermill  # noqa: F401 - jobs

    import workbench.execution.bookkeeping
    import workbench.execution.client
    import workbench.execution.engine
    import workbench.execution.snapshots.content
    import workbench.execution.warm.job
    import workbench.execution.warm.nest  # noqa: F401
    from workbench.execution.kernels import environment_of
    from workbench.execution.parameters import parse_parameters
    from workbench.execution.rendering import load_renderer

    nbformat.validate(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]))
    parse_parameters("rows: int = 1", "a notebook").defaults()
    with suppress(Exception):  # no kernelspec is installed: who asks for one is told
        environment_of("python3")
    with suppress(Exception):  # nbconvert's templates are not found: who wants a page is told
        load_renderer()
    freeze()


class _Server:
    def __init__(self, address: Path) -> None:
        self.address = address
        self.seen = stamps()
        self.leaving = False
        self.listening = socket.socket(socket.AF_UNIX)
        unnamed = address.with_suffix(f".{os.getpid()}")
        self.listening.bind(str(unnamed))
        unnamed.chmod(0o600)
        self.listening.listen(64)
        unnamed.rename(address)  # whoever finds the address finds a server that answers
        self.inode = address.stat().st_ino
        self.brood = Brood()
        self.brood.watch_signals()
        self.nests = Nests(self.brood)

    def serve(self) -> None:
        """Until it was idle for long, told to stop, or stale with nothing left to do."""
        while not (self.leaving and self.brood.is_empty() and not self.nests.alive) and not self._idle():
            nests = self.nests.sockets()
            ready = self.brood.wait([*([] if self.leaving else [self.listening]), *nests], 5.0)
            for each in ready:
                if each is self.listening:
                    self._accept()
                else:
                    self.nests.hear(nests[each])
            self.nests.give_up()
            if not self.leaving and not self._is_found():
                self._leave()

    def close(self) -> None:
        """Removes the address, unless another server has taken it."""
        if self._is_found():
            self.address.unlink(missing_ok=True)

    def _is_found(self) -> bool:
        """Whether clients find this server: another may have started at the same time and taken the address."""
        with suppress(OSError):
            return self.address.stat().st_ino == self.inode
        return False

    def _idle(self) -> bool:
        return not self.nests.alive and self.brood.idle_seconds() > IDLE_SECONDS

    def _leave(self) -> None:
        self.leaving = True
        self.close()
        self.listening.close()
        self.nests.drop_all()

    def _accept(self) -> None:
        try:
            connection, _ = self.listening.accept()
        except OSError:  # the client is gone already, or this process has too many files open
            return
        _pid, user, _group = CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        client = Wire(connection, most=ORDER_BYTES)
        frame = None
        if user == os.getuid():
            with suppress(EOFError):
                frame = client.receive(time.monotonic() + ORDER_SECONDS)
        if frame is None:
            client.close()
            return
        try:
            kept = self._obey(frame, client)
        except Exception as error:  # whatever a client sends, the others are served
            kept = False
            with suppress(OSError):
                client.send(ANSWER, {"error": f"the order cannot be carried out: {type(error).__name__}: {error}"})
        if not kept:
            client.close()
        for given in frame.files:
            with suppress(OSError):
                os.close(given)

    def _obey(self, frame: Frame, client: Wire) -> bool:
        """Carries an order out; returns whether the connection to the client stays."""
        order = frame.content()
        if order["kind"] in ("state", "stop"):
            client.send(ANSWER, self._state())
            if order["kind"] == "stop":
                self._leave()
            return False
        path = changed(self.seen)
        if path is not None:
            client.send(ANSWER, {"stale": path})
            self._leave()
            return False
        if order["kind"] in ("cells", "jupyter"):
            self.nests.pass_on(order, frame, client)
            return False  # the nest has its own copy of the connection
        module, _, name = order["entry"].partition(":")
        entry = getattr(self._imported(module), name)
        pid = self.brood.fork(client, _job(entry, order, list(frame.files)), gently=True)
        with suppress(OSError):  # a client that is gone is noticed as such, with its job
            client.send(ANSWER, {"pid": pid})
        return True

    def _imported(self, module: str) -> ModuleType:
        """The module of a job, whose files then count among those this process was made of."""
        if module not in sys.modules:
            importlib.import_module(module)
            self.seen = stamps()
            freeze()
        return sys.modules[module]

    def _state(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "jobs": len(self.brood.children), **self.nests.state()}


def _job(entry: Callable[[dict[str, Any], Wire], int], order: dict[str, Any], files: list[int]) -> Callable[[], None]:
    def live() -> None:
        from workbench.execution.warm.child import become, close_others, exit_hooks, reseed, stand_alone

        close_others(files)
        stand_alone()
        reseed()
        *standard, connection = files
        become(standard, order)
        code = entry(order["job"], Wire(socket.socket(fileno=connection)))
        exit_hooks()
        os._exit(code)

    return live
