"""An admin takes people into a team and lets them go by `workbench users`, at a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.team import PASSWORD, Team, team

NEW = "another long password"
Told = Callable[..., Any]


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with team(tmp_path_factory.mktemp("team") / "server") as made:
        yield made


@pytest.fixture
def told(crew: Team, workbench, tmp_path: Path) -> Told:
    """Runs a command as somebody with a token; returns exit code and document."""

    def run(person: str, *line: str, answers: str = "") -> tuple[int, Any]:
        variables = {"WORKBENCH_SERVER": crew.url, "WORKBENCH_TOKEN": crew.tokens[person]}
        done = workbench(tmp_path, [*line, "--json"], answers=answers, **variables)
        return done.returncode, json.loads(done.stdout)

    return run


def test_somebody_is_taken_in_gets_a_role_and_is_let_go(crew: Team, told: Told) -> None:
    code, made = told("admin", "users", "add", "ida", answers=f"{PASSWORD}\n{PASSWORD}\n")
    assert (code, made["name"], made["grants"]) == (0, "ida", [])
    crew.log_in("ida")
    assert told("admin", "users", "grant", "ida", "operator", "--project", "credit")[0] == 0
    listed = {user["name"]: user for user in told("admin", "users", "list")[1]}
    assert listed["ida"]["grants"] == [{"role": "operator", "project": "credit"}]
    assert crew.ask("ida", "GET", "/v1/whoami").status_code == 401, "a new role is for a new login"
    crew.log_in("ida")
    assert told("admin", "users", "revoke", "ida", "operator", "--project", "credit")[0] == 0
    assert told("admin", "users", "disable", "ida")[0] == 0
    entered = httpx.post(f"{crew.url}/v1/login", json={"name": "ida", "password": PASSWORD})
    assert entered.status_code == 401


def test_each_changes_their_own_password(crew: Team, told: Told) -> None:
    crew.hire("kim", ("viewer", "credit"))
    code, refused = told("kim", "users", "password", answers=f"wrong password here\n{NEW}\n{NEW}\n")
    assert (code, refused["error"]) == (7, "NotAuthenticated")
    assert told("kim", "users", "password", answers=f"{PASSWORD}\n{NEW}\n{NEW}\n") == (0, {"changed": True})
    for password, status in ((PASSWORD, 401), (NEW, 200)):
        assert httpx.post(f"{crew.url}/v1/login", json={"name": "kim", "password": password}).status_code == status


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        (("grant", "viewr", "viewer"), "NotFound", "Did you mean 'viewer'?"),
        (("grant", "viewer", "boss"), "BadInput", "'boss' is not one of"),
        (("revoke", "viewer", "operator"), "NotFound", "does not hold operator"),
        (("disable", "admin"), "NotAllowed", "admin"),
    ],
)
def test_what_cannot_be_done_is_told_with_what_to_do(told: Told, line: tuple[str, ...], error: str, words: str) -> None:
    code, refused = told("admin", "users", *line)
    assert code != 0
    assert refused["error"] == error
    assert words in refused["message"] + refused["hint"]


def test_without_a_server_there_is_one_person_and_the_way_to_a_team_is_told(workbench, tmp_path: Path) -> None:
    done = workbench(tmp_path, ["users", "list", "--json"])
    refused = json.loads(done.stdout)
    assert (done.returncode, "one person" in refused["message"], "workbench server" in refused["hint"]) == (2, True, True)


def test_the_list_is_read_by_people_too(crew: Team, workbench, tmp_path: Path) -> None:
    done = workbench(tmp_path, ["users", "list"], WORKBENCH_SERVER=crew.url, WORKBENCH_TOKEN=crew.tokens["admin"])
    assert "operator in credit" in done.stdout
    assert "admin in every project" in done.stdout
