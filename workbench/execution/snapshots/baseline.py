"""What a kernel holds before its first cell, and which names cells bound since. Called by `snapshots.content` and `budget`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Baseline", "baseline", "changed_names"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The names and the process state of a kernel before its first cell."""

    names: Mapping[str, object]
    variables: Mapping[str, str]
    folder: str
    path: tuple[str, ...]
    recursion: int
    extensions: frozenset[str]


def baseline(shell: InteractiveShell) -> Baseline:
    """What exists now; to be called once, before the first cell and before a snapshot is restored."""
    extensions: Any = shell.extension_manager
    return Baseline(
        names=dict(shell.user_ns),
        variables=dict(os.environ),
        folder=os.getcwd(),
        path=tuple(sys.path),
        recursion=sys.getrecursionlimit(),
        extensions=frozenset(extensions.loaded),
    )


def changed_names(shell: InteractiveShell, before: Baseline) -> dict[str, object]:
    """The names that cells bound or bound anew, with their values; a snapshot keeps these."""
    missing = object()
    return {name: value for name, value in shell.user_ns.items() if before.names.get(name, missing) is not value}
