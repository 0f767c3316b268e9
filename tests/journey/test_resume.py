"""`workbench resume`: what succeeded is not run again, the failed notebook goes on at its failed cell, the records say so."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from workbench.orchestration.progress import PROGRESS_FILE
from workbench.orchestration.projects import init_example
from workbench.settings import Layout

from .conftest import QUICK, command
from .test_killed import kill_when

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BROKEN = "number = 1\nraise ValueError('broken on purpose')"


def replace_cell(layout: Layout, notebook: str, cell: str, source: str) -> str:
    """Writes a cell anew, as a person would in JupyterLab; returns what it was."""
    path = layout.notebooks / notebook
    content = json.loads(path.read_bytes())
    (found,) = (each for each in content["cells"] if each["id"] == cell)
    before, found["source"] = "".join(found["source"]), source
    path.write_text(json.dumps(content))
    return before


def refused(layout: Layout, *arguments: str) -> tuple[int, str]:
    """The exit code of a command that fails, and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "workbench", *arguments], cwd=layout.root, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def newest(layout: Layout) -> dict[str, Any]:
    """The run that began last."""
    listed: list[dict[str, Any]] = command(layout.root, ["runs"])
    return listed[0]


def hops(layout: Layout, run: str) -> set[str]:
    """The steps that a run executed."""
    return {json.loads(line)["hop"] for line in (layout.runs / run / PROGRESS_FILE).read_text().splitlines()}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return Layout(root=init_example(tmp_path_factory.mktemp("resumed") / "credit", "credit").folder)


@pytest.fixture(scope="module")
def failed(layout: Layout) -> str:
    """A run whose last notebook failed, and was corrected."""
    source = replace_cell(layout, "04_choose.ipynb", "choice", BROKEN)
    code, said = refused(layout, "run", *QUICK)
    assert code != 0
    assert "broken on purpose" in said
    replace_cell(layout, "04_choose.ipynb", "choice", source)
    return str(newest(layout)["id"])


@pytest.fixture(scope="module")
def resumed(layout: Layout, failed: str) -> dict[str, Any]:
    """The run that continues it."""
    document: dict[str, Any] = command(layout.root, ["resume", failed])
    return document


def record(document: dict[str, Any], kind: str) -> dict[str, Any]:
    """The only record of its kind."""
    (found,) = (each for each in document["records"] if each["kind"] == kind)
    return found


def test_only_what_had_not_succeeded_runs_again(layout: Layout, failed: str, resumed: dict[str, Any]) -> None:
    run = newest(layout)
    assert run["id"] != failed
    assert run["state"] == "succeeded"
    assert hops(layout, run["id"]) == {"choose", "package"}


def test_the_failed_notebook_goes_on_at_its_failed_cell_and_its_record_says_so(resumed: dict[str, Any]) -> None:
    notebook = record(resumed, "model")["notebook"]
    assert notebook["restored"][-2:] == ["imports", "compare"]
    assert notebook["edited"] == ["choice"]


def test_what_a_continued_run_made_traces_back_to_the_dataset(layout: Layout, resumed: dict[str, Any]) -> None:
    links = command(layout.root, ["trace", record(resumed, "bento")["id"]])
    assert "dataset" in json.dumps(links)


def test_a_run_that_succeeded_is_continued_only_from_a_cell(layout: Layout, resumed: dict[str, Any]) -> None:
    run = str(newest(layout)["id"])
    code, said = refused(layout, "resume", run)
    assert code != 0
    assert "succeeded: there is nothing to continue" in said
    assert "--from CELL" in said
    again = command(layout.root, ["resume", run, "--from", "compare"])
    later = newest(layout)
    assert later["id"] != run
    assert hops(layout, later["id"]) == {"choose", "package"}
    assert "compare" not in record(again, "model")["notebook"]["restored"]


def test_an_unknown_run_and_an_unknown_cell_are_named_with_what_was_probably_meant(layout: Layout, failed: str) -> None:
    code, said = refused(layout, "resume", failed[:-1])
    assert code != 0
    assert f"no run '{failed[:-1]}'" in said
    assert failed in said
    code, said = refused(layout, "resume", failed, "--from", "choise")
    assert code != 0
    assert "has a code cell 'choise'" in said
    assert "choice" in said.replace("choise", "")


def test_a_running_run_is_not_continued(layout: Layout) -> None:
    known = {each["id"] for each in command(layout.root, ["runs"])}
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "run", *QUICK], cwd=layout.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 100
        while (run := str(newest(layout)["id"])) in known and time.monotonic() < deadline:
            assert process.poll() is None
        code, said = refused(layout, "resume", run)
        assert code != 0
        assert f"{run} is still running" in said
    finally:
        process.send_signal(2)
        process.wait(60)


@pytest.mark.parametrize(("hop", "cell"), [("train", 4), ("choose", 3)])
def test_a_killed_run_is_continued(layout: Layout, hop: str, cell: int) -> None:
    run = kill_when(layout, hop, cell)
    done = command(layout.root, ["resume", run])
    later = newest(layout)
    assert later["state"] == "succeeded"
    assert "prepare" not in hops(layout, later["id"])
    assert record(done, "model")["notebook"]["edited"] == []
    assert Path(layout.runs / run).is_dir()
