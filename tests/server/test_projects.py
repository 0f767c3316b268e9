"""A server keeps many projects apart, and for none of them a connection."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from workbench.errors import NotFound
from workbench.project import Gates
from workbench.server.projects import Projects
from workbench.store import Control

MANY = 20


def test_each_of_many_projects_answers_for_itself(tmp_path: Path) -> None:
    projects = Projects(tmp_path, None)
    for number in range(MANY):
        projects.set_policy(f"p{number}", Gates(approval_days=number + 1), actor="ann")
    assert [projects.policy(f"p{number}").approval_days for number in range(MANY)] == list(range(1, MANY + 1))
    projects.close()


def test_many_projects_leave_a_postgresql_its_connections(tmp_path: Path, postgres: str) -> None:
    projects = Projects(tmp_path, postgres)
    for number in range(MANY):
        projects.set_policy(f"p{number}", Gates(), actor="ann")
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    deadline = time.monotonic() + 30
    with Control(postgres) as control, control.read() as connection:
        while open_ones := connection.exec_driver_sql(others).scalar_one():
            assert time.monotonic() < deadline, f"{open_ones} connections are kept"
            time.sleep(0.05)  # PostgreSQL ends the process of a closed connection a moment after the client has gone
            connection.rollback()  # one transaction sees the same activity however often it asks
    projects.close()


def test_a_project_that_nobody_made_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no project 'credit'"):
        Projects(tmp_path, None).policy("credit")
