"""One pickle of a whole namespace whose functions, once restored, live in the namespace again. Called by `snapshots.folder`.

cloudpickle (https://github.com/cloudpipe/cloudpickle) writes what a notebook defines, by value, but gives the restored
functions a private copy of the globals they use: `n = 5` in a later cell would not reach them. Here the namespace itself, like
every object that a kernel has exactly one of, is written as a persistent id (`pickle`, "Persistence of External Objects") and
stands for the restoring kernel's own. Memory is handed out as protocol 5 buffers (PEP 574).
"""

from __future__ import annotations

import builtins
import pickle
import sys
import types
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any

import cloudpickle

from workbench.execution.snapshots.objections import CannotCarryError, objection
from workbench.execution.snapshots.reducers import reducers

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["NamespacePickler", "NamespaceUnpickler"]

_SINGLES = (
    "os:environ",
    "sys:path",
    "sys:modules",
    "sys:stdin",
    "sys:stdout",
    "sys:stderr",
    "random:_inst",  # what `from random import randint` is bound to
    "numpy.random.mtrand:_rand",  # likewise `from numpy.random import rand`
    "torch:default_generator",
    "matplotlib:rcParams",
)
"""Objects of which a process has one, as module:attribute."""


def _live(shell: InteractiveShell) -> dict[str, object]:
    """The objects that stand for the same ones of another kernel, by the name they are stored under."""
    history: Any = shell.history_manager
    own = {
        "namespace": shell.user_ns,
        "module": shell.user_module,
        "shell": shell,
        "kernel": getattr(shell, "kernel", None),
        "inputs": history.input_hist_parsed,
        "outputs": history.output_hist,
        "folders": history.dir_hist,
    }
    singles = (single.split(":") for single in _SINGLES)
    loaded = {f"{name}:{part}": getattr(sys.modules[name], part) for name, part in singles if name in sys.modules}
    return {name: value for name, value in (own | loaded).items() if value is not None}


class NamespacePickler(cloudpickle.Pickler):  # type: ignore[misc]  # not typed
    """Pickles objects of one shell; `seen` is the type of the object it took up last, to name what it failed on."""

    def __init__(
        self, stream: object, shell: InteractiveShell, buffer_callback: Callable[[pickle.PickleBuffer], object] | None = None
    ) -> None:
        super().__init__(stream, protocol=5, buffer_callback=buffer_callback)
        self._namespace = shell.user_ns
        self._live = {id(value): name for name, value in _live(shell).items()}
        self._reducers = reducers()
        self.globals_ref[id(shell.user_ns)] = shell.user_ns
        self.seen: type = object

    def persistent_id(self, obj: object) -> str | None:
        """The name of an object that every kernel has its own of; called by pickle for each object."""
        return self._live.get(id(obj))

    def reducer_override(self, obj: Any) -> Any:
        """How an object that is no plain value is written; called by pickle before it asks the object itself.

        Raises:
            CannotCarryError: no other process could use what would be restored.
        """
        self.seen = type(obj)
        reason = objection(obj)
        if reason is not None:
            raise CannotCarryError(reason)
        reducer = self._reducers.get(self.seen)
        reduced = NotImplemented if reducer is None else reducer(obj)
        return super().reducer_override(obj) if reduced is NotImplemented else reduced

    def _dynamic_function_reduce(self, func: types.FunctionType) -> tuple[Any, ...]:
        """As cloudpickle does it, but a function of the notebook takes no copy of the globals it mentions along."""
        reduced: tuple[Any, ...] = super()._dynamic_function_reduce(func)
        if func.__globals__ is self._namespace:
            _state, slots = reduced[2]
            slots["__globals__"] = {}
        return reduced


class NamespaceUnpickler(pickle.Unpickler):
    """Unpickles into a shell. Only ever given bytes whose HMAC was right."""

    def __init__(self, stream: IO[bytes] | Any, shell: InteractiveShell, buffers: Sequence[memoryview] = ()) -> None:
        super().__init__(stream, buffers=buffers)
        self._shell, self._live = shell, _live(shell)

    def persistent_load(self, pid: str) -> object:
        """This process's own object of that name; called by pickle."""
        if pid not in self._live:
            module, _, attribute = pid.partition(":")
            self._live[pid] = getattr(import_module(module), attribute)
        return self._live[pid]

    def load(self) -> Any:
        """The object; the namespace is left with the builtins it had, which cloudpickle's functions would replace."""
        try:
            return super().load()
        finally:
            self._shell.user_ns["__builtins__"] = builtins
