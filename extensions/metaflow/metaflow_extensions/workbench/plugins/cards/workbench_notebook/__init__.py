"""The card of a notebook step: the executed notebook as one page, rendered once and never executed again."""

from __future__ import annotations

from typing import Any

from metaflow.cards import MetaflowCard

__all__ = ["CARDS", "NotebookCard"]


class NotebookCard(MetaflowCard):
    """Renders the artifact `executed_notebook` of a task."""

    type = "workbench_notebook"
    ALLOW_USER_COMPONENTS = False

    def __init__(self, options: Any = None, components: Any = None, graph: Any = None, flow: Any = None) -> None:
        self.options = options or {}

    def render(self, task: Any) -> str:
        """The page; when no cell was reached, one sentence says so."""
        if "executed_notebook" not in task or task["executed_notebook"].data is None:
            return "<html><body><p>The notebook was refused before its first cell; the log says why.</p></body></html>"
        from workbench.execution.rendering import notebook_page

        return notebook_page(task["executed_notebook"].data)


CARDS = [NotebookCard]
