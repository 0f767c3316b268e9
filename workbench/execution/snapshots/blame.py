"""Which variables keep a namespace from being stored, and why. Called by `snapshots.folder` when a snapshot failed."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from workbench.errors import bounded
from workbench.execution.snapshots.objections import CannotCarryError
from workbench.execution.snapshots.pickling import NamespacePickler
from workbench.execution.snapshots.sealed import HoldsSecretError, Inspection, Refused, Sink

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["blame", "refusal"]


def blame(shell: InteractiveShell, content: dict[str, dict[str, Any]], inspection: Inspection | None) -> tuple[Refused, ...]:
    """Tries each part of a snapshot's content alone, and names those that fail; nothing is written anywhere.

    Args:
        shell: the shell whose namespace failed.
        content: the parts by section and name.
        inspection: what says that bytes hold a secret.
    """
    found = []
    seen: set[int] = set()
    for name, value in _parts(content):
        if id(value) in seen:
            continue
        seen.add(id(value))
        with open(os.devnull, "wb") as nowhere:
            sink, buffers = Sink(nowhere, b"", inspection), list[pickle.PickleBuffer]()
            pickler = NamespacePickler(sink, shell, buffers.append)
            try:
                pickler.dump(value)
                if inspection is not None:
                    sink.memory(buffers)
                sink.inspect()
            except Exception as error:  # an object's own __reduce__ may raise anything
                found.append(refusal(name, value, error, inspection, inside=pickler.seen))
    return tuple(found)


def _parts(content: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The parts, the user's own names first, so that what `_` and `Out` hold too goes by the name that the user knows."""
    for section, parts in content.items():
        for name in sorted(parts, key=lambda name: name.startswith("_")):
            yield (name if section == "names" else f"{section}: {name}"), parts[name]


def refusal(name: str, value: object, error: Exception, inspection: Inspection | None, *, inside: type | None = None) -> Refused:
    """The reason in words; one that quotes a secret is left out."""
    if isinstance(error, HoldsSecretError):
        return Refused(name=name, type=_type_name(type(value)), why=f"holds secret {error}")
    why = str(error) if isinstance(error, CannotCarryError) else f"{type(error).__name__}: {error}"
    if inside is not None and inside is not type(value):
        why = f"it holds a {_type_name(inside)}: {why}"
    if inspection is not None and inspection(why.encode()) is not None:
        why = type(error).__name__
    return Refused(name=name, type=_type_name(type(value)), why=bounded(why, 300))


def _type_name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
