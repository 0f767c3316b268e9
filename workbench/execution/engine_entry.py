"""What papermill finds as its engine `workbench`: the real one, imported when a notebook is run with it.

papermill loads the engines of all packages while it is imported itself, so that an entry point which needs papermill would fail
where it is imported first, and cost everybody its time.
"""

from __future__ import annotations

from typing import Any

__all__ = ["engine"]


class _Engine:
    """Stands in for `engine.WorkbenchEngine`, whose methods are the class's own."""

    def __getattr__(self, name: str) -> Any:
        from workbench.execution.engine import WorkbenchEngine

        return getattr(WorkbenchEngine, name)


engine = _Engine()
