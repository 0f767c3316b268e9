"""Text of a person is printed as it is: a column's name is no markup, and a folder's name no emoji."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from workbench.cli import progress
from workbench.cli.journey import print_live
from workbench.cli.output import console, print_done, print_next, print_table
from workbench.orchestration.deployment import Live
from workbench.orchestration.progress import Event
from workbench.records import Deployment

ODD = ["price [/kg]", "[bold]x", "a:smile:b", "\\[red]", "plain"]


@pytest.mark.parametrize("text", ODD)
def test_what_is_printed_is_what_was_given(text: str) -> None:
    with console.capture() as captured:
        print_done(text)
        print_next(text)
        print_table(("what",), [(text,)], title=text)
    assert captured.get().count(text) == 4


def test_a_notebook_may_have_any_name(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.RunProgress() as shown:
        for state in ("began", "ended"):
            shown(Event(task="t", hop="train", notebook="a [/b] :car:.ipynb", state=state, at=1.0))
    assert capsys.readouterr().err.count("a [/b] :car:.ipynb") == 2
    drawn = io.StringIO()
    Console(file=drawn, emoji=False).print(shown._table())
    assert "a [/b] :car:.ipynb" in drawn.getvalue()


def test_the_request_to_try_is_one_that_a_shell_can_send(capsys: pytest.CaptureFixture[str]) -> None:
    example = '{"rows": [{"price [/kg]": 1.0, "who\'s": "a :car:"}]}'
    common = {"actor": "ann", "zone": "local", "revision": "unversioned"}
    record = Deployment(id="deployment-1", parent="bento-1", url="http://127.0.0.1:1", predictions="p", **common)
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        print_live(Live(deployment=record, url=record.url, tag="d:1", example=example, process=process))
    done, asking, _ = capsys.readouterr().out.splitlines()
    assert done == "✓ d:1 answers at http://127.0.0.1:1  (deployment-1)"
    assert shlex.split(asking.partition("try it: ")[2])[-2:] == ["-d", example]


def test_a_project_with_odd_names_is_made_and_can_be_entered(tmp_path: Path, workbench) -> None:
    rows = {"price [/kg]": [float(row % 17) for row in range(60)], "good": [row % 2 for row in range(60)]}
    pl.DataFrame(rows | {"empty [/]": [None] * 60}).write_csv(tmp_path / "data.csv")
    name = "my [/b] :car: folder"
    done = workbench(tmp_path, ["init", name, "--data", "data.csv", "--target", "good"])
    assert done.returncode == 0, done.stderr
    assert f"✓ {name} is a project" in done.stdout
    assert f"cd {shlex.quote(name)} && workbench run" in done.stdout
    assert (tmp_path / name / "workbench.toml").is_file()
    assert workbench(tmp_path / name, ["runs"]).stdout == "no runs yet. next  workbench run\n"


def test_a_reason_may_hold_anything(project: Path, workbench) -> None:
    insert = "INSERT INTO runs VALUES ('experiment-1', 'experiment', 'failed', 'ann', 'now', 'now', 'h', 1, '0', 'no [/column]')"
    with contextlib.closing(sqlite3.connect(project / ".workbench/control.db")) as connection, connection:
        connection.execute(insert)
    for arguments in (["runs"], ["trace", "experiment-1"]):
        done = workbench(project, arguments)
        assert done.returncode == 0, done.stderr
        assert "no [/column]" in done.stdout
    assert "▶ run experiment-1  failed: no [/column]" in done.stdout


def test_reading_commands_do_not_wait_for_a_writer(project: Path, workbench) -> None:
    with contextlib.closing(sqlite3.connect(project / ".workbench/control.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for arguments in (["runs"], ["models"]):
            done = workbench(project, arguments)
            assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("folder", ["demo", "my demo", "elsewhere"])
@pytest.mark.parametrize("found", [True, False])
def test_the_demo_ends_with_commands_that_a_shell_can_run(folder: str, found: bool, tmp_path: Path) -> None:
    """Both where the shell finds the program and where no environment is activated."""
    here = tmp_path / "here"
    here.mkdir()
    root = tmp_path / folder if folder == "elsewhere" else here / folder
    root.mkdir()
    scripts = Path(sys.executable).parent
    system = os.pathsep.join(place for place in os.environ["PATH"].split(os.pathsep) if not (Path(place) / "workbench").exists())
    path = os.pathsep.join([str(scripts), system]) if found else system
    code = (
        "import sys; from pathlib import Path; from workbench.cli import demo; root = Path(sys.argv[1]); "
        "print(demo._from_here(root)); print(demo._program(root))"
    )
    command = [sys.executable, "-c", code, str(root)]
    done = subprocess.run(command, cwd=here, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True)
    place, program = done.stdout.splitlines()
    assert place == (str(root) if folder == "elsewhere" else folder)
    assert program == ("workbench" if found else str(scripts / "workbench"))
    script = f"cd {shlex.quote(place)} && {program} --help"
    shown = subprocess.run(["sh", "-c", script], cwd=here, env={**os.environ, "PATH": path}, capture_output=True, check=False)
    assert shown.returncode == 0, shown.stderr
