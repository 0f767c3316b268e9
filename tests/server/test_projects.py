"""A server keeps many projects apart, and for none of them a connection."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import text

from workbench.errors import NotFound
from workbench.project import Gates
from workbench.server.projects import Projects
from workbench.store import Control

MANY = 20
NAME = "many-projects"
"""What PostgreSQL calls the connections of one test: other tests' servers have theirs in the same database."""


def test_each_of_many_projects_answers_for_itself(tmp_path: Path) -> None:
    projects = Projects(tmp_path, None)
    for number in range(MANY):
        projects.set_policy(f"p{number}", Gates(approval_days=number + 1), actor="ann")
    assert [projects.policy(f"p{number}").approval_days for number in range(MANY)] == list(range(1, MANY + 1))
    projects.close()


def test_many_projects_leave_a_postgresql_its_connections(tmp_path: Path, postgres: str) -> None:
    projects = Projects(tmp_path, f"{postgres}&application_name={NAME}")
    for number in range(MANY):
        projects.set_policy(f"p{number}", Gates(), actor="ann")
    kept = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name").bindparams(name=NAME)
    deadline = time.monotonic() + 30
    with Control(postgres) as control, control.read() as connection:
        while count := connection.execute(kept).scalar_one():
            assert time.monotonic() < deadline, f"{count} connections are kept"
            time.sleep(0.05)  # PostgreSQL ends the process of a closed connection a moment after the client has gone
            connection.rollback()  # one transaction sees the same activity however often it asks
    projects.close()


def test_a_project_that_nobody_made_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no project 'credit'"):
        Projects(tmp_path, None).policy("credit")
