"""Progress of a run as lines in its folder: written by the steps, followed by the command line and the panel."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from workbench.execution.notebook_run import CellEvent

__all__ = ["PROGRESS_FILE", "Event", "Progress", "read_events"]

PROGRESS_FILE = "progress.jsonl"
State = Literal["began", "cell", "ended", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened in a step; `at` is seconds since the epoch."""

    at: float
    hop: str
    task: str
    notebook: str
    state: State
    cell: int = 0
    cells: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Writes the events of one task."""

    folder: Path
    hop: str
    task: str
    notebook: str

    def began(self) -> None:
        """The step starts."""
        self._write("began")

    def cell(self, event: CellEvent) -> None:
        """A code cell starts."""
        self._write("cell", cell=event.cell, cells=event.cells, detail=event.cell_id)

    def ended(self, record: str) -> None:
        """The step succeeded and wrote its record."""
        self._write("ended", detail=record)

    def failed(self, reason: str) -> None:
        """The step failed."""
        self._write("failed", detail=reason)

    def _write(self, state: State, *, cell: int = 0, cells: int = 0, detail: str = "") -> None:
        of_task = {"hop": self.hop, "task": self.task, "notebook": self.notebook}
        event = Event(at=time.time(), state=state, cell=cell, cells=cells, detail=detail, **of_task)
        self.folder.mkdir(parents=True, exist_ok=True)
        line = msgspec.json.encode(event) + b"\n"
        handle = os.open(self.folder / PROGRESS_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line)  # one write per line: parallel steps append whole lines
        finally:
            os.close(handle)


def read_events(folder: Path, *, after: int = 0) -> Iterator[tuple[int, Event]]:
    """Events from byte `after` on, each with the byte position behind it; a line still being written is left for later."""
    path = folder / PROGRESS_FILE
    if not path.exists():
        return
    with path.open("rb") as stream:
        stream.seek(after)
        for line in stream:
            if not line.endswith(b"\n"):
                return
            after += len(line)
            yield after, msgspec.json.decode(line, type=Event)
