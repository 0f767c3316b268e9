"""The panel of runs lists what the project ran and where it stopped; nothing of a notebook's becomes markup."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbench.execution.step import Step
from workbench.orchestration.progress import Progress
from workbench.settings import PROJECT_FILE, Layout
from workbench.store import open_control
from workbench.widgets import RunsPanel

GONE = 1
"""A process that no run belongs to any more."""

EVIL = "ValueError: <img src=x onerror=alert(1)> & <script>"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / PROJECT_FILE).touch()
    return Layout(root=tmp_path)


def run_ended(layout: Layout, run: str, failure: str | None = None) -> None:
    with open_control(layout) as control:
        control.start_run(run=run, flow="experiment", actor="ann", process=GONE)
        control.end_run(run, actor="ann", failure=failure)


def notebook_stopped(layout: Layout, run: str, cells: dict[str, str], message: str) -> None:
    """What a failed step leaves: its progress, its step and its executed notebook, whose cells have a state each."""
    progress = Progress(layout.runs / run, hop="choose", task="choose-8-0", notebook="04_choose.ipynb")
    progress.began()
    for place, cell in enumerate(cells, 1):
        progress.cell(SimpleNamespace(cell=place, cells=len(cells), cell_id=cell))
    progress.failed(message)
    folder = layout.runs / run / "choose-8-0"
    folder.mkdir()
    notebook = layout.notebooks / "04_choose.ipynb"
    Step(hop="choose", project=str(layout.root), notebook=str(notebook), run=run).write(folder)
    written = [
        {"id": cell, "cell_type": "code", "source": "", "metadata": {"papermill": {"status": status}}, "outputs": []}
        for cell, status in cells.items()
    ]
    (folder / notebook.name).write_text(json.dumps({"nbformat": 4, "cells": written}))
    run_ended(layout, run, f"choose: {message}")


def said(panel: RunsPanel) -> str:
    return panel._listed.value + panel._hint.value + panel._notice.value + panel._outcome.value


def test_runs_are_listed_newest_first_and_no_more_than_asked_for(layout: Layout) -> None:
    for number in range(4):
        run_ended(layout, f"experiment-{number}")
    listed = said(RunsPanel(layout.root, limit=3))
    places = [listed.find(f"experiment-{number}") for number in (3, 2, 1)]
    assert -1 < places[0] < places[1] < places[2]
    assert "experiment-0" not in listed
    assert "succeeded" in listed


def test_a_failed_run_says_step_cell_and_message_and_offers_its_cells(layout: Layout) -> None:
    cells = {"parameters": "completed", "choice": "failed"}
    notebook_stopped(layout, "experiment-1", cells, "04_choose.ipynb failed: ValueError: too few\n  - cell [2]: x = 1")
    panel = RunsPanel(layout.root)
    assert "<code>choose</code> · <code>choice</code>" in said(panel)
    assert "ValueError: too few" in said(panel)
    assert "cell [2]" not in said(panel)
    assert panel._run.value == "experiment-1"
    assert panel._cell.label == "where it stopped"
    assert [label for label, _ in panel._cell.options[1:]] == ["choose · parameters", "choose · choice"]


def test_a_step_that_failed_after_its_last_cell_blames_no_cell(layout: Layout) -> None:
    message = "04_choose.ipynb ended without recording state"
    notebook_stopped(layout, "experiment-1", {"parameters": "completed", "choice": "completed"}, message)
    listed = said(RunsPanel(layout.root))
    assert "<code>choose</code>" in listed
    assert "<code>choice</code>" not in listed
    assert message in listed


def test_a_run_whose_process_is_gone_says_where_it_was(layout: Layout) -> None:
    progress = Progress(layout.runs / "experiment-1", hop="train", task="train-3-0", notebook="02_train_linear.ipynb")
    progress.began()
    progress.cell(SimpleNamespace(cell=2, cells=5, cell_id="fit"))
    with open_control(layout) as control:
        control.start_run(run="experiment-1", flow="experiment", actor="ann", process=GONE)
    panel = RunsPanel(layout.root)
    assert "interrupted" in said(panel)
    assert "<code>train</code> · <code>fit</code>" in said(panel)
    assert panel._run.value == "experiment-1"


def test_what_a_notebook_says_never_becomes_markup(layout: Layout) -> None:
    notebook_stopped(layout, "experiment-1", {"<b>cell</b>": "failed"}, f"04_choose.ipynb failed: {EVIL}")
    listed = said(RunsPanel(layout.root))
    assert "<img" not in listed
    assert "<script" not in listed
    assert "<b>cell" not in listed
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; &lt;script&gt;" in listed


def test_only_runs_that_stopped_can_be_continued(layout: Layout) -> None:
    run_ended(layout, "experiment-1")
    panel = RunsPanel(layout.root)
    assert panel._run.options == ()
    assert panel._resume.layout.display == "none"
    run_ended(layout, "experiment-2", "prepare: ParametersInvalid")
    panel._refresh.click()
    assert panel._run.options == ("experiment-2",)
    assert panel._resume.layout.display is None


def test_the_chosen_run_stays_chosen_when_the_list_is_refreshed(layout: Layout) -> None:
    for number in range(2):
        run_ended(layout, f"experiment-{number}", "prepare: broken")
    panel = RunsPanel(layout.root)
    panel._run.value = "experiment-0"
    run_ended(layout, "experiment-2", "prepare: broken")
    panel.refresh()
    assert panel._run.value == "experiment-0"


def test_a_project_without_runs_says_how_to_make_one(layout: Layout) -> None:
    assert "workbench run" in said(RunsPanel(layout.root))


def test_outside_a_project_the_panel_says_so_and_what_to_do(tmp_path: Path) -> None:
    panel = RunsPanel(tmp_path)
    assert "no workbench.toml" in said(panel)
    assert "workbench init" in said(panel)
    panel._resume.click()
    assert panel.wait(0)


def test_an_error_of_the_resumed_run_is_told_as_message_and_hint(layout: Layout) -> None:
    run_ended(layout, "experiment-1", "prepare: broken")
    panel = RunsPanel(layout.root)
    panel._resume.click()
    assert panel.wait(60)
    assert "no flow" in said(panel)
    assert "workbench init copies the flows" in said(panel)
    assert "Traceback" not in said(panel)
