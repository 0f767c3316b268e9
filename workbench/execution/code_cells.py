"""The code cells of a notebook file, without their outputs. Used by whoever asks what a notebook says, without running it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import NotebookInvalid, did_you_mean

__all__ = ["CodeCell", "code_cells"]

FORMAT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeCell:
    """One code cell; where the file's format knows no ids, `id` is the cell's position."""

    id: str
    source: str
    metadata: Mapping[str, Any]
    tags: frozenset[str]

    def has_tag(self, tag: str) -> bool:
        """Whether the cell carries a tag."""
        return tag in self.tags

    @property
    def is_injected(self) -> bool:
        """Whether papermill has added it, for given parameters."""
        return self.has_tag("injected-parameters")


def code_cells(notebook: Path) -> list[CodeCell]:
    """The code cells, in order.

    Raises:
        NotebookInvalid: the file is missing, or not a notebook of format 4.
    """
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
        if content["nbformat"] != FORMAT:
            raise ValueError(f"its format is {content['nbformat']}, expected {FORMAT}")
        return [
            CodeCell(
                id=cell.get("id", str(position)),
                source="".join(cell["source"]),
                metadata={**cell.get("metadata", {})},
                tags=frozenset(cell.get("metadata", {}).get("tags", ())),
            )
            for position, cell in enumerate(content["cells"])
            if cell["cell_type"] == "code"
        ]
    except FileNotFoundError as error:
        known = [path.name for path in notebook.parent.glob("*.ipynb")]
        raise NotebookInvalid(f"no notebook {notebook}", hint=did_you_mean(notebook.name, known)) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotebookInvalid(
            f"{notebook.name} is not a notebook: {error}", hint="Open it in JupyterLab and save it again."
        ) from error
