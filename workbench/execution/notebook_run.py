"""One headless run of a notebook: validated first, source untouched, evidence kept. Called by `orchestration`.

The run happens in a job, a process forked from the warm one, so that a flow's step imports nothing heavy; where there is no warm
process it happens right here.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from workbench import errors
from workbench.errors import NotebookFailed, NotebookInvalid, WorkbenchError
from workbench.execution.code_cells import code_cells
from workbench.execution.parameters import read_parameters
from workbench.execution.resuming import Continuation
from workbench.execution.step import STEP_VARIABLE, Step, StepResult, read_outcome, read_saved
from workbench.execution.warm.asking import Process, Unavailable, ask_job
from workbench.execution.warm.wire import Wire
from workbench.records import NotebookRun
from workbench.store.objects import Objects, digest_of

__all__ = ["CellEvent", "run_notebook"]

CANCEL_SECONDS = 15.0
"""How long a cancelled run may take to save its notebook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEvent:
    """Progress: code cell `cell` of `cells` begins, named by its id."""

    notebook: str
    cell: int
    cells: int
    cell_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What a job is told: run `source` with `parameters`, write `executed`."""

    source: str
    executed: str
    parameters: dict[str, Any]
    kernel: str
    continuation: Continuation | None = None


def run_notebook(
    step: Step,
    *,
    folder: Path,
    objects: Objects,
    on_cell: Callable[[CellEvent], None] | None = None,
    kernel: str = "python3",
    continuation: Continuation | None = None,
) -> StepResult:
    """Runs the notebook of a step in a kernel of its own.

    Args:
        step: what to run, with which parameters and upstream values.
        folder: an empty folder for the step's files; the executed notebook lands there under the source's name.
        objects: where the executed notebook is kept, also when a cell failed.
        on_cell: called before each code cell.
        kernel: the Jupyter kernel's name.
        continuation: what to keep for a later run, and which earlier run to continue.

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
    folder.mkdir(parents=True, exist_ok=True)
    step.write(folder)
    ran, started = digest_of(source), time.perf_counter()
    execution = Execution(
        source=str(source), executed=str(executed), parameters=parameters, kernel=kernel, continuation=continuation
    )
    failure: NotebookFailed | None = None
    try:
        _execute(execution, folder, on_cell or (lambda _event: None))
    except NotebookFailed as error:
        failure = error
    kept = objects.write_bytes(executed.read_bytes())[0] if executed.exists() else ""
    if failure is not None:
        raise failure
    seconds = round(time.perf_counter() - started, 3)
    previous = continuation.previous if continuation is not None else None
    restored, edited = ((), ()) if previous is None else _compared(executed, Path(previous))
    evidence = NotebookRun(name=source.name, source=ran, executed=kept, seconds=seconds, restored=restored, edited=edited)
    return StepResult(notebook=evidence, saved=read_saved(folder), outcome=read_outcome(folder))


def _compared(executed: Path, previous: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of the cells that did not run again, and of those that are not as they were in the earlier run."""
    cells, before = ([cell for cell in code_cells(path) if not cell.is_injected] for path in (executed, previous))
    restored = tuple(cell.id for cell in cells if cell.metadata.get("workbench", {}).get("restored"))
    sources = {cell.id: cell.source for cell in before}
    return restored, tuple(cell.id for cell in cells if sources.get(cell.id) != cell.source)


def _execute(execution: Execution, folder: Path, on_cell: Callable[[CellEvent], None]) -> None:
    environment = {**os.environ, STEP_VARIABLE: str(folder)}
    job = {"execution": msgspec.to_builtins(execution)}
    try:
        process, wire = ask_job(
            "workbench.execution.warm.job:run_job", job, folder=Path(execution.source).parent, environment=environment
        )
    except Unavailable:
        from workbench.execution.lazy_grammar import defer_iri_grammar

        defer_iri_grammar()
        from workbench.execution.papermill_run import execute  # loads papermill

        execute(execution, environment, on_cell)
        return
    try:
        _follow(process, wire, execution, on_cell)
    finally:
        wire.close()
        process.close()


def _follow(process: Process, wire: Wire, execution: Execution, on_cell: Callable[[CellEvent], None]) -> None:
    """Reports what the job says until it is done.

    Raises:
        WorkbenchError: what the job raised.
        KeyboardInterrupt: the run was cancelled; the job has saved its notebook and is gone.
    """
    try:
        while True:
            frame = wire.receive()
            said = frame.content() if frame is not None else {}
            if "cell" in said:
                on_cell(msgspec.convert(said["cell"], CellEvent))
            elif "failed" in said:
                raise _error(said["failed"])
            elif "done" in said:
                return
    except EOFError:
        from workbench.execution.saving import recover

        code = process.wait(1.0)
        recover(Path(execution.executed))
        raise NotebookFailed(
            f"{Path(execution.source).name} failed: its runner died ({_ending(code)})",
            hint=f"The executed notebook holds every finished cell: {execution.executed}",
        ) from None
    except BaseException as error:
        if not isinstance(error, WorkbenchError):
            _cancel(process)
        raise


def _cancel(process: Process) -> None:
    """The job saves its notebook with the running cell marked, and ends its kernel."""
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGINT)
    process.wait(CANCEL_SECONDS)


def _error(said: dict[str, Any]) -> WorkbenchError:
    kind = getattr(errors, said["error"], NotebookFailed)
    error: WorkbenchError = kind(said["message"], problems=said["problems"], hint=said["hint"])
    return error


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"
