"""What somebody who wants a model live against the rules could try over HTTP, and why it does not work."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server.team import GATES, Team, small_model
from workbench.errors import GateFailed, NotAllowed, NotAuthenticated, Outdated, WorkbenchError
from workbench.orchestration import run_tokens
from workbench.orchestration.run_tokens import run_variables
from workbench.registry.remote import RemoteControlPlane
from workbench.settings import Layout, environment

PROJECT = "attacked"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A project with two packaged models on a team's server."""

    crew: Team
    planes: dict[str, RemoteControlPlane]
    models: tuple[str, str]

    def of(self, person: str) -> RemoteControlPlane:
        return self.planes[person]

    def registered(self, index: int = 0, author: str = "scientist") -> str:
        """Registers a model; returns its bundle's digest."""
        return self.of(author).register(self.models[index]).bundle_digest


@pytest.fixture
def scene(sqlite_crew: Team, tmp_path: Path) -> Iterator[Scene]:
    project = f"{PROJECT}-{tmp_path.name[-20:].strip('_').replace('_', '-').lower()}"
    sqlite_crew.open(project)
    control, first, files = small_model(tmp_path, "1")
    other, second, more = small_model(tmp_path, "2")
    both = {"bento-1": files, "bento-2": more}
    if "both" not in sqlite_crew.tokens:
        sqlite_crew.hire("both", ("scientist", "*"), ("approver", "*"))
    planes = {name: sqlite_crew.plane(name, control, lambda build: both[build.id], project) for name in sqlite_crew.tokens}
    yield Scene(crew=sqlite_crew, planes=planes, models=(first, second))
    for plane in planes.values():
        plane.close()
    control.close()
    other.close()


def test_an_author_with_the_approvers_role_is_refused_with_the_reason(scene: Scene) -> None:
    bundle = scene.registered(author="both")
    with pytest.raises(NotAllowed, match="made this model") as caught:
        scene.of("both").approve(scene.models[0], bundle=bundle)
    assert "somebody else" in caught.value.hint


def test_nobody_gets_a_second_account_of_their_own_name(scene: Scene) -> None:
    again = scene.crew.ask("admin", "POST", "/v1/users", json={"name": "both", "password": "correct horse battery"})
    assert again.status_code == 422
    assert "already" in again.json()["message"]


def test_an_approval_of_one_model_is_not_replayed_on_another(scene: Scene) -> None:
    bundle = scene.registered(0)
    scene.registered(1)
    with pytest.raises(Outdated):
        scene.of("approver").approve(scene.models[1], bundle=bundle)


def test_a_policy_that_was_tightened_voids_the_approvals_before(scene: Scene) -> None:
    bundle = scene.registered()
    scene.of("approver").approve(scene.models[0], bundle=bundle)
    scene.of("operator").promote(scene.models[0], to="staging")
    project = scene.of("operator")._path
    tighter = GATES.model_copy(update={"oldest_days": 365})
    assert scene.crew.ask("admin", "PUT", f"{project}/policy", json=tighter.model_dump(mode="json")).status_code == 200
    with pytest.raises(GateFailed) as caught:
        scene.of("operator").promote(scene.models[0], to="production")
    assert any("approvals" in problem for problem in caught.value.problems)


def test_a_role_that_was_taken_away_ends_at_once(scene: Scene) -> None:
    bundle = scene.registered()
    scene.of("approver").approve(scene.models[0], bundle=bundle)
    crew = scene.crew
    if "leaver" not in crew.tokens:
        crew.hire("leaver", ("operator", "*"))
    user = next(user["id"] for user in crew.ask("admin", "GET", "/v1/users").json() if user["name"] == "leaver")
    path = f"/v1/users/{user}/grants"
    assert crew.ask("admin", "DELETE", path, json={"role": "operator", "project": "*"}).status_code == 200
    assert (
        crew.ask("leaver", "POST", f"{scene.of('operator')._model(scene.models[0])}/promote", json={"to": "staging"}).status_code
        == 401
    )
    crew.log_in("leaver")
    assert (
        crew.ask("leaver", "POST", f"{scene.of('operator')._model(scene.models[0])}/promote", json={"to": "staging"}).status_code
        == 403
    )


def test_of_two_promotions_at_once_one_is_done_and_one_refused(scene: Scene) -> None:
    bundle = scene.registered()
    scene.of("approver").approve(scene.models[0], bundle=bundle)
    scene.of("operator").promote(scene.models[0], to="staging")
    outcomes: list[str] = []
    start = threading.Barrier(4)

    def promote() -> None:
        start.wait()
        try:
            scene.of("operator").promote(scene.models[0], to="production")
            outcomes.append("done")
        except WorkbenchError as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=promote) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["Outdated", "Outdated", "Outdated", "done"]
    assert scene.of("viewer").standing(scene.models[0]).generation == 1


def test_from_a_kernel_nobody_decides_though_the_owner_could(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = scene.registered()
    monkeypatch.setenv("WORKBENCH_SERVER", scene.crew.url)
    monkeypatch.setenv("WORKBENCH_TOKEN", scene.crew.tokens["both"])
    model = scene.of("both")._model(scene.models[0])
    with run_variables("experiment-of-both") as held:
        assert held["WORKBENCH_TOKEN"] != scene.crew.tokens["both"]
        crew = Team(url=scene.crew.url, folder=scene.crew.folder, tokens={"kernel": held["WORKBENCH_TOKEN"]})
        assert crew.ask("kernel", "GET", model).status_code == 200
        for path, body in (
            (f"{model}/approve", {"bundle": bundle}),
            (f"{model}/waive", {"gate": "parity", "bundle": bundle, "reason": "r", "days": 1}),
            (f"{model}/promote", {"to": "staging"}),
            ("/v1/tokens", {}),
            ("/v1/runs/another/token", None),
            ("/v1/runs/experiment-of-both/token", None),
            ("/v1/password", {"old": "x", "new": "correct horse battery"}),
        ):
            assert crew.ask("kernel", "POST", path, json=body).status_code == 403, path
        assert crew.ask("kernel", "PUT", "/v1/runs/experiment-of-both/token").status_code == 403
    assert crew.ask("kernel", "GET", model).status_code == 401, "the run is over, and so is its token"


def test_a_run_that_lasts_keeps_its_token_alive(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SERVER", scene.crew.url)
    monkeypatch.setenv("WORKBENCH_TOKEN", scene.crew.tokens["scientist"])
    monkeypatch.setattr(run_tokens, "RENEWED_SECONDS", 0.05)
    with run_variables("experiment-that-lasts") as held:
        identity = held["WORKBENCH_TOKEN"].split("_")[1]

        def expires() -> str:
            listed = scene.crew.ask("scientist", "GET", "/v1/tokens").json()
            return next(str(token["expires"]) for token in listed if token["id"] == identity)

        first, deadline = expires(), time.monotonic() + 20
        while expires() == first:
            assert time.monotonic() < deadline


def test_a_run_registers_no_model_since_a_person_sends_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SERVER", scene.crew.url)
    monkeypatch.setenv("WORKBENCH_TOKEN", scene.crew.tokens["scientist"])
    with run_variables(f"experiment-{uuid.uuid4().hex}") as held:
        path = scene.of("scientist")._path
        crew = Team(url=scene.crew.url, folder=scene.crew.folder, tokens={"kernel": held["WORKBENCH_TOKEN"]})
        for address in (f"{path}/objects", f"{path}/models"):
            answer = crew.ask("kernel", "POST", address, json={})
            assert (answer.status_code, "this token belongs to the run" in answer.json()["message"]) == (403, True)
        assert crew.ask("kernel", "GET", f"{path}/models").status_code == 200


def test_a_process_of_a_run_finds_neither_the_persons_token_nor_the_servers_database(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORKBENCH_SERVER", scene.crew.url)
    monkeypatch.setenv("WORKBENCH_TOKEN", scene.crew.tokens["both"])
    with run_variables("experiment-of-both") as held:
        variables = {**environment(Layout(root=tmp_path)), **held}
        done = subprocess.run(
            [sys.executable, "-c", "import os; print(dict(os.environ))"],
            env=variables,
            capture_output=True,
            text=True,
            check=True,
        )
    assert held["WORKBENCH_TOKEN"] in done.stdout
    assert scene.crew.tokens["both"] not in done.stdout
    assert str(scene.crew.folder) not in done.stdout


def test_an_ended_login_opens_nothing(scene: Scene) -> None:
    crew = scene.crew
    crew.log_in("viewer")
    ended = crew.tokens["viewer"]
    assert crew.ask("viewer", "POST", "/v1/logout").status_code == 200
    plane = RemoteControlPlane(crew.url, ended, project=PROJECT, control=None, files=lambda _: {})  # type: ignore[arg-type]
    with pytest.raises(NotAuthenticated):
        plane.whoami()
    plane.close()
    crew.log_in("viewer")
