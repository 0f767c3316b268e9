"""What it costs to save a notebook while it runs. Used by `engine`.

A run is replayed at its own pace, and only the processor time of its saves counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from papermill.iorw import write_ipynb

from tests.benchmarks.table import Measurement
from tests.benchmarks.timing import cpu_seconds, interleaved
from workbench.execution.saving import NotebookFile

MILLI = 1e3


def save_cost(name: str, executed: Path, rounds: int) -> Measurement:
    """Replays an executed notebook: papermill writes it whole before and after each cell, ours goes by `NotebookFile`."""
    cells = sum(cell.cell_type == "code" for cell in nbformat.read(executed, as_version=4).cells)
    scratch = executed.with_suffix(".saved.ipynb")
    ours, peer = interleaved(lambda: _ours(executed, scratch), lambda: _papermill(executed, scratch), rounds=rounds)
    notebook = nbformat.read(executed, as_version=4)
    least = cpu_seconds(lambda: [json.dumps(cell) for cell in notebook.cells])
    last = cpu_seconds(lambda: NotebookFile(scratch, notebook).finish())
    return Measurement(
        path=f"saves of {name}: CPU ms for each cell",
        ours=ours / cells * MILLI,
        peer=peer / cells * MILLI,
        ratio=peer / ours,
        goal="≥ 100 (papermill / ours)",
        limit=(
            f"{least / cells * MILLI:.3g} ms: each cell as JSON, once. Not counted on either side: the last save of a run, "
            f"{last * MILLI:.3g} ms in ours"
        ),
    )


def _papermill(executed: Path, scratch: Path) -> float:
    notebook = nbformat.read(executed, as_version=4)
    return _replay(
        notebook, lambda _index: write_ipynb(notebook, str(scratch)), lambda _index: write_ipynb(notebook, str(scratch))
    )


def _ours(executed: Path, scratch: Path) -> float:
    notebook = nbformat.read(executed, as_version=4)
    file = NotebookFile(scratch, notebook)
    file.save()

    def begin(index: int) -> None:
        file.changed(index)
        file.save()

    spent = _replay(notebook, begin, file.cell_ended)
    file.finish()
    return spent


def _replay(notebook: Any, begin: Callable[[int], object], end: Callable[[int], object]) -> float:
    """Empties the cells and fills them again, each after as long as it took; returns what `begin` and `end` cost in CPU."""
    filled = [(cell.outputs, cell.metadata.papermill.duration) for cell in notebook.cells]
    for cell in notebook.cells:
        cell.outputs = []
    spent = 0.0
    for index, (outputs, seconds) in enumerate(filled):
        spent += cpu_seconds(lambda index=index: begin(index))  # type: ignore[misc]
        time.sleep(seconds)
        notebook.cells[index].outputs = outputs
        spent += cpu_seconds(lambda index=index: end(index))  # type: ignore[misc]
    return spent
