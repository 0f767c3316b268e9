"""Continues runs: which earlier attempt a step goes on from, and `workbench resume` itself. Used by hops and commands."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from workbench.errors import BadInput, NotFound, did_you_mean
from workbench.execution.code_cells import code_cells
from workbench.execution.resuming import Continuation
from workbench.execution.step import Step, read_step
from workbench.orchestration.launch import Origin, launch
from workbench.orchestration.progress import Event
from workbench.settings import Layout
from workbench.store import open_control
from workbench.store.objects import digest_of

__all__ = ["KEEP", "KEEP_SECONDS", "cells_of_run", "continuation_of", "resume_run"]

KEEP, REWIND = "WORKBENCH_KEEP_SECONDS", "WORKBENCH_REWIND"
"""Variables by which a command tells the steps of its flow: how long to keep, and the cell to run again from."""

KEEP_SECONDS = 900.0
SNAPSHOT_AGE, SNAPSHOT_BYTES = 7 * 86_400.0, 5_000_000_000


def continuation_of(step: Step, layout: Layout, origin: str | None) -> Continuation:
    """What a step keeps for a later run, and the attempt of the run `origin` that it continues."""
    data = {name: saved.digest for name, saved in step.saved.items()}
    data["workbench.toml"] = digest_of(layout.project_file)
    data["given"] = json.dumps(msgspec.to_builtins(step.given), sort_keys=True)
    previous = None if origin is None else _attempt(step, layout.runs / origin)
    rewind = os.environ.get(REWIND)
    return Continuation(
        snapshots=str(layout.state / "snapshots"),
        data=data,
        keep_seconds=float(os.environ.get(KEEP, KEEP_SECONDS)),
        previous=None if previous is None else str(previous),
        rewind=rewind if previous is not None and rewind in _cells(previous) else None,
    )


def _attempt(step: Step, folder: Path) -> Path | None:
    """The executed notebook of the newest attempt that ran the same notebook on the same values."""
    for attempt in sorted(folder.glob("*/step.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        executed = attempt.with_name(Path(step.notebook).name)
        before = read_step(attempt.parent)
        same = before.notebook == step.notebook and before.saved == step.saved and before.parameters == step.parameters
        if same and executed.exists():
            return executed
    return None


def _cells(notebook: Path) -> list[str]:
    return [cell.id for cell in code_cells(notebook)]


def resume_run(
    layout: Layout,
    run: str,
    *,
    from_cell: str | None = None,
    workers: int = 2,
    on_event: Callable[[Event], None] = lambda _event: None,
) -> str:
    """Continues a run where it failed, or from a cell on; what had finished is not executed again. Returns the new run's id.

    Raises:
        NotFound: there is no such run, or none of its notebooks has the cell.
        BadInput: the run is still running, or it succeeded and no cell is named.
        RunFailed: a step failed again.
    """
    with open_control(layout) as control:
        found = control.find_run(run)
        known = [each.id for each in control.runs(limit=50)]
    if found is None:
        raise NotFound(f"no run {run!r}", hint=did_you_mean(run, known))
    if found.state == "running":
        raise BadInput(f"{run} is still running", hint="Wait for its end, or attach to it: workbench attach")
    if found.state == "succeeded" and from_cell is None:
        raise BadInput(f"{run} succeeded: there is nothing to continue", hint="Run it again from a cell: --from CELL")
    step = "" if from_cell is None else _step_with(layout, run, from_cell)
    variables = {} if from_cell is None else {REWIND: from_cell}
    origin = Origin(number=run.removeprefix(f"{found.flow}-"), step=step)
    _sweep(layout)
    return launch(layout, found.flow, parameters={}, origin=origin, variables=variables, workers=workers, on_event=on_event)


def cells_of_run(layout: Layout, run: str) -> dict[str, str]:
    """The code cells from which a run can be continued, in the order it reached them, each with its step.

    A cell's id that several notebooks have stands for the first of them.
    """
    cells: dict[str, str] = {}
    for hop, executed in _executed(layout.runs / run):
        for cell in code_cells(executed):
            if not cell.is_injected:
                cells.setdefault(cell.id, hop)
    return cells


def _step_with(layout: Layout, run: str, cell: str) -> str:
    """The first step of the run whose notebook has the cell."""
    cells = cells_of_run(layout, run)
    if cell not in cells:
        raise NotFound(f"no notebook of {run} has a code cell {cell!r}", hint=did_you_mean(cell, cells))
    return cells[cell]


def _executed(folder: Path) -> Iterator[tuple[str, Path]]:
    for attempt in sorted(folder.glob("*/step.json"), key=lambda path: path.stat().st_mtime):
        step = read_step(attempt.parent)
        executed = attempt.with_name(Path(step.notebook).name)
        if executed.exists():
            yield step.hop, executed


def _sweep(layout: Layout) -> None:
    """Old snapshots go when somebody continues a run: then the folder is at hand, and nobody waits for more."""
    from workbench.execution.snapshots import Snapshots, snapshot_key

    folder = layout.state / "snapshots"
    Snapshots(folder, snapshot_key(folder.with_name("snapshots.key"))).sweep(older_than=SNAPSHOT_AGE, most_bytes=SNAPSHOT_BYTES)
