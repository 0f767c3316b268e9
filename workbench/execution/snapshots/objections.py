"""What pickle would accept, or refuse without a reason, and no other process could use. Called by `snapshots.pickling`."""

from __future__ import annotations

import io
import mmap
import sys
import tempfile
import weakref
from multiprocessing.shared_memory import SharedMemory
from typing import Any

__all__ = ["CannotCarryError", "objection"]


class CannotCarryError(Exception):
    """An object that no other process could use; the message says why."""


_OBJECTIONS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (memoryview, "it is a view of memory that belongs to another object"),
    ((mmap.mmap, SharedMemory), "it is mapped memory, which ends with this process"),
    ((tempfile.TemporaryDirectory, weakref.finalize), "it cleans up when this process ends"),
)


def objection(obj: Any) -> str | None:
    """Why an object must not be stored, or None. A closed file is welcome: `with open(...) as f` leaves one behind."""
    if isinstance(obj, io.IOBase) and not isinstance(obj, io.BytesIO | io.StringIO):
        return None if obj.closed else "it is an open file"
    for kinds, reason in _OBJECTIONS:
        if isinstance(obj, kinds):
            return reason
    return _of_libraries(obj)


def _of_libraries(obj: Any) -> str | None:
    numpy, widgets = sys.modules.get("numpy"), sys.modules.get("ipywidgets.widgets.widget")
    if numpy is not None and isinstance(obj, numpy.memmap) and obj.flags.writeable and obj.mode in ("r+", "w+"):
        return "what is written to it goes to a file"
    if widgets is not None and isinstance(obj, widgets.Widget):
        return "it lives in the page that shows it"
    return None
