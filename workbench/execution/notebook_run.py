"""One headless run of a notebook by papermill: validated first, source untouched, evidence kept. Called by `orchestration`."""

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
from jupyter_client.kernelspec import NoSuchKernel
from papermill.exceptions import PapermillException, PapermillExecutionError
from papermill.iorw import load_notebook_node
from traitlets.config import Config

from workbench.errors import ComponentMissing, NotebookFailed, NotebookInvalid
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


@dataclass(slots=True)
class _Watch:
    """Counts the code cells as they begin, and reports them."""

    notebook: str
    cells: int
    report: Callable[[CellEvent], None] | None
    begun: int = 0
    source: str = ""

    def cell_begins(self, cell: Any, cell_index: int) -> None:
        """What nbclient calls before each cell, of whatever type; it passes both arguments by name."""
        if cell.cell_type != "code":
            return
        self.begun, self.source = self.begun + 1, cell.source
        if self.report is not None:
            self.report(CellEvent(notebook=self.notebook, cell=self.begun, cells=self.cells, cell_id=cell.id))


def run_notebook(
    step: Step, *, folder: Path, objects: Objects, on_cell: Callable[[CellEvent], None] | None = None, kernel: str = "python3"
) -> StepResult:
    """Runs the notebook of a step in a kernel of its own, one at a time in each process.

    Args:
        step: what to run, with which parameters and upstream values.
        folder: an empty folder for the step's files; the executed notebook lands there under the source's name.
        objects: where the executed notebook is kept, also when a cell failed.
        on_cell: called before each code cell.
        kernel: the Jupyter kernel's name.

    Raises:
        NotebookInvalid: the notebook breaks the template contract; no kernel was started.
        ParametersInvalid: a parameter does not fit; no kernel was started.
        ComponentMissing: the kernel is not installed.
        NotebookFailed: a cell raised or the kernel died; the message names the cell and the executed notebook.
    """
    source, folder = Path(step.notebook).absolute(), folder.absolute()
    executed = folder / source.name
    parameters = read_parameters(source).validate(step.parameters)
    if executed.resolve() == source.resolve():
        raise NotebookInvalid(f"the output {executed} is the source itself", hint="Give the step a folder of its own.")
    watch = _Watch(source.name, _count_cells(source, parameters), on_cell)
    folder.mkdir(parents=True, exist_ok=True)
    step.write(folder)
    ran, started = digest_of(source), time.perf_counter()
    failure: Exception | None = None
    try:
        _execute(source, executed, parameters, watch, kernel)
    except NoSuchKernel as error:
        raise ComponentMissing(
            f"the Jupyter kernel {kernel!r} is not installed", hint="List what is: jupyter kernelspec list. Or: workbench doctor"
        ) from error
    except (PapermillException, RuntimeError, TimeoutError) as error:  # the last two: its kernel died, or never answered
        failure = error
    kept = objects.write_bytes(executed.read_bytes())[0] if executed.exists() else ""
    if failure is not None:
        raise _failed(failure, watch, executed) from failure
    evidence = NotebookRun(name=source.name, source=ran, executed=kept, seconds=round(time.perf_counter() - started, 3))
    return StepResult(notebook=evidence, saved=read_saved(folder), outcome=read_outcome(folder))


def _count_cells(source: Path, parameters: Mapping[str, Any]) -> int:
    """How many code cells will begin: the notebook's own, and the one that papermill adds for given parameters."""
    try:
        cells = load_notebook_node(str(source)).cells
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise NotebookInvalid(
            f"{source.name} is not a notebook: {error}", hint="Open it in JupyterLab and save it again."
        ) from error
    own: int = sum(cell.cell_type == "code" for cell in cells)
    replaces = any("injected-parameters" in cell.metadata.tags for cell in cells)
    return own + (bool(parameters) and not replaces)


def _execute(source: Path, executed: Path, parameters: Mapping[str, Any], watch: _Watch, kernel: str) -> None:
    with _bound_to(executed.parent), tempfile.TemporaryDirectory(prefix="wb-") as sockets:
        papermill.execute_notebook(
            _unformatted(source),
            _unformatted(executed),
            parameters=dict(parameters),
            kernel_name=kernel,
            cwd=str(source.parent),
            progress_bar=False,
            log_output=False,
            on_cell_start=watch.cell_begins,
            # ipc alone would use one relative path for all runs in a folder, and parallel runs would share sockets
            config=Config({"KernelManager": {"transport": "ipc", "ip": str(Path(sockets) / "k")}}),
        )


def _unformatted(path: Path) -> str:
    """A path for papermill, which would fill parameters into its braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


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


def _failed(failure: Exception, watch: _Watch, executed: Path) -> NotebookFailed:
    if isinstance(failure, PapermillExecutionError):
        what, where, cell = f"{failure.ename}: {failure.evalue}", f"cell [{failure.exec_count}]", failure.source
    else:
        what, where, cell = f"{type(failure).__name__}: {failure}", f"cell {watch.begun} of {watch.cells}", watch.source
    return NotebookFailed(
        f"{watch.notebook} failed: {what}",
        problems=[f"{where}: {cell.strip().partition(chr(10))[0]}"],
        hint=f"The executed notebook shows where: {executed}",
    )
