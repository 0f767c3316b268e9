"""A server signs heads of its own audit and of each project's; who runs it verifies them by `workbench audit verify --server`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.server.team import GATES, PROJECT, Team, team
from workbench.cli.app import app
from workbench.governance.heads import read_heads
from workbench.server.audits import AuditFolder
from workbench.server.projects import Projects


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A server that goes on running, with more than a hundred acts of its own and in its project."""
    with team(tmp_path_factory.mktemp("audited") / "server") as made:
        for _ in range(100):
            made.log_in("viewer")
        for _ in range(100):
            made.open(PROJECT)
        yield made


def told(act: str, *options: str) -> tuple[int, Any]:
    done = CliRunner().invoke(app, ["audit", act, *options, "--json"])
    return done.exit_code, json.loads(done.stdout) if done.stdout else done.exception


@pytest.mark.parametrize("options", [(), ("--project", PROJECT)], ids=["server", "project"])
def test_each_hundredth_act_at_a_server_is_signed_and_its_operator_verifies_the_audit_while_it_runs(
    options: tuple[str, ...], watched: Team
) -> None:
    code, found = told("verify", "--server", str(watched.folder), *options)
    assert (code, found["state"], found["signed"] >= 100, found["signed"] % 100) == (0, "ok", True, 0), found


def test_no_two_audits_of_a_server_are_signed_by_one_key(watched: Team) -> None:
    own, project = AuditFolder(watched.folder), AuditFolder(watched.folder / "projects" / PROJECT)
    assert (own.keys / "signing-key.pub").read_bytes() != (project.keys / "signing-key.pub").read_bytes()
    code, found = told("verify", "--server", str(watched.folder), "--heads", str(project.heads))
    assert (code, found["state"]) == (2, "unverifiable")


def test_the_newest_entry_is_signed_when_asked_for(watched: Team, tmp_path: Path) -> None:
    elsewhere = tmp_path / "heads"
    code, head = told("export", "--server", str(watched.folder), "--project", PROJECT, "--heads", str(elsewhere))
    assert (code, [kept.sequence for kept in read_heads(elsewhere)]) == (0, [head["sequence"]])
    code, found = told("verify", "--server", str(watched.folder), "--project", PROJECT, "--heads", str(elsewhere))
    assert (code, found["entries"], found["signed"]) == (0, head["sequence"], head["sequence"])


def test_a_cut_end_of_a_project_s_audit_is_found_by_the_head_that_the_server_signed(tmp_path: Path) -> None:
    projects = Projects(tmp_path, None)
    for _ in range(100):
        projects.set_policy(PROJECT, GATES, actor="ann")
    projects.close()
    (tmp_path / "control.db").touch()
    with closing(sqlite3.connect(tmp_path / "projects" / PROJECT / "control.db")) as connection, connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{trigger}"')
        connection.execute("DELETE FROM audit WHERE sequence > 98")
    code, found = told("verify", "--server", str(tmp_path), "--project", PROJECT)
    assert (code, found["state"], found["first"]) == (1, "tampered", 99), found


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--server", "nowhere"), "not the folder of a server"),
        (("--project", PROJECT), "no server was named"),
    ],
)
def test_what_cannot_be_found_is_told(options: tuple[str, ...], words: str) -> None:
    code, error = told("verify", *options)
    assert code != 0
    assert words in str(error)
