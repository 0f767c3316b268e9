"""Who may do what by the command line where a team's server is used: every command, without a login and in every role."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.main import get_group

from tests.server.team import PASSWORD, Team, small_model, team
from workbench.cli.entry import commands
from workbench.cli.permissions import LOCAL, PERMISSIONS, require_declared, walk
from workbench.errors import NotAllowed, NotAuthenticated, WorkbenchError
from workbench.governance.access import HOLDERS, ROLES, permission_of
from workbench.orchestration.projects import init_example
from workbench.registry.login import enter_by_password
from workbench.registry.saved_login import current_login, save_login
from workbench.settings import Layout
from workbench.store import open_control

READERS = "viewer scientist reviewer approver operator auditor service"
EXPECTED = {
    "approve MODEL --role approver": "approver",
    "approve MODEL --role reviewer": "reviewer",
    "erase nobody-of-this-name": "admin",
    "evidence MODEL": "scientist reviewer approver auditor",
    "models accept MODEL --reason r": "reviewer",
    "models registered": READERS,
    "models show MODEL": READERS,
    "promote MODEL --to production": "operator",
    "reject MODEL --comment no": "approver",
    "reject MODEL --comment no --role reviewer": "reviewer",
    "resume experiment-1": "scientist service",
    "rollback": "operator",
    "run": "scientist service",
    "users disable extra": "admin",
    "users grant viewer viewer --project credit": "admin",
    "users list": "admin",
    "users revoke viewer operator --project credit": "admin",
    "waive MODEL --gate parity --reason r --days 1": "approver",
}
"""What a person may run with a role in this project; `watch` and `demo` start runs as `run` does, `logout` is for everybody,
and `register` needs a package that was really built: the journey of two people has one, and the matrix over HTTP its address.
`users add` and `users password` ask the person: see test_users."""
ELSEWHERE = {"watch", "demo", "logout", "register", "users add", "users password"}

AT_HOME = [
    *(
        "attach nothing",
        "audit export",
        "audit list",
        "audit verify",
        "check notebooks",
        "doctor",
        "execute none.ipynb",
    ),
    *("init credit --example credit", "models", "package nothing", "runs", "serve", "server policy credit none.toml"),
    *("trace nothing", "verify nothing"),
]
"""Commands that ask no server; `lab`, `server` and `login` do not return, or ask the person."""
STAYING = {"lab", "server", "login"}


@dataclass(frozen=True, kw_only=True)
class Office:
    """A team's server, and a project on this machine with one model that is registered there."""

    crew: Team
    project: Path
    model: str


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    project = init_example(folder / "credit", "credit").folder
    (project / "flows" / "experiment.py").write_text("raise SystemExit(1)  # it was allowed to start, which is all that is asked")
    with open_control(Layout(root=project)) as control:
        control.start_run(run="experiment-1", flow="experiment", actor="ann", process=1)
        control.end_run("experiment-1", actor="ann", failure="a fault")
    with team(folder / "server") as crew:
        crew.hire("extra")
        control, model, files = small_model(folder)
        with control:
            plane = crew.plane("scientist", control, lambda _: files)
            plane.register(model)
            plane.close()
        yield Office(crew=crew, project=project, model=model)


Run = Callable[[str], WorkbenchError | None]


@pytest.fixture
def run(office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command in the project, at the team's server; returns the error with which it ended."""
    monkeypatch.chdir(office.project)
    monkeypatch.setenv("WORKBENCH_SERVER", office.crew.url)
    monkeypatch.setenv("WORKBENCH_CONFIG_DIR", str(tmp_path / "config"))

    def command(line: str) -> WorkbenchError | None:
        try:
            commands().main(args=shlex.split(line.replace("MODEL", office.model)), prog_name="workbench", standalone_mode=False)
        except WorkbenchError as error:
            return error
        return None

    return command


def words_of(lines: Sequence[str]) -> set[str]:
    return {max((words for words in PERMISSIONS if f"{line} ".startswith(f"{words} ")), key=len) for line in lines}


def test_every_command_that_there_is_declares_one_permission_of_the_table() -> None:
    assert set(walk(commands())) == set(PERMISSIONS)
    assert {permission for permission in PERMISSIONS.values() if permission != LOCAL} <= set(map(str, HOLDERS))


def test_every_command_is_walked_here() -> None:
    asking = {words for words, permission in PERMISSIONS.items() if permission != LOCAL}
    assert words_of(list(EXPECTED)) | ELSEWHERE == asking
    assert words_of(AT_HOME) | STAYING == set(PERMISSIONS) - asking


@pytest.mark.parametrize("line", EXPECTED)
def test_what_is_declared_is_what_the_roles_hold(line: str) -> None:
    (words,) = words_of([line])
    assert set(EXPECTED[line].split()) <= set(HOLDERS[permission_of(PERMISSIONS[words])])


def test_the_command_line_does_not_start_with_a_command_that_declares_nothing() -> None:
    app = typer.Typer()
    for words in ("forgotten", "check"):
        app.command(words)(lambda: None)
    with pytest.raises(WorkbenchError, match="declares no permission"):
        require_declared(get_group(app))


@pytest.mark.parametrize("line", EXPECTED)
def test_without_a_login_nothing_is_done(line: str, run: Run) -> None:
    assert isinstance(run(line), NotAuthenticated)


@pytest.mark.parametrize("line", EXPECTED)
def test_each_role_may_do_what_the_table_says_and_nothing_else(
    line: str, run: Run, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role in ROLES:
        office.crew.ask(role, "GET", "/v1/whoami")
        monkeypatch.setenv("WORKBENCH_TOKEN", office.crew.tokens[role])
        ended = run(line)
        assert isinstance(ended, NotAllowed) != (role in EXPECTED[line].split()), (role, ended)
        assert not isinstance(ended, NotAuthenticated), role


@pytest.mark.parametrize("line", AT_HOME)
def test_what_stays_on_this_machine_asks_no_server(line: str, run: Run) -> None:
    assert not isinstance(run(line), NotAllowed | NotAuthenticated)


@pytest.mark.parametrize(("line", "person"), [("approve MODEL", "approver"), ("rollback", "operator"), ("erase x", "admin")])
def test_a_kept_login_decides_nothing_and_the_person_is_asked_again_for_each_act(
    line: str, person: str, run: Run, office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = save_login(enter_by_password(office.crew.url, None, person, PASSWORD, keep=True))
    kept = current_login()
    assert kept is not None
    monkeypatch.setenv("WORKBENCH_TOKEN", kept.token)
    assert "narrowed" in str(run(line)), "who steals the file gains no decision"
    monkeypatch.delenv("WORKBENCH_TOKEN")
    asked: list[str] = []

    def prompt(text: str, **_: object) -> str:
        asked.append(text)
        return PASSWORD

    monkeypatch.setattr(typer, "prompt", prompt)
    before = file.read_bytes()
    ended = run(line)
    assert not isinstance(ended, NotAllowed | NotAuthenticated), ended
    assert asked == [f"Password of {person} at {office.crew.url}"]
    assert file.read_bytes() == before, "what is kept is what was kept"
    sessions = [token for token in office.crew.ask(person, "GET", "/v1/tokens").json() if token["kind"] == "session"]
    assert sessions[-1]["scopes"] is None
    assert sessions[-1]["revoked"] is not None, "the login for the act ended with it"


def test_a_wrong_password_does_nothing(run: Run, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    save_login(enter_by_password(office.crew.url, None, "auditor", PASSWORD, keep=True))
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: "another long password")
    assert isinstance(run("promote MODEL --to staging"), NotAuthenticated)


def test_where_nobody_can_be_asked_the_way_to_give_a_token_is_told(office: Office, tmp_path: Path, workbench) -> None:
    config = {"WORKBENCH_CONFIG_DIR": str(tmp_path), "WORKBENCH_SERVER": office.crew.url}
    login = enter_by_password(office.crew.url, None, "operator", PASSWORD, keep=True)
    (tmp_path / "login.json").write_text(json.dumps({"url": login.url, "token": login.token, "name": "operator"}))
    (tmp_path / "login.json").chmod(0o600)
    done = workbench(office.project, ["rollback", "--json"], **config)
    told = json.loads(done.stdout)
    assert (told["error"], "WORKBENCH_TOKEN" in told["hint"]) == ("NotAuthenticated", True), told
