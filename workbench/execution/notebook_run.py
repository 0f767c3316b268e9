"""One headless run of a notebook by papermill: validated first, its source untouched, its evidence kept. Called by `orchestration`."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillException, PapermillExecutionError
from traitlets.config import Config

from workbench.errors import NotebookFailed, NotebookInvalid
from workbench.execution.parameters import read_parameters
from workbench.execution.step import STEP_VARIABLE, Step, StepResult, read_outcome, read_saved
from workbench.records import NotebookRun
from workbench.store.objects import Objects, digest_of

__all__ = ["CellEvent", "run_notebook"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEvent:
    """Progress: code cell `cell` of `cells` begins, named by its id."""

    notebook: str
    cell: int
    cells: int
    cell_id: str


def run_notebook(
    step: Step, *, folder: Path, objects: Objects, on_cell: Callable[[CellEvent], None] | None = None, kernel: str = "python3"
) -> StepResult:
    """Runs the notebook of a step in a kernel of its own.

    Args:
        step: what to run, with which parameters and upstream values.
        folder: an empty folder for the step's files; the executed notebook lands there under the source's name.
        objects: where the executed notebook is kept, also when a cell failed.
        on_cell: called before each code cell.
        kernel: the Jupyter kernel's name.

    Raises:
        ParametersInvalid: before any kernel starts.
        NotebookFailed: a cell raised or the kernel died; the message names the cell and the executed notebook.
    """
    source, executed = Path(step.notebook), folder / Path(step.notebook).name
    parameters = read_parameters(source).validate(step.parameters)
    if executed.resolve() == source.resolve():
        raise NotebookInvalid(f"the output {executed} is the source itself", hint="Give the step a folder of its own.")
    folder.mkdir(parents=True, exist_ok=True)
    step.write(folder)
    started = time.perf_counter()
    failure: Exception | None = None
    try:
        _execute(source, executed, parameters, folder, on_cell, kernel)
    except (PapermillException, DeadKernelError) as error:
        failure = error
    digest = objects.write_bytes(executed.read_bytes())[0] if executed.exists() else ""
    if failure is not None:
        raise _failed(source.name, failure, executed) from failure
    evidence = NotebookRun(
        name=source.name, source=digest_of(source), executed=digest, seconds=round(time.perf_counter() - started, 3)
    )
    return StepResult(notebook=evidence, saved=read_saved(folder), outcome=read_outcome(folder))


def _execute(
    source: Path,
    executed: Path,
    parameters: Mapping[str, Any],
    folder: Path,
    on_cell: Callable[[CellEvent], None] | None,
    kernel: str,
) -> None:
    positions: dict[str, int] = {}

    def cell_starts(cell: Any, cell_index: int) -> None:  # noqa: ARG001 - nbclient passes both by name
        if on_cell is not None and cell.cell_type == "code":
            positions.setdefault(cell.id, len(positions) + 1)
            on_cell(CellEvent(notebook=source.name, cell=positions[cell.id], cells=total, cell_id=cell.id))

    total = sum(cell.cell_type == "code" for cell in papermill.iorw.load_notebook_node(str(source)).cells) + bool(parameters)
    with _bound_to(folder), tempfile.TemporaryDirectory(prefix="wb-") as sockets:
        papermill.execute_notebook(
            str(source),
            str(executed),
            parameters=dict(parameters),
            kernel_name=kernel,
            cwd=str(source.parent),
            progress_bar=False,
            log_output=False,
            on_cell_start=cell_starts,
            # ipc alone would use one relative path for all runs in a folder, and parallel runs would share sockets
            config=Config({"KernelManager": {"transport": "ipc", "ip": str(Path(sockets) / "k")}}),
        )


@contextmanager
def _bound_to(folder: Path) -> Iterator[None]:
    """The kernel inherits this process's environment: its session learns from it which step it works for."""
    before = os.environ.get(STEP_VARIABLE)
    os.environ[STEP_VARIABLE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[STEP_VARIABLE]
        else:
            os.environ[STEP_VARIABLE] = before


def _failed(notebook: str, failure: Exception, executed: Path) -> NotebookFailed:
    where = f"The executed notebook shows where: {executed}"
    if isinstance(failure, PapermillExecutionError):
        cell = failure.source.strip().splitlines()[0] if failure.source.strip() else "(empty)"
        return NotebookFailed(
            f"{notebook} failed: {failure.ename}: {failure.evalue}", problems=[f"cell [{failure.exec_count}]: {cell}"], hint=where
        )
    return NotebookFailed(f"{notebook} failed: {type(failure).__name__}: {failure}", hint=where)
