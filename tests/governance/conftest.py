"""Control databases with users or with a signed history, and an identity provider on loopback with keys of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.governance.chains import ACTS, act
from tests.governance.issuer import Issuer, issuing
from workbench.governance import identity, tokens
from workbench.governance.access import Principal
from workbench.governance.audit import export_head
from workbench.settings import Layout
from workbench.store import Control, open_control

PASSWORD = "correct horse battery"


@pytest.fixture(params=["sqlite", "postgresql"])
def control(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Control]:
    url = f"sqlite:///{tmp_path / 'control.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres")
    with Control(url) as opened:
        yield opened


@pytest.fixture
def password() -> str:
    return PASSWORD


@pytest.fixture
def logged_in(control: Control) -> Callable[..., Principal]:
    """A user with roles in the project `credit`, as a login's token shows them."""

    def make(name: str, *roles: str, project: str = "credit") -> Principal:
        user = identity.enter(control, issuer="https://id.example", subject=name, name=name)
        for role in roles:
            identity.grant(control, user.id, role=role, project=project, actor="root")
        return tokens.authenticate(control, tokens.issue_session(control, user=user.id, actor=name).text)

    return make


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as provider:
        yield provider


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A project in which twelve acts were done, and a head signed after the last."""
    made = Layout(root=tmp_path)
    with open_control(made) as control:
        act(control, ACTS)
        export_head(made, control)
    return made


@pytest.fixture
def sql(layout: Layout) -> Iterator[sqlite3.Connection]:
    """The project's database, past the store and without the triggers that would refuse."""
    connection = sqlite3.connect(layout.state / "control.db", isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    yield connection
    connection.close()
