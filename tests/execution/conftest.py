"""Small notebooks, written cell by cell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def write_notebook(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a notebook of code cells, given by id; a cell named parameters is tagged, and one that starts with # is prose."""
    folder = tmp_path_factory.mktemp("notebooks")

    def write(name: str, *, minor: int = 5, **sources: str) -> Path:
        cells = []
        for cell_id, source in sources.items():
            cell = {"cell_type": "code", "source": source, "outputs": [], "execution_count": None, "metadata": {}}
            if source.startswith("# "):
                cell = {"cell_type": "markdown", "source": source, "metadata": {}}
            if cell_id == "parameters":
                cell["metadata"] = {"tags": ["parameters"]}
            cells.append(cell | ({"id": cell_id} if minor >= 5 else {}))
        path = folder / f"{name}.ipynb"
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        path.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": minor}))
        return path

    return write
