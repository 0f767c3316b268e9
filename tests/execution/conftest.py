"""Small notebooks, written cell by cell, and runs of them."""

from __future__ import annotations

import json
import os
import select
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
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


def text_of(cell: Any) -> str:
    """What a cell put out: its streams, results and the messages of its errors."""
    parts = []
    for output in cell.get("outputs", ()):
        if output.output_type == "stream":
            parts.append(output.text)
        elif output.output_type == "error":
            parts.append(f"{output.ename}: {output.evalue}")
        else:
            parts.append(output.data.get("text/plain", ""))
    return "".join(parts)


class Runs:
    """Runs cells as one notebook by papermill with the engine of this project, in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "out.ipynb"

    def write(self, *sources: str) -> Path:
        """A notebook of code cells."""
        cells = [nbformat.v4.new_code_cell(source, id=f"cell-{index}") for index, source in enumerate(sources)]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        path = self.folder / "in.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
        return path

    def __call__(self, *sources: str, **options: Any) -> list[str]:
        """Executes the cells; returns what each put out."""
        import papermill

        given = {"engine_name": "workbench", "progress_bar": False, "cwd": str(self.folder), **options}
        papermill.execute_notebook(str(self.write(*sources)), str(self.output), **given)
        return [text_of(cell) for cell in self.notebook.cells]

    @property
    def notebook(self) -> Any:
        """The executed notebook, checked against the format."""
        found = nbformat.read(self.output, as_version=4)
        nbformat.validate(found)
        return found

    @property
    def code(self) -> list[Any]:
        """The code cells of the executed notebook; papermill adds others that show an error."""
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Runs notebooks."""
    return Runs(tmp_path)


@pytest.fixture
def own_place(monkeypatch: pytest.MonkeyPatch, end_warm_processes: Callable[[str], None]) -> Iterator[Path]:
    """A runtime folder, and so a warm process, of the test's own."""
    folder = Path(tempfile.mkdtemp(prefix="w-"))
    monkeypatch.setenv("WORKBENCH_RUNTIME_DIR", str(folder))
    yield folder
    end_warm_processes(str(folder))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def gone() -> Callable[..., None]:
    """Waits until processes have ended."""

    def wait(*pids: int, seconds: float = 20) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                handle = os.pidfd_open(pid)
                ended = select.select([handle], [], [], seconds)[0]
                os.close(handle)
                assert ended, pid

    return wait
