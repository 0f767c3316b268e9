"""The warm process of a user: imports what every notebook run needs, and forks nests and jobs from it. Started by `asking`.

It runs nothing but imports and stays single-threaded, so that its forks are safe. Clients are processes of the same user, over
a socket in a folder only that user can enter.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.execution.warm.brood import Brood
from workbench.execution.warm.imports import changed, stamps
from workbench.execution.warm.place import import_environment
from workbench.execution.warm.wire import ANSWER, ORDER, Frame, Wire, pair

__all__ = ["main"]

IDLE_SECONDS = 1800.0
ORDER_SECONDS = 2.0
ORDER_BYTES = 64_000_000
IMPORT_SECONDS = 50.0
"""How long imports may take before their clients are told to go the standard way."""

MOST_NESTS = 12
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
    import nbformat
    import papermill  # noqa: F401 - jobs

    import workbench.execution.client
    import workbench.execution.engine
    import workbench.execution.snapshots.content
    import workbench.execution.warm.job
    import workbench.execution.warm.nest  # noqa: F401
    from workbench.execution.kernels import environment_of
    from workbench.execution.parameters import parse_parameters
    from workbench.execution.rendering import load_renderer
    from workbench.execution.warm.child import freeze

    nbformat.validate(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]))
    parse_parameters("rows: int = 1", "a notebook").defaults()
    with suppress(Exception):  # no kernelspec is installed: who asks for one is told
        environment_of("python3")
    load_renderer()
    freeze()


@dataclass(slots=True)
class _Nest:
    """What the server knows of a nest; orders wait in `pending` until it is ready."""

    pid: int
    wire: Wire
    modules: Sequence[str]
    environment: Mapping[str, str]
    ready: bool = False
    seen: Mapping[str, int] = field(default_factory=dict)
    pending: list[Frame] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    used: float = field(default_factory=time.monotonic)


class _Server:
    def __init__(self, address: Path) -> None:
        self.address = address
        self.seen = stamps()
        self.nests: dict[str, _Nest] = {}
        self.unfit: set[str] = set()
        self.leaving = False
        self.listening = socket.socket(socket.AF_UNIX)
        unnamed = address.with_suffix(f".{os.getpid()}")
        self.listening.bind(str(unnamed))
        unnamed.chmod(0o600)
        self.listening.listen(64)
        unnamed.rename(address)  # whoever finds the address finds a server that answers
        self.inode = address.stat().st_ino
        self.alive: set[int] = set()  # nests whose processes have not ended: they would end with this one
        self.brood = Brood(on_end=self.alive.discard)
        self.brood.watch_signals()

    def serve(self) -> None:
        """Until it was idle for long, told to stop, or stale with nothing left to do."""
        while not (self.leaving and self.brood.is_empty() and not self.alive) and not self._idle():
            nests = {nest.wire.socket: key for key, nest in self.nests.items()}
            ready = self.brood.wait([*([] if self.leaving else [self.listening]), *nests], 5.0)
            for each in ready:
                if each is self.listening:
                    self._accept()
                elif nests[each] in self.nests:
                    self._hear(nests[each])
            self._give_up()
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
        return not self.alive and self.brood.idle_seconds() > IDLE_SECONDS

    def _leave(self) -> None:
        self.leaving = True
        self.close()
        self.listening.close()
        for key in list(self.nests):
            self._drop(key)

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
            self._pass_on(order, frame, client)
            return False  # the nest has its own copy of the connection
        module, _, name = order["entry"].partition(":")
        entry = getattr(importlib.import_module(module), name)
        pid = self.brood.fork(client, _job(entry, order, list(frame.files)), gently=True)
        with suppress(OSError):  # a client that is gone is noticed as such, with its job
            client.send(ANSWER, {"pid": pid})
        return True

    def _state(self) -> dict[str, Any]:
        nests = [{"pid": nest.pid, "modules": list(nest.modules), "ready": nest.ready} for nest in self.nests.values()]
        return {"pid": os.getpid(), "nests": nests, "jobs": len(self.brood.children), "unfit": sorted(self.unfit)}

    def _pass_on(self, order: dict[str, Any], frame: Frame, client: Wire) -> None:
        modules = tuple(name for name in order["modules"] if name not in self.unfit)
        environment = import_environment(order["environment"])
        key = json.dumps([modules, environment])
        nest = self.nests.get(key)
        if nest is not None and nest.ready and changed(nest.seen) is not None:
            self._drop(key)
            nest = None
        if nest is None:
            nest = self._fork_nest(key, modules, order["environment"])
        nest.used = time.monotonic()
        waiting = Frame(ORDER, frame.payload, files=tuple(os.dup(given) for given in (client.fileno(), *frame.files)))
        self._deliver(nest, [waiting])

    def _fork_nest(self, key: str, modules: Sequence[str], environment: Mapping[str, str]) -> _Nest:
        while len(self.nests) >= MOST_NESTS:
            self._drop(min(self.nests, key=lambda each: (not self.nests[each].ready, self.nests[each].used)))
        ours, theirs = pair()

        def live() -> None:
            from workbench.execution.warm.child import close_others
            from workbench.execution.warm.nest import run_nest

            close_others([theirs.fileno()])
            run_nest(theirs, modules, environment)

        nest = _Nest(self.brood.fork(None, live), ours, modules, environment)
        self.alive.add(nest.pid)
        theirs.close()
        self.nests[key] = nest
        return nest

    def _hear(self, key: str) -> None:
        """A nest is ready, cannot become one, or is gone."""
        nest = self.nests[key]
        try:
            frame = nest.wire.receive()
        except EOFError:
            self._drop(key)
            return
        answer = frame.content() if frame is not None else {}
        if "unfit" in answer:
            self.unfit.update(answer["unfit"])
            waiting, nest.pending = nest.pending, []
            self._drop(key)
            modules = tuple(name for name in nest.modules if name not in self.unfit)
            key = json.dumps([modules, import_environment(nest.environment)])
            self._deliver(self.nests.get(key) or self._fork_nest(key, modules, nest.environment), waiting)
        elif "ready" in answer:
            nest.ready, nest.seen = True, answer["stamps"]
            waiting, nest.pending = nest.pending, []
            self._deliver(nest, waiting)

    def _deliver(self, nest: _Nest, orders: Sequence[Frame]) -> None:
        if not nest.ready:
            nest.pending += orders
            return
        for each in orders:
            _send_on(nest, each)

    def _give_up(self) -> None:
        """Ends nests whose imports do not end, and does none of these imports ahead again."""
        latest = time.monotonic() - IMPORT_SECONDS
        for key, nest in list(self.nests.items()):
            if not nest.ready and nest.began < latest:
                self.unfit.update(nest.modules)
                for waiting in nest.pending:
                    with socket.socket(fileno=os.dup(waiting.files[0])) as client, suppress(OSError):
                        Wire(client).send(ANSWER, {"error": f"the notebook's imports take more than {IMPORT_SECONDS:.0f} s"})
                self._drop(key)

    def _drop(self, key: str) -> None:
        """Lets go of a nest: it ends with its last kernel, at once while it imports. Clients that wait for it read EOF."""
        nest = self.nests.pop(key)
        nest.wire.close()
        if not nest.ready and nest.pid in self.alive:
            os.kill(nest.pid, signal.SIGKILL)
        for waiting in nest.pending:
            _close(waiting.files)


def _send_on(nest: _Nest, frame: Frame) -> None:
    with suppress(OSError):  # the nest is gone: the client reads EOF
        nest.wire.send_files(ORDER, frame.content(), frame.files)
    _close(frame.files)


def _close(files: Sequence[int]) -> None:
    for each in files:
        with suppress(OSError):
            os.close(each)


def _job(entry: Callable[[dict[str, Any], Wire], int], order: dict[str, Any], files: list[int]) -> Callable[[], None]:
    def live() -> None:
        from workbench.execution.warm.child import become, close_others, exit_hooks

        close_others(files)
        *standard, connection = files
        become(standard, order)
        code = entry(order["job"], Wire(socket.socket(fileno=connection)))
        exit_hooks()
        os._exit(code)

    return live
