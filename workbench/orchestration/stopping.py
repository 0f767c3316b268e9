"""Where a run that did not succeed stopped: the step, the cell and why. Called by the panel of runs."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import NotebookInvalid, bounded
from workbench.execution.code_cells import code_cells
from workbench.orchestration.progress import Event, read_events
from workbench.settings import Layout
from workbench.store import Run

__all__ = ["Stop", "where_stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The step and the cell at which a run stopped, empty where none was reached, and the first line of the reason."""

    hop: str
    cell: str
    message: str


def where_stopped(layout: Layout, run: Run) -> Stop:
    """Reads the run's progress: of steps that ran side by side, the first that failed is meant, else the last that began."""
    reached: dict[str, Event] = {}
    running: dict[str, Event] = {}
    failed: Event | None = None
    for _, event in read_events(layout.runs / run.id):
        if event.state == "cell":
            reached[event.task] = event
        if event.state in ("began", "cell"):
            running[event.task] = event
        elif event.state == "failed":
            failed = failed or event
        else:
            running.pop(event.task, None)
    stopped = failed or next(reversed(running.values()), None)
    message = (run.reason or "").partition("\n")[0]
    if stopped is None:
        return Stop(hop="", cell="", message=bounded(message))
    cell = reached.get(stopped.task)
    reason = message.removeprefix(f"{stopped.hop}: ").removeprefix(f"{stopped.notebook} failed: ")
    return Stop(
        hop=stopped.hop, cell="" if cell is None or _finished(layout, run, cell) else cell.detail, message=bounded(reason)
    )


def _finished(layout: Layout, run: Run, event: Event) -> bool:
    """Whether the step went wrong after this cell, and not in it."""
    try:
        cells = code_cells(layout.runs / run.id / event.task / event.notebook)
    except NotebookInvalid:  # of a killed run, the executed notebook may not be there
        return False
    return any(cell.id == event.detail and cell.metadata.get("papermill", {}).get("status") == "completed" for cell in cells)
