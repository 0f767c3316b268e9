"""A step that continues: what its session saved and recorded before the cell it goes on from, and nothing of later cells."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from workbench.errors import NotebookFailed
from workbench.execution.notebook_run import run_notebook
from workbench.execution.resuming import Continuation
from workbench.execution.step import Step
from workbench.execution.warm.kept import kept
from workbench.session.values import read_value
from workbench.store import Objects

CELLS = {
    "begin": "from workbench import session",
    "early": "session.save(early=[1, 2])\nsession.record(metrics={'first': {'value': 0.5}})",
    "more": "number = 41",
    "late": "session.save(late='stale', early='stale')\n"
    "session.record(metrics={'first': {'value': 9.0}})\nraise ValueError('on purpose')",
    "end": "session.save(end=number + 1)",
}
FIXED = {**CELLS, "late": "session.save(other='fresh')"}


@pytest.fixture
def step(tmp_path: Path, write_notebook):
    """Runs the cells as a step, in a folder of its own each time."""
    objects = Objects(tmp_path / ".workbench" / "objects")
    folders = [tmp_path / "attempts" / str(number) for number in range(9)]
    used: list[Path] = []

    def run(cells, previous=None, **given):
        source = write_notebook("step", **cells)
        folder = folders[len(used)]
        used.append(folder)
        described = Step(hop="train", project=str(tmp_path), notebook=str(source), run="experiment-1")
        continuation = Continuation(
            snapshots=str(tmp_path / "snapshots"), previous=None if previous is None else str(previous / "step.ipynb"), **given
        )
        began: list[str] = []
        try:
            done = run_notebook(
                described,
                folder=folder,
                objects=objects,
                continuation=continuation,
                on_cell=lambda event: began.append(event.cell_id),
            )
        except NotebookFailed as error:
            done = error
        return done, folder, began

    run.objects = objects
    yield run
    for entry in kept():
        if Path(entry.step) in used:
            os.kill(entry.pid, 9)


@pytest.mark.parametrize("state", ["fork point", "durable snapshot"])
def test_values_saved_by_restored_cells_are_there_and_those_of_the_failed_cell_are_not(step, state):
    failed, folder, _ = step(CELLS)
    assert isinstance(failed, NotebookFailed)
    for entry in list(kept()) if state == "durable snapshot" else ():
        if entry.step == str(folder):
            process = psutil.Process(entry.pid)
            os.kill(entry.pid, 9)
            psutil.wait_procs([process], 10)
    done, _, began = step(FIXED, folder)
    assert began == ["late", "end"]
    assert {name: read_value(step.objects, saved) for name, saved in done.saved.items()} == {
        "early": [1, 2],
        "other": "fresh",
        "end": 42,
    }
    assert done.outcome["metrics"]["first"]["value"] == 0.5
    assert done.notebook.restored == ("begin", "early", "more")
    assert done.notebook.edited == ("late",)


def test_a_step_continued_twice_knows_what_each_attempt_saved(step):
    _, first, _ = step(CELLS)
    _, second, began = step(CELLS, first)
    assert began == ["late"]
    done, _, began = step(FIXED, second)
    assert began == ["late", "end"]
    assert set(done.saved) == {"early", "other", "end"}
    assert done.notebook.edited == ("late",)


def test_a_rewound_step_forgets_what_later_cells_saved(step):
    _, folder, _ = step(CELLS)
    done, _, began = step(FIXED, folder, rewind="early")
    assert began == ["early", "more", "late", "end"]
    assert done.outcome["metrics"]["first"]["value"] == 0.5
    assert done.notebook.restored == ("begin",)


def test_a_step_from_a_fresh_start_is_restored_of_nothing(step):
    done, _, _ = step(FIXED)
    assert done.notebook.restored == ()
    assert done.notebook.edited == ()
