"""Who may do what over HTTP, walked for every address, verb and role, against a table that is written here and nowhere else."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.server.team import PROJECT, Team, team
from workbench.server.routes import ROUTES

EVERYBODY = "viewer scientist reviewer approver operator auditor admin service"
PEOPLE = "viewer scientist reviewer approver operator auditor admin"
READERS = "viewer scientist reviewer approver operator auditor service"
VERBS = ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "POST")  # whoever has logged out can ask for nothing more

EXPECTED = {
    "GET /v1/health": "public",
    "POST /v1/bootstrap": "public",
    "POST /v1/login": "public",
    "POST /v1/login/start": "public",
    "POST /v1/login/finish": "public",
    "GET /v1/openapi.json": EVERYBODY,
    "GET /v1/whoami": EVERYBODY,
    "GET /v1/tokens": PEOPLE,
    "POST /v1/tokens": PEOPLE,
    "DELETE /v1/tokens/{token}": PEOPLE,
    "POST /v1/runs/{run}/token": "scientist service",
    "PUT /v1/runs/{run}/token": "scientist service",
    "DELETE /v1/runs/{run}/token": "scientist service",
    "POST /v1/password": PEOPLE,
    "POST /v1/logout": PEOPLE,
    "GET /v1/users": "admin",
    "POST /v1/users": "admin",
    "POST /v1/users/{user}/disable": "admin",
    "POST /v1/users/{user}/grants": "admin",
    "DELETE /v1/users/{user}/grants": "admin",
    "POST /v1/people/{person}/erase": "admin",
    "GET /v1/audit": "",  # of all projects: it takes an auditor of all projects
    "GET /v1/projects/{project}/audit": "auditor",
    "GET /v1/projects/{project}/policy": EVERYBODY,
    "PUT /v1/projects/{project}/policy": "admin",
    "POST /v1/projects/{project}/objects": "scientist",
    "PUT /v1/projects/{project}/objects/{sha256}": "scientist",
    "GET /v1/projects/{project}/models": READERS,
    "POST /v1/projects/{project}/models": "scientist",
    "GET /v1/projects/{project}/models/{model}": READERS,
    "GET /v1/projects/{project}/models/{model}/papers": "scientist reviewer approver auditor",
    "POST /v1/projects/{project}/models/{model}/review": "reviewer",
    "POST /v1/projects/{project}/models/{model}/approve": "reviewer approver",
    "POST /v1/projects/{project}/models/{model}/reject": "reviewer approver",
    "POST /v1/projects/{project}/models/{model}/waive": "approver",
    "POST /v1/projects/{project}/models/{model}/promote": "operator",
    "POST /v1/projects/{project}/services/{service}/rollback": "operator",
}
PATHS = sorted({entry.split()[1] for entry in EXPECTED}, key=lambda path: (path == "/v1/logout", path))


@pytest.fixture(scope="module")
def own_crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A server of this module's own: the walk logs people out."""
    with team(tmp_path_factory.mktemp("matrix")) as made:
        made.hire("elsewhere", *((role, "other") for role in PEOPLE.split() if role != "admin"))
        yield made


def address(path: str) -> str:
    """The path with names that fit, in the project where everybody holds a role; a run that is nobody's yet."""
    return re.sub(
        r"\{(\w+)\}",
        lambda found: {"project": PROJECT, "sha256": "0" * 64, "run": uuid.uuid4().hex}.get(found[1], "nothing"),
        path,
    )


def sent(client: httpx.Client, verb: str, path: str, token: str | None) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    if verb in ("POST", "PUT", "PATCH", "DELETE"):
        upload = path.endswith("{sha256}") and verb == "PUT"
        headers["content-type"] = "application/octet-stream" if upload else "application/json"
        return client.request(verb, address(path), headers=headers, content=b"{")  # who may not is told before it is read
    return client.request(verb, address(path), headers=headers)


def test_the_table_names_every_route_and_no_other() -> None:
    assert {f"{route.verb} {route.path}" for route in ROUTES} == set(EXPECTED)


def test_strangers_reach_public_addresses_only_whatever_the_verb(own_crew: Team) -> None:
    wrong = []
    with httpx.Client(base_url=own_crew.url) as client:
        for path in (*PATHS, "/", "/docs", "/openapi.json", "/v1", "/v1/nothing", "/v1/projects//models"):
            for verb in VERBS:
                status = sent(client, verb, path, None).status_code
                public = EXPECTED.get(f"{verb} {path}") == "public"
                if (status in (401, 403)) == public or status >= 500:
                    wrong.append((verb, path, status))
    assert wrong == []


@pytest.mark.parametrize("role", EVERYBODY.split())
def test_each_role_reaches_what_the_table_says_and_nothing_else(role: str, own_crew: Team) -> None:
    wrong = []
    with httpx.Client(base_url=own_crew.url, timeout=30) as client:
        for path in PATHS:
            for verb in VERBS:
                allowed = EXPECTED.get(f"{verb} {path}")
                status = sent(client, verb, path, own_crew.tokens[role]).status_code
                if allowed is None:
                    right = status == 405
                elif allowed == "public":
                    right = status not in (401, 403) and status < 500
                else:
                    right = (status == 403) != (role in allowed.split()) and status < 500 and status != 401
                if not right:
                    wrong.append((verb, path, status))
    assert wrong == []


def test_roles_in_another_project_open_nothing_in_this_one(own_crew: Team) -> None:
    wrong = []
    with httpx.Client(base_url=own_crew.url, timeout=30) as client:
        for entry in EXPECTED:
            verb, path = entry.split()
            if "{project}" in path and sent(client, verb, path, own_crew.tokens["elsewhere"]).status_code != 403:
                wrong.append(entry)
    assert wrong == []
