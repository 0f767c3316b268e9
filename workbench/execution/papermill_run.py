"""Runs one notebook by papermill with the workbench's engine, and tells of each cell. Used by jobs, and where there are none."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import papermill
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from papermill.exceptions import PapermillException, PapermillExecutionError
from papermill.log import logger as papermill_log
from traitlets.config import Config

from workbench.errors import ComponentMissing, NotebookFailed
from workbench.execution.code_cells import code_cells
from workbench.execution.kernels import OWN
from workbench.execution.notebook_run import CellEvent, Execution
from workbench.execution.step import keep_point, return_to_point

__all__ = ["execute"]

INTERRUPTIONS = (PapermillException, RuntimeError, TimeoutError)  # the last two: its kernel died, or never answered


@dataclass(slots=True)
class _Watch:
    """Counts the code cells as they begin, and reports them."""

    notebook: str
    cells: int
    report: Callable[[CellEvent], None]
    folder: Path | None
    begun: int = 0
    finished: int = 0
    source: str = ""

    def cell_begins(self, cell: Any, cell_index: int) -> None:
        """What nbclient calls before each cell, of whatever type; it passes both arguments by name."""
        if cell.cell_type != "code":
            return
        self.begun, self.source = self.begun + 1, cell.source
        self.report(CellEvent(notebook=self.notebook, cell=self.begun, cells=self.cells, cell_id=cell.id))

    def cell_executed(self, cell: Any, cell_index: int, execute_reply: Any) -> None:
        """What nbclient calls after each executed cell, with these names."""
        self.finished += 1
        if self.folder is not None:
            keep_point(self.folder, self.finished)

    def restored(self, cells: int) -> None:
        """So many cells need not run again: what they saved and recorded is there."""
        self.begun = self.finished = cells
        if self.folder is not None:
            keep_point(self.folder, cells)  # so that this run, too, can be continued from here


def execute(execution: Execution, environment: Mapping[str, str], on_cell: Callable[[CellEvent], None]) -> None:
    """Runs the notebook; the kernel inherits `environment`.

    Raises:
        NotebookInvalid: the source is not a notebook.
        ComponentMissing: the kernel is not installed.
        NotebookFailed: a cell raised or the kernel died; the executed notebook shows it.
    """
    source, executed = Path(execution.source), Path(execution.executed)
    folder, continuation = executed.parent, execution.continuation
    watch = _Watch(source.name, _count_cells(source, execution.parameters), on_cell, folder if continuation is not None else None)

    def restored(cells: int) -> None:
        assert continuation is not None and continuation.previous is not None  # noqa: S101 - else nothing is restored
        return_to_point(folder, Path(continuation.previous).parent, cells)
        watch.restored(cells)

    try:
        KernelSpecManager().get_kernel_spec(OWN.get(execution.kernel, execution.kernel))  # before an older output is replaced
        with _environment(environment), _known_parameters(), tempfile.TemporaryDirectory(prefix="wb-") as sockets:
            papermill.execute_notebook(
                _unformatted(source),
                _unformatted(executed),
                parameters=dict(execution.parameters),
                engine_name="workbench",
                kernel_name=execution.kernel,
                cwd=str(source.parent),
                progress_bar=False,
                log_output=False,
                on_cell_start=watch.cell_begins,
                on_cell_executed=watch.cell_executed,
                continuation=continuation,
                on_restored=restored,
                # ipc alone would use one relative path for all runs in a folder, and parallel runs would share sockets
                config=Config({"KernelManager": {"transport": "ipc", "ip": str(Path(sockets) / "k")}}),
            )
    except NoSuchKernel as error:
        raise ComponentMissing(
            f"the Jupyter kernel {execution.kernel!r} is not installed",
            hint="List what is: jupyter kernelspec list. Or: workbench doctor",
        ) from error
    except INTERRUPTIONS as error:
        raise _failed(error, watch, executed) from error


@contextmanager
def _known_parameters() -> Iterator[None]:
    """Papermill does not know every type, and warns of parameters that were checked already."""

    def is_else(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("Passed unknown parameter")

    papermill_log.addFilter(is_else)
    try:
        yield
    finally:
        papermill_log.removeFilter(is_else)


def _count_cells(source: Path, parameters: Mapping[str, Any]) -> int:
    """How many code cells will begin: the notebook's own, and the one that papermill adds for given parameters."""
    cells = code_cells(source)
    replaces = any(cell.is_injected for cell in cells)
    return len(cells) + (bool(parameters) and not replaces)


def _unformatted(path: Path) -> str:
    """A path for papermill, which would fill parameters into its braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """The kernel inherits this process's environment: its session learns from it which step it works for."""
    before = dict(os.environ)
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


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
