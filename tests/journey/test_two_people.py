"""Two people and a team's server: a model that a run made goes to production and back, by the command line alone.

Everything is real: the project, its runs and packages, the server as a process of its own, and a token for each person.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery staple"
PEOPLE = {"sam": "scientist", "mia": "reviewer", "bea": "approver", "otto": "operator", "ada": "auditor"}
GATES = """
[gates]
fairness = "accepted"
contract = true
parity = true
signature = true
oldest_days = 30
approvals = 2
roles = ["approver", "reviewer"]

[gates.metrics.roc_auc]
floor = 0.55
worse_by = 0.05
"""


@dataclass(frozen=True, kw_only=True)
class Town:
    """A project, the server of its team, and a token for each person."""

    project: Path
    url: str
    server: Path
    tokens: dict[str, str]
    models: tuple[str, str]
    """The first was chosen; the second waits for a reviewer, since its groups are too small to judge."""

    def told(self, person: str, *line: str) -> subprocess.CompletedProcess[str]:
        """What a command says in one person's hands."""
        variables = {**os.environ, "WORKBENCH_SERVER": self.url, "WORKBENCH_TOKEN": self.tokens[person]}
        return subprocess.run(
            [sys.executable, "-m", "workbench", *line],
            cwd=self.project,
            env=variables,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def done(self, person: str, *line: str) -> Any:
        """The document that a command prints which succeeds."""
        ended = self.told(person, *line, "--json")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout)

    def refused(self, person: str, *line: str) -> tuple[int, str]:
        """The exit code of a command that is refused, and all that it says."""
        ended = self.told(person, *line)
        assert ended.returncode != 0, ended.stdout
        return ended.returncode, " ".join((ended.stdout + ended.stderr).split())


def alone(folder: Path, *line: str) -> Any:
    """A command without a server, as one person runs it."""
    ended = subprocess.run(
        [sys.executable, "-m", "workbench", *line, "--json"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


@contextmanager
def served(folder: Path, database_url: str | None) -> Iterator[dict[str, Any]]:
    """`workbench server` as a process of its own; gives what it printed."""
    variables = {**os.environ, **({"WORKBENCH_DATABASE_URL": database_url} if database_url else {})}
    command = [sys.executable, "-m", "workbench", "server", "--folder", str(folder), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not lines or not lines[-1].startswith("}"):
                lines.append(next(process.stdout))
            yield json.loads("".join(lines))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def hired(told: dict[str, Any]) -> dict[str, str]:
    """Makes the first admin by the token that the server printed, and one person for each role; returns their tokens."""

    def ask(verb: str, path: str, body: object, token: str | None = None) -> Any:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        answer = httpx.request(verb, f"{told['url']}{path}", json=body, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    ask("POST", "/v1/bootstrap", {"token": told["bootstrap"], "name": "root", "password": PASSWORD})
    admin = ask("POST", "/v1/login", {"name": "root", "password": PASSWORD})["token"]
    tokens = {"root": admin}
    for name, role in PEOPLE.items():
        user = ask("POST", "/v1/users", {"name": name, "password": PASSWORD}, admin)["id"]
        granted = ("scientist", "approver") if role == "scientist" else (role,)  # whose own approval must be refused all the same
        for each in granted:
            ask("POST", f"/v1/users/{user}/grants", {"role": each, "project": "credit"}, admin)
        tokens[name] = ask("POST", "/v1/login", {"name": name, "password": PASSWORD})["token"]
    return tokens


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, str]]:
    """A small project that has run twice; the second run had too few people in each group to judge fairness."""
    folder = tmp_path_factory.mktemp("two")
    alone(folder, "init", "credit", "--example", "credit")
    project, settings = folder / "credit", folder / "credit" / "workbench.toml"
    text = re.sub(r"candidates = \[.*\]", 'candidates = ["02_train_linear"]', settings.read_text())
    settings.write_text(text)
    first = alone(project, "run", "-p", "rows", "3000")
    settings.write_text(text.replace("minimum_group_size = 50", "minimum_group_size = 100000"))
    second = alone(project, "run", "-p", "rows", "3000", "-p", "regularisation", "0.5")
    made = [next(one for one in run["records"] if one["kind"] == "model") for run in (first, second)]
    assert [one["state"] for one in made] == ["chosen", "waiting"]
    return project, (made[0]["id"], made[1]["id"])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def town(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, project: tuple[Path, tuple[str, str]]
) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp(request.param)
    server, url = folder / "server", None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server")
    (folder / "gates.toml").write_text(GATES)
    with served(server, url) as told:
        variables = {**os.environ, **({"WORKBENCH_DATABASE_URL": url} if url else {})}
        command = [sys.executable, "-m", "workbench", "server", "--folder", str(server), "policy", "credit"]
        set_gates = subprocess.run(
            [*command, str(folder / "gates.toml"), "--json"], env=variables, capture_output=True, text=True, check=False
        )
        assert set_gates.returncode == 0, set_gates.stdout + set_gates.stderr
        yield Town(project=project[0], url=told["url"], server=server, tokens=hired(told), models=project[1])


def gates_of(standing: dict[str, Any]) -> dict[str, bool]:
    return {gate["gate"]: gate["passed"] for gate in standing["gates"]}


def released(town: Town, model: str) -> None:
    """Takes a registered model to production, by two people and an operator."""
    town.done("mia", "approve", model, "--role", "reviewer", "--comment", "read the review")
    town.done("bea", "approve", model, "--comment", "the numbers hold")
    town.done("otto", "promote", model, "--to", "staging")
    town.done("otto", "promote", model, "--to", "production")


def test_two_people_take_a_model_to_production_and_back(town: Town, tmp_path: Path) -> None:
    first, second = town.models
    entered = town.done("sam", "register", first)
    assert (entered["stage"], entered["author"]) == ("candidate", "sam")
    assert gates_of(entered) == {
        "metrics.roc_auc.floor": True,
        "metrics.roc_auc.worse_by": True,
        "fairness": True,
        "contract": True,
        "parity": True,
        "signature": True,
        "oldest_days": True,
        "approvals": False,
    }
    code, said = town.refused("sam", "approve", first)
    assert code == 7
    assert "sam made this model" in said
    assert "Ask somebody else who is reviewer or approver" in said
    assert town.done("otto", "promote", first, "--to", "staging")["stage"] == "staging"
    code, said = town.refused("otto", "promote", first, "--to", "production")
    assert code == 8
    assert "approvals: 0 of 2 approvals" in said
    assert "2 more needed, by approver or reviewer" in said
    code, said = town.refused("bea", "promote", first, "--to", "production")
    assert code == 7
    assert "Ask somebody else who is operator" in said
    town.done("mia", "approve", first, "--role", "reviewer", "--comment", "read the review")
    town.done("bea", "approve", first, "--comment", "the numbers hold")
    live = town.done("otto", "promote", first, "--to", "production")
    assert (live["stage"], live["generation"], live["previous"]) == ("production", 1, None)

    # the second waits for a reviewer: packaged and registered all the same, and no decision on it is the author's
    town.done("sam", "package", second)
    waiting = town.done("sam", "register", second)
    assert gates_of(waiting)["fairness"] is False
    code, said = town.refused("otto", "promote", second, "--to", "staging")
    assert code == 8
    assert "fairness: the review says INCONCLUSIVE, PASS, or INCONCLUSIVE and accepted, is asked for" in said
    town.done("bea", "approve", second, "--comment", "too early")
    code, said = town.refused("sam", "models", "accept", second, "--reason", "mine")
    assert code == 7
    town.done("mia", "models", "accept", second, "--reason", "the groups are large enough for a pilot")
    reviewed = town.done("bea", "models", "show", second)
    assert reviewed["bundle_digest"] != waiting["bundle_digest"]
    assert gates_of(reviewed)["fairness"] is True, "the author need not register it again"
    assert "0 of 2" in next(gate["reason"] for gate in reviewed["gates"] if gate["gate"] == "approvals"), "what was seen changed"
    released(town, second)
    assert {one["model"]: one["stage"] for one in town.done("ada", "models", "registered")} == {
        first: "archived",
        second: "production",
    }
    back = town.done("otto", "rollback")
    assert (back["model"], back["rollback"], back["generation"]) == (first, True, 3)

    written = town.done("sam", "evidence", second, "--output", str(tmp_path / "evidence"))
    pages = "".join(path.read_text() for path in Path(written["folder"]).rglob("*.html"))
    for person in ("mia", "bea", "sam", "otto"):
        assert person in pages
    assert "the groups are large enough for a pilot" in pages
    assert alone(town.project, "verify", str(tmp_path / "evidence"))["whole"] is True


def test_what_people_read_says_where_a_model_stands_and_who_decided(town: Town) -> None:
    first = town.models[0]
    told = town.told("bea", "models", "show", first).stdout
    assert f"{first}: production of credit, registered by sam" in told
    for words in ("approve", "read the review", "the numbers hold", "2 of 2"):
        assert words in told
