"""The panel of a project's runs: where each stopped, and a button that continues it. Shown as the last line of a cell."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets

from workbench.errors import WorkbenchError
from workbench.orchestration.attaching import attachable
from workbench.orchestration.continuing import cells_of_run
from workbench.orchestration.describing import in_journey_order
from workbench.orchestration.progress import Event
from workbench.orchestration.stopping import where_stopped
from workbench.orchestration.tethered import resume_tethered
from workbench.settings import Layout, find_project
from workbench.store import Run, open_control

__all__ = ["RunsPanel"]

WIDE = ipywidgets.Layout(width="460px")
NAMED = {"description_width": "100px"}
STOPPED = ("failed", "interrupted")
COLOURS = {"succeeded": "#1a7f37", "failed": "#cf222e", "interrupted": "#9a6700", "running": "#0969da"}
MARKS = {"began": "●", "cell": "●", "ended": "✓", "failed": "✗"}
WHERE_IT_STOPPED = "where it stopped"


class RunsPanel(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets ships no types
    """The latest runs of a project, newest first; one that stopped can be continued here, as `workbench resume` does.

    The run goes on in a process of its own: the kernel stays free for other cells, and the run ends with the kernel.

    Args:
        start: a folder of the project; the working directory by default.
        limit: how many runs are listed.
    """

    def __init__(self, start: Path | None = None, *, limit: int = 10) -> None:
        self._start, self._limit = start, limit
        self._layout: Layout | None = None
        self._thread: threading.Thread | None = None
        self._listed, self._hint, self._notice, self._outcome = (ipywidgets.HTML() for _ in range(4))
        self._run = ipywidgets.Dropdown(description="run", style=NAMED, layout=WIDE)
        self._cell = ipywidgets.Dropdown(description="continue from", style=NAMED, layout=WIDE)
        self._resume = ipywidgets.Button(description="Resume", icon="play", button_style="primary")
        self._refresh = ipywidgets.Button(description="Refresh", icon="refresh")
        self._choice = ipywidgets.VBox([self._run, self._cell, self._hint])
        self._run.observe(lambda _change: self._offer_cells(), names="value")
        self._refresh.on_click(lambda _button: self.refresh())
        self._resume.on_click(lambda _button: self._begin())
        buttons = ipywidgets.HBox([self._resume, self._refresh])
        super().__init__([self._listed, self._choice, buttons, self._notice, self._outcome])
        self.refresh()

    def refresh(self) -> None:
        """Reads the runs again; the chosen one stays chosen."""
        stopped: list[str] = []
        try:
            self._layout = find_project(self._start)
            with open_control(self._layout) as control:
                runs = control.runs(limit=self._limit)
            self._listed.value = _table(self._layout, runs)
            stopped = [run.id for run in runs if run.state in STOPPED]
        except WorkbenchError as error:
            self._layout, self._listed.value = None, _problem(error)
        chosen = self._run.value
        self._run.options = stopped
        if stopped:
            self._run.value = chosen if chosen in stopped else stopped[0]
        shown = None if stopped else "none"
        self._choice.layout.display = self._resume.layout.display = shown
        self._offer_cells()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits until the run that was continued here has ended, for so many seconds at most; whether it has."""
        if self._thread is not None:
            self._thread.join(seconds)
        return not self._is_busy()

    def _is_busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _offer_cells(self) -> None:
        if self._layout is None or self._run.value is None:
            self._cell.options, self._hint.value = [], ""
            return
        cells: dict[str, str] = {}
        try:
            cells = cells_of_run(self._layout, self._run.value)
            self._hint.value = _attach_line(self._layout, self._run.value)
        except (WorkbenchError, OSError) as error:
            self._hint.value = _problem(error)
        self._cell.options = [(WHERE_IT_STOPPED, ""), *((f"{hop} · {cell}", cell) for cell, hop in cells.items())]
        self._cell.value = ""

    def _begin(self) -> None:
        if self._is_busy():
            self._notice.value = '<div role="alert">A run is being continued here already: wait for its end.</div>'
        elif self._layout is not None and self._run.value is not None:
            self._outcome.value = _progress(self._run.value, ())
            chosen = (self._layout, self._run.value, self._cell.value or None)
            self._thread = threading.Thread(target=self._continue, args=chosen, daemon=True)
            self._thread.start()

    def _continue(self, layout: Layout, run: str, cell: str | None) -> None:
        latest: dict[str, Event] = {}

        def show(event: Event) -> None:
            latest[event.task] = event
            self._outcome.value = _progress(run, latest.values())

        try:
            new = resume_tethered(layout, run, from_cell=cell, on_event=show)
            outcome = _success(layout, run, new)
        except Exception as error:  # the last resort of a thread: whatever it was is told where people look
            outcome = _problem(error)
        self.refresh()
        self._notice.value = ""
        self._outcome.value = _progress(run, latest.values()) + outcome


def _whole(content: str) -> str:
    return f'<span style="white-space:nowrap">{content}</span>'


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _problem(error: Exception) -> str:
    """An error as every interface tells it: what was wrong, and what to do next."""
    known = error if isinstance(error, WorkbenchError) else WorkbenchError(f"{type(error).__name__}: {error}")
    problems = "".join(f"<div>• {escape(problem)}</div>" for problem in known.problems)
    hint = f"<div><b>next</b> {escape(known.hint)}</div>" if known.hint else ""
    return f'<div role="alert"><b style="color:#cf222e">error</b> {escape(known.message)}{problems}{hint}</div>'


def _rows(rows: Iterable[Sequence[str]]) -> str:
    """Rows of a table; the cells are HTML."""
    cells = ("".join(f"<td style='padding:1px 14px 1px 0;vertical-align:top'>{cell}</td>" for cell in row) for row in rows)
    return "".join(f"<tr>{row}</tr>" for row in cells)


def _table(layout: Layout, runs: Sequence[Run]) -> str:
    if not runs:
        return "<div>No runs yet. <b>next</b> <code>workbench run</code> in a terminal</div>"
    rows = []
    for run in runs:
        began = datetime.fromisoformat(run.started).astimezone().strftime("%Y-%m-%d %H:%M")
        state = f'<b style="color:{COLOURS[run.state]}">{run.state}</b>'
        rows.append((_whole(_code(run.id)), _whole(began), state, _reason(layout, run) if run.state in STOPPED else ""))
    return f'<table style="line-height:1.5">{_rows(rows)}</table>'


def _reason(layout: Layout, run: Run) -> str:
    stop = where_stopped(layout, run)
    where = " · ".join(_code(part) for part in (stop.hop, stop.cell) if part)
    return f"<div>{where}</div>{escape(stop.message)}" if where else escape(stop.message)


def _attach_line(layout: Layout, run: str) -> str:
    if all(name != run for name, _ in attachable(layout)):
        return ""
    return f"<div>Its variables are still there: {_code(f'workbench attach {run}')} in a terminal opens them in JupyterLab.</div>"


def _progress(run: str, events: Iterable[Event]) -> str:
    rows = []
    for event in events:
        at = f"cell {event.cell}/{event.cells} {_code(event.detail)}" if event.state == "cell" else event.state
        rows.append((MARKS[event.state], escape(event.hop), escape(event.notebook), at))
    return f'<div role="status">Continuing {_code(run)} …<table style="line-height:1.5">{_rows(rows)}</table></div>'


def _success(layout: Layout, run: str, new: str) -> str:
    """What the new run took over from the one it continues."""
    with open_control(layout) as control:
        records: list[Any] = in_journey_order(control.all(run=new))
    lines = []
    for notebook in (record.notebook for record in records if hasattr(record, "notebook")):
        for what, cells in (("restored, not run again", notebook.restored), ("edited", notebook.edited)):
            if cells:
                lines.append(f"<div>• {escape(notebook.name)}: {what}: {', '.join(map(_code, cells))}</div>")
    end = f'<b style="color:#1a7f37">✓</b> {_code(new)} continues {_code(run)} and succeeded.'
    return f'<div role="status">{end}{"".join(lines) or "<div>No cell was restored.</div>"}</div>'
