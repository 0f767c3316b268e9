"""The papermill engine `workbench`: warm kernels, crash-safe saves, honest failures. papermill finds it by its entry point.

    papermill --engine workbench in.ipynb out.ipynb

Where no warm kernel can serve (another language, interpreter or platform), nbclient runs the notebook in a kernel of its own, as
papermill's default engine does; the log and the notebook's metadata say so and why.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager
from papermill.log import logger

from workbench.execution.kernels import environment_of
from workbench.execution.warm.asking import Unavailable

if TYPE_CHECKING:
    from workbench.execution.client import WarmClient
    from workbench.execution.saving import NotebookFile

__all__ = ["Terminated", "WorkbenchEngine"]

CELL_BYTES = 50_000_000
NOTEBOOK_BYTES = 500_000_000
UNSUPPORTED = ("km", "kernel_manager_class", "coalesce_streams")
"""Options that concern a kernel with ZeroMQ channels."""


class Terminated(SystemExit):
    """SIGTERM reached the runner: the notebook was saved with its cell marked failed, and the process ends."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class SavedManager(NotebookExecutionManager):  # type: ignore[misc]
    """papermill's bookkeeping of a run, saved cell by cell instead of as a whole each time."""

    file: NotebookFile | None = None

    def save_to(self, path: Path) -> None:
        """From now on saves go to this local file."""
        from workbench.execution.saving import NotebookFile

        self.file = NotebookFile(path, self.nb)

    def changed(self, index: int) -> None:
        """Outputs of a cell that is not the running one changed."""
        if self.file is not None:
            self.file.changed(index)

    def save(self, **given: Any) -> None:  # noqa: ANN401 - papermill passes a changed notebook by keyword
        """Called by papermill's bookkeeping at every change."""
        if self.file is None:
            super().save(**given)
        else:
            self.file.save()
            self.last_save_time = self.now()

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **given: Any) -> None:  # noqa: ANN401
        """A cell begins."""
        self.running = cell_index
        self._note(cell_index)
        super().cell_start(cell, cell_index, **given)

    def cell_complete(self, cell: NotebookNode, cell_index: int | None = None, **given: Any) -> None:  # noqa: ANN401
        """A cell ended, well or not; from now on no kill can lose it."""
        self._note(cell_index)
        super().cell_complete(cell, cell_index, **given)
        if self.file is not None and cell_index is not None:
            self.file.cell_ended(cell_index)

    def autosave_cell(self, **given: Any) -> None:  # noqa: ANN401
        """Called at every message: a long cell's outputs so far are saved now and then."""
        if self.file is None:
            super().autosave_cell(**given)
        elif self.autosave_cell_every:
            self._note(self.running)
            self.file.save()

    def notebook_complete(self, **given: Any) -> None:  # noqa: ANN401
        """The run is over; the file is complete, valid and on disk."""
        super().notebook_complete(**given)
        if self.file is not None:
            self.file.finish()

    def _note(self, index: int | None) -> None:
        if self.file is not None and index is not None:
            self.file.changed(index)


class WorkbenchEngine(NBClientEngine):  # type: ignore[misc]
    """Runs a notebook in a warm kernel of its own.

    Options beyond papermill's: `cell_bytes` and `notebook_bytes` cap the output, and a cell that exceeds them fails.
    """

    @classmethod
    def execute_notebook(
        cls,
        nb: NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool | dict[str, Any] = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        **options: Any,  # noqa: ANN401 - papermill's interface: what it was given beyond its own options
    ) -> NotebookNode:
        """What papermill calls; returns the executed notebook."""
        managed = SavedManager(
            nb,
            output_path=output_path,
            progress_bar=progress_bar,
            log_output=log_output,
            autosave_cell_every=autosave_cell_every,
        )
        local = _local(output_path)
        if local is not None:
            managed.save_to(local)
        managed.notebook_start()
        try:
            with _terminable():
                cls.execute_managed_notebook(managed, kernel_name, log_output=log_output, **options)
        finally:
            managed.cleanup_pbar()
            managed.notebook_complete()
        return managed.nb

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: SavedManager,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,  # noqa: ANN401
        stderr_file: Any = None,  # noqa: ANN401
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        cell_bytes: int = CELL_BYTES,
        notebook_bytes: int = NOTEBOOK_BYTES,
        **options: Any,  # noqa: ANN401
    ) -> NotebookNode:
        """Runs the cells, in a warm kernel or, when there is none, the standard way."""
        from workbench.execution.client import OutputLimits, WarmClient

        decided = {
            "kernel_name": kernel_name,
            "startup_timeout": start_timeout,
            "timeout": execution_timeout or options.get("timeout"),
            "log": logger,
            "log_output": log_output,
            "stdout_file": stdout_file,
            "stderr_file": stderr_file,
        }
        own = {name: value for name, value in options.items() if name not in ("input_path", "startup_timeout")}
        try:
            kernel, wire = _warm_kernel(nb_man.nb, kernel_name, own)
        except Unavailable as reason:
            logger.warning("workbench: no warm kernel, the standard engine is used: %s", reason)
            nb_man.nb.metadata["workbench"] = {"kernel": "standard", "reason": str(reason)}
            client = PapermillNotebookClient(nb_man, **{**own, **decided})
            return _executed(client, nb_man)
        nb_man.nb.metadata["workbench"] = {"kernel": "warm"}
        warm = WarmClient(nb_man, **{**own, **decided})
        warm.begin(kernel, wire, OutputLimits(cell_bytes, notebook_bytes), start_timeout)
        return _executed(warm, nb_man)


def _warm_kernel(nb: NotebookNode, kernel_name: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401
    from workbench.execution.warm.asking import ask_cells
    from workbench.execution.warm.imports import modules_of

    refused = [name for name in UNSUPPORTED if options.get(name) is not None]
    if refused:
        raise Unavailable(f"{', '.join(refused)} concern a kernel with channels of its own")
    environment = environment_of(kernel_name)
    modules = modules_of(cell.source for cell in nb.cells if cell.cell_type == "code")
    return ask_cells(modules, folder=Path.cwd(), environment=environment)


def _executed(client: PapermillNotebookClient, managed: SavedManager) -> NotebookNode:
    """Runs the client; whatever else than a cell's own error ends the run becomes that cell's error in the notebook."""
    try:
        return client.execute()
    except BaseException as error:
        _mark(error, managed, client)
        raise


def _mark(error: BaseException, managed: SavedManager, client: PapermillNotebookClient) -> None:
    """papermill would call the cell completed."""
    index = getattr(managed, "running", None)
    if index is None:
        return
    cell = managed.nb.cells[index]
    name = "Terminated" if isinstance(error, Terminated) else type(error).__name__
    said = str(error) if not isinstance(error, KeyboardInterrupt | SystemExit) else "the run was cancelled in this cell"
    if cell.cell_type == "code":
        if not any(output.output_type == "error" for output in cell.outputs):
            cell.outputs.append(new_output("error", ename=name, evalue=said, traceback=[f"{name}: {said}"]))
        managed.cell_exception(cell, cell_index=index)
        for later in managed.nb.cells[index + 1 :]:
            later.metadata.papermill["status"] = managed.PENDING
        managed.changed(index)


def _local(output_path: str | None) -> Path | None:
    """The output as a local file, or None where papermill must write it, as to a bucket."""
    from papermill.iorw import LocalHandler, papermill_io

    if not output_path or not isinstance(papermill_io.get_handler(output_path), LocalHandler):
        return None
    return Path(output_path)


@contextmanager
def _terminable() -> Iterator[None]:
    """While a notebook runs, SIGTERM ends it like Ctrl-C does; a handler that somebody else installed is left alone."""

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        raise Terminated

    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
