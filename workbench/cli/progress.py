"""Live progress of a run: one line per step with its notebook, cell and time; plain lines where there is no terminal."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from workbench.orchestration.progress import Event

__all__ = ["RunProgress"]

STATES = {"began": "[cyan]●[/]", "cell": "[cyan]●[/]", "ended": "[green]✓[/]", "failed": "[red]✗[/]"}


class RunProgress:
    """Shows the events of a run while it is open; `seconds` holds how long each hop took."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, emoji=False)
        self._began: dict[str, float] = {}
        self._latest: dict[str, Event] = {}
        self._live = Live(console=self._console, refresh_per_second=8, get_renderable=self._table, transient=False)

    def __enter__(self) -> RunProgress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        self._began.setdefault(event.task, event.at)
        self._latest[event.task] = event
        if not self._console.is_terminal and event.state != "cell":
            took = f" in {event.at - self._began[event.task]:.1f} s" if event.state in ("ended", "failed") else ""
            self._console.print(f"{event.hop:<8} {event.notebook or '–'} {event.state}{took}", markup=False)

    def seconds(self) -> dict[str, float]:
        """Wall time per hop, from its first step's start to its last step's end."""
        hops: dict[str, tuple[float, float]] = {}
        for task, event in self._latest.items():
            first, last = hops.get(event.hop, (self._began[task], event.at))
            hops[event.hop] = (min(first, self._began[task]), max(last, event.at))
        return {hop: last - first for hop, (first, last) in hops.items()}

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        for task, event in self._latest.items():
            running = event.state in ("began", "cell")
            elapsed = (time.time() if running else event.at) - self._began[task]
            cells = f"cell {event.cell}/{event.cells} [dim]{escape(event.detail)}[/]" if event.state == "cell" else ""
            table.add_row(STATES[event.state], event.hop, escape(event.notebook), cells, f"{elapsed:6.1f} s")
        return table
