"""Kill -9 at any hop of a run, then run again: it finishes, and nothing half-written is left in the records."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from workbench.orchestration.progress import PROGRESS_FILE
from workbench.orchestration.projects import init_example
from workbench.settings import Layout
from workbench.store import Objects, open_control
from workbench.store.objects import digest_of

from .conftest import QUICK, command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return Layout(root=init_example(tmp_path_factory.mktemp("killed") / "credit", "credit").folder)


def kill_when(layout: Layout, hop: str, cell: int) -> str:
    """Starts a run and kills every process of it when `hop` reaches `cell`; returns the run's id."""
    before = set(layout.runs.glob("experiment-*")) if layout.runs.exists() else set()
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "run", *QUICK], cwd=layout.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the run ended before {hop}"
        for folder in set(layout.runs.glob("experiment-*")) - before if layout.runs.exists() else ():
            if reached(folder / PROGRESS_FILE, hop, cell):
                tree = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
                for member in tree:
                    member.kill()
                psutil.wait_procs(tree, timeout=20)
                process.wait()
                return folder.name
        time.sleep(0.05)
    raise AssertionError(f"{hop} was not reached in time")


def reached(progress: Path, hop: str, cell: int) -> bool:
    lines = progress.read_text().splitlines() if progress.exists() else []
    return any(event["hop"] == hop and event["cell"] >= cell for event in map(json.loads, lines))


@pytest.mark.parametrize(("hop", "cell"), [("prepare", 5), ("train", 4), ("review", 3), ("package", 0)])
def test_a_killed_run_is_shown_as_interrupted_and_leaves_only_whole_records(layout: Layout, hop: str, cell: int) -> None:
    run = kill_when(layout, hop, cell)
    listed = {each["id"]: each for each in command(layout.root, ["runs"])}
    assert listed[run]["state"] == "interrupted"
    with sqlite3.connect(layout.state / "control.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    objects, control = Objects(layout.objects), open_control(layout)
    for record in control.all(run=run):
        for saved in getattr(record, "saved", {}).values():
            assert digest_of(objects.path(saved.digest)) == saved.digest
    control.close()


def test_running_again_after_the_kills_finishes_the_journey(layout: Layout) -> None:
    document = command(layout.root, ["run", *QUICK])
    assert [record["kind"] for record in document["records"]].count("bento") == 1
    assert [each["state"] for each in command(layout.root, ["runs"])].count("succeeded") == 1
