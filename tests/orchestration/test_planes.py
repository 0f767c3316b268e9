"""Which control plane a project's commands act through, and with which login."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.team import PASSWORD, Team, team
from workbench.errors import BadInput, NotAuthenticated, NotFound
from workbench.orchestration.planes import connect
from workbench.orchestration.projects import init_example
from workbench.registry.embedded import EmbeddedControlPlane
from workbench.registry.login import enter_by_password
from workbench.registry.remote import RemoteControlPlane
from workbench.registry.saved_login import Login, save_login
from workbench.settings import Layout


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return Layout(root=init_example(tmp_path_factory.mktemp("project") / "credit", "credit").folder)


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory):
    with team(tmp_path_factory.mktemp("team") / "server") as made:
        yield made


@pytest.fixture
def at_server(crew: Team, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv("WORKBENCH_SERVER", crew.url)
    monkeypatch.setenv("WORKBENCH_CONFIG_DIR", str(tmp_path / "config"))
    return crew.url


def test_without_a_server_one_person_has_every_role(layout: Layout) -> None:
    with connect(layout) as plane:
        assert isinstance(plane, EmbeddedControlPlane)
        assert plane.whoami().embedded
        assert list(plane.standings()) == []


def test_at_a_server_nobody_acts_without_a_login(layout: Layout, at_server: str) -> None:
    with pytest.raises(NotAuthenticated, match=f"nobody is logged in at {at_server}"), connect(layout):
        pytest.fail("it was let in")


def test_a_token_in_the_environment_is_used_as_it_is(
    layout: Layout, at_server: str, crew: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_TOKEN", crew.tokens["viewer"])
    with connect(layout, sign_in=lambda _: pytest.fail("nobody is asked")) as plane:
        assert isinstance(plane, RemoteControlPlane)
        assert plane.whoami().name == "viewer"
    assert crew.ask("viewer", "GET", "/v1/whoami").status_code == 200, "it is not this block's to end"


def test_a_login_for_one_act_ends_with_it_and_the_kept_one_stays(layout: Layout, at_server: str) -> None:
    kept = enter_by_password(at_server, None, "operator", PASSWORD, keep=True)
    save_login(kept)
    made: list[Login] = []

    def sign_in(login: Login) -> Login:
        assert login == kept
        made.append(enter_by_password(at_server, None, "operator", PASSWORD, keep=False))
        return made[0]

    with connect(layout, sign_in=sign_in) as plane:
        assert plane.whoami().scopes is None
        with pytest.raises(NotFound):
            plane.promote("model-none", to="staging")
    with connect(layout) as plane:
        assert plane.whoami().scopes is not None
    ended = RemoteControlPlane(at_server, made[0].token, project="credit", control=None, files=None)  # type: ignore[arg-type]
    with pytest.raises(NotAuthenticated):
        ended.whoami()
    ended.close()


def test_a_token_never_goes_to_another_machine_unencrypted(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SERVER", "http://workbench.example")
    monkeypatch.setenv("WORKBENCH_TOKEN", "wbt_x")
    with pytest.raises(BadInput, match="not encrypted"), connect(layout):
        pytest.fail("it was sent")
