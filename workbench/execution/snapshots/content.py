"""What a snapshot stores of a shell, and how it is put into another. Called by `snapshots.folder`, in the kernel's process."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.execution.snapshots.baseline import Baseline, changed_names
from workbench.execution.snapshots.history import read_history, write_history
from workbench.execution.snapshots.pickling import NamespacePickler, NamespaceUnpickler
from workbench.execution.snapshots.process import apply_changes, process_changes
from workbench.execution.snapshots.sealed import Sealed, Sink
from workbench.execution.snapshots.state import read_state, write_state

if TYPE_CHECKING:
    import pickle

    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Content", "bind", "dump", "load", "read_content"]

Content = dict[str, dict[str, Any]]
"""What is stored, by section (names, history, state, process) and name."""


def read_content(shell: InteractiveShell, before: Baseline) -> Content:
    """What there is to store; the values themselves, not copies."""
    deleted = [name for name in before.names if name not in shell.user_ns]
    return {
        "names": changed_names(shell, before),
        "history": read_history(shell),
        "state": read_state(),
        "process": {**process_changes(shell, before), "deleted": deleted},
    }


def dump(content: Content, sink: Sink, shell: InteractiveShell) -> None:
    """Writes values as one pickle, followed by the memory that it refers to.

    Raises:
        Exception: whatever an object raises that cannot be pickled.
    """
    buffers: list[pickle.PickleBuffer] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that pickling some types is deprecated is nothing the user can change
        NamespacePickler(sink, shell, buffers.append).dump(content)
    sink.memory(buffers)


def load(sealed: Sealed, shell: InteractiveShell) -> Content:
    """Sets the process up and unpickles the values; binds no name.

    Raises:
        Exception: whatever the code of an object raises that cannot be unpickled.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what imports warn of has been seen in the run that took the snapshot
        apply_changes(sealed.header, shell)
        content: Content = NamespaceUnpickler(sealed.pickled, shell, sealed.buffers).load()
    return content


def bind(content: Content, deleted: Sequence[str], shell: InteractiveShell) -> None:
    """Makes the values the shell's: names, history, and the state of libraries last, since imports draw random numbers."""
    shell.user_ns.update(content["names"])
    for name in deleted:
        shell.user_ns.pop(name, None)
    write_history(shell, content["history"])
    write_state(content["state"])
