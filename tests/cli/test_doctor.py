"""The doctor finds what is ill, says how to mend it, and is never ill itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def checks(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, object]]:
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_a_damaged_control_database_is_a_failed_check_with_a_remedy(project: Path, workbench) -> None:
    (project / ".workbench/control.db").write_bytes(b"my shopping list, " * 500)
    done = workbench(project, ["doctor", "--json"])
    assert done.returncode == 6, done.stderr
    found = checks(done)["control database"]
    assert not found["well"]
    assert found["seen"] == "file is not a database"
    assert "backup" in str(found["remedy"])


@pytest.mark.parametrize(
    ("url", "seen"),
    [("garbage", "URL cannot be used"), ("postgresql://ann:secret@127.0.0.1:1/control", "cannot be read")],
)
def test_a_team_database_that_cannot_be_used_is_a_failed_check(url: str, seen: str, project: Path, workbench) -> None:
    done = workbench(project, ["doctor", "--json"], WORKBENCH_DATABASE_URL=url)
    assert done.returncode == 6, done.stderr
    found = checks(done)["control database"]
    assert not found["well"]
    assert seen in str(found["seen"])
    assert "WORKBENCH_DATABASE_URL" in str(found["remedy"])
    assert "secret" not in done.stdout


def test_the_database_that_the_project_uses_is_the_one_that_is_checked(project: Path, workbench) -> None:
    (project / ".workbench/control.db").write_bytes(b"no longer in use, " * 500)
    done = workbench(project, ["doctor", "--json"], WORKBENCH_DATABASE_URL=f"sqlite:///{project / 'team.db'}")
    assert done.returncode == 0, done.stdout
    assert checks(done)["control database"]["seen"] == "the database of WORKBENCH_DATABASE_URL answers"


def test_missing_jupyter_is_a_failed_check(tmp_path: Path) -> None:
    code = "import sys; sys.modules['jupyter_client'] = None; from workbench.__main__ import main; main()"
    command = [sys.executable, "-c", code, "doctor", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 6, done.stderr
    assert not checks(done)["Jupyter kernel"]["well"]
    assert "pip install" in str(checks(done)["Jupyter kernel"]["remedy"])


def test_a_metaflow_that_ends_without_a_word_is_a_failed_check(tmp_path: Path, workbench) -> None:
    (tmp_path / "metaflow.py").write_text("import os; os._exit(9)")
    done = workbench(tmp_path, ["doctor", "--json"], PYTHONPATH=str(tmp_path))
    assert done.returncode == 6, done.stderr
    assert checks(done)["Metaflow extension"]["seen"] == "importing it ended with code 9"
