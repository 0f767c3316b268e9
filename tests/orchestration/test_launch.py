"""Launching a flow: a failure says why and where to look, a cancelled run leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from workbench.errors import NotFound, RunFailed
from workbench.orchestration.launch import launch
from workbench.orchestration.projects import init_example
from workbench.settings import Layout

BROKEN = "raise SystemExit('this flow does not even start')\n"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(root=init_example(tmp_path / "credit", "credit").folder)


def test_an_unknown_flow_is_named(layout: Layout) -> None:
    with pytest.raises(NotFound, match=r"nothing\.py"):
        launch(layout, "nothing", parameters={})


def test_a_flow_that_does_not_start_shows_the_end_of_its_log(layout: Layout) -> None:
    (layout.flows / "experiment.py").write_text(BROKEN, encoding="utf-8")
    with pytest.raises(RunFailed) as caught:
        launch(layout, "experiment", parameters={})
    assert "this flow does not even start" in " ".join(caught.value.problems)
    log = Path(caught.value.hint.removeprefix("Log: "))
    assert log.parent == layout.runs
    assert "this flow does not even start" in log.read_text(encoding="utf-8")


def test_ctrl_c_ends_the_run_with_130_and_leaves_no_process(layout: Layout) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "run"], cwd=layout.root, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    deadline = time.monotonic() + 60
    while not any(layout.runs.glob("experiment-*/progress.jsonl")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    os.kill(process.pid, signal.SIGINT)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in shown
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    assert len(gone) == len(children)
