"""What IPython itself knows of the cells: In, Out, the counter, the sources that tracebacks show. Called by `folder`."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["read_history", "write_history"]


def read_history(shell: InteractiveShell) -> dict[str, Any]:
    """The history of a shell, by part; not copied."""
    kept: Any = shell.history_manager
    return {
        "In": list(kept.input_hist_parsed),
        "raw": list(kept.input_hist_raw),
        "Out": dict(kept.output_hist),
        "_dh": list(kept.dir_hist),
        "last": (kept._i, kept._ii, kept._iii, kept._i00),
        "count": shell.execution_count,
        "sources": {name: (number, linecache.cache.get(name)) for name, number in shell.compile._filename_map.items()},
    }


def write_history(shell: InteractiveShell, history: dict[str, Any]) -> None:
    """Makes a history the shell's own, in the very lists that `In` and `Out` are."""
    kept: Any = shell.history_manager
    kept.input_hist_parsed[:] = history["In"]
    kept.input_hist_raw[:] = history["raw"]
    kept.output_hist.clear()
    kept.output_hist.update(history["Out"])
    kept.dir_hist[:] = history["_dh"]
    kept._i, kept._ii, kept._iii, kept._i00 = history["last"]
    shell.execution_count = history["count"]
    # the shell stops updating _ when the notebook has bound it; it tells by comparing with what it put there last
    for name in ("_", "__", "___"):
        setattr(shell.displayhook, name, shell.user_ns.get(name))
    for name, (number, source) in history["sources"].items():
        shell.compile._filename_map[name] = number
        if source is not None:
            linecache.cache[name] = source
