"""The nests of the warm process: which there are, which orders wait for their imports, when one is let go. Used by `server`."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from workbench.execution.warm.brood import Brood
from workbench.execution.warm.imports import changed
from workbench.execution.warm.place import import_environment
from workbench.execution.warm.wire import ANSWER, ORDER, Frame, Wire, pair

__all__ = ["Nests"]

MOST_NESTS = 12
IMPORT_SECONDS = 50.0
"""How long imports may take before their clients are told to go the standard way."""


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


class Nests:
    """One nest for each set of modules and environment that decides what their import does; the least used are let go."""

    def __init__(self, brood: Brood) -> None:
        self.known: dict[str, _Nest] = {}
        self.unfit: set[str] = set()
        self.alive: set[int] = set()  # nests whose processes have not ended: they would end with this one
        self.brood = brood
        brood.on_end = self.alive.discard

    def sockets(self) -> dict[socket.socket, str]:
        """Where nests are heard, with the key that `hear` takes."""
        return {nest.wire.socket: key for key, nest in self.known.items()}

    def state(self) -> dict[str, Any]:
        """The nests, and the modules that are not imported ahead."""
        nests = [{"pid": nest.pid, "modules": list(nest.modules), "ready": nest.ready} for nest in self.known.values()]
        return {"nests": nests, "unfit": sorted(self.unfit)}

    def pass_on(self, order: dict[str, Any], frame: Frame, client: Wire) -> None:
        """Hands an order to the nest that has imported what it asks for, or makes that nest."""
        modules = tuple(name for name in order["modules"] if name not in self.unfit)
        environment = import_environment(order["environment"])
        key = json.dumps([modules, environment])
        nest = self.known.get(key)
        if nest is not None and nest.ready and changed(nest.seen) is not None:
            self._drop(key)
            nest = None
        if nest is None:
            nest = self._fork(key, modules, order["environment"])
        nest.used = time.monotonic()
        waiting = Frame(ORDER, frame.payload, files=tuple(os.dup(given) for given in (client.fileno(), *frame.files)))
        self._deliver(nest, [waiting])

    def _fork(self, key: str, modules: Sequence[str], environment: Mapping[str, str]) -> _Nest:
        while len(self.known) >= MOST_NESTS:
            self._drop(min(self.known, key=lambda each: (not self.known[each].ready, self.known[each].used)))
        ours, theirs = pair()

        def live() -> None:
            from workbench.execution.warm.child import close_others
            from workbench.execution.warm.nest import run_nest

            close_others([theirs.fileno()])
            run_nest(theirs, modules, environment)

        nest = _Nest(self.brood.fork(None, live), ours, modules, environment)
        self.alive.add(nest.pid)
        theirs.close()
        self.known[key] = nest
        return nest

    def hear(self, key: str) -> None:
        """A nest is ready, cannot become one, or is gone."""
        nest = self.known.get(key)
        if nest is None:  # dropped a moment ago
            return
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
            self._deliver(self.known.get(key) or self._fork(key, modules, nest.environment), waiting)
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

    def give_up(self) -> None:
        """Ends nests whose imports do not end, and does none of these imports ahead again."""
        latest = time.monotonic() - IMPORT_SECONDS
        for key, nest in list(self.known.items()):
            if not nest.ready and nest.began < latest:
                self.unfit.update(nest.modules)
                for waiting in nest.pending:
                    with socket.socket(fileno=os.dup(waiting.files[0])) as client, suppress(OSError):
                        Wire(client).send(ANSWER, {"error": f"the notebook's imports take more than {IMPORT_SECONDS:.0f} s"})
                self._drop(key)

    def _drop(self, key: str) -> None:
        """Lets go of a nest: it ends with its last kernel, at once while it imports. Clients that wait for it read EOF."""
        nest = self.known.pop(key)
        nest.wire.close()
        if not nest.ready and nest.pid in self.alive:
            os.kill(nest.pid, signal.SIGKILL)
        for waiting in nest.pending:
            _close(waiting.files)

    def drop_all(self) -> None:
        """Lets go of every nest."""
        for key in list(self.known):
            self._drop(key)


def _send_on(nest: _Nest, frame: Frame) -> None:
    with suppress(OSError):  # the nest is gone: the client reads EOF
        nest.wire.send_files(ORDER, frame.payload, frame.files)
    _close(frame.files)


def _close(files: Sequence[int]) -> None:
    for each in files:
        with suppress(OSError):
            os.close(each)
