"""The two control planes by turns, each with the same model and the same people: here, and over HTTP on both databases."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server.team import GATES, PROJECT, Team, small_model, team
from workbench.errors import Tampered
from workbench.governance.access import ROLES, Principal, Role
from workbench.registry.bundle import bento_of
from workbench.registry.control_plane import ControlPlane
from workbench.registry.embedded import EmbeddedControlPlane
from workbench.store.objects import digest_of


@dataclass(frozen=True, kw_only=True)
class Office:
    """A control plane for anybody: `of(person)` is the plane in the hands of one who holds the role of that name."""

    of: Callable[[str], ControlPlane]
    models: tuple[str, str]
    files: Mapping[str, Mapping[str, Path]]
    kept: Callable[[str], Path]
    """The file in which the plane itself keeps the bytes of a digest."""


def _of_role(role: Role) -> Principal:
    return Principal(id=f"user-{role}", name=role, grants=frozenset({(role, "*")}))


@pytest.fixture(scope="session")
def sqlite_crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A server on SQLite; each test has a project of its own."""
    with team(tmp_path_factory.mktemp("sqlite"), where="*") as made:
        yield made


@pytest.fixture(scope="session")
def postgresql_crew(tmp_path_factory: pytest.TempPathFactory, postgres_server: str) -> Iterator[Team]:
    """A server on PostgreSQL; each test has a project of its own."""
    with team(tmp_path_factory.mktemp("postgresql"), database_url=postgres_server, where="*") as made:
        yield made


@pytest.fixture(params=["embedded", "sqlite", "postgresql"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    """Two packaged models that nobody has registered yet."""
    with ExitStack() as stack:
        control, first, files = small_model(tmp_path, "1")
        stack.callback(control.close)
        other, second, more = small_model(tmp_path, "2")
        stack.callback(other.close)
        by_model = {first: files, second: more}
        if request.param == "embedded":
            wanted = {model: {path: digest_of(path) for path in found.values()} for model, found in by_model.items()}

            def verify(model: str) -> None:
                bento_of(model, control)
                for path, digest in wanted[model].items():
                    if digest_of(path) != digest:
                        raise Tampered(f"{path.name} is not what was recorded")

            def embedded(person: str) -> ControlPlane:
                role = next(role for role in ROLES if role == person)
                return EmbeddedControlPlane(
                    project=PROJECT, control=control, principal=_of_role(role), policy=lambda: GATES, verify=verify
                )

            paths = {digest_of(path): path for found in by_model.values() for path in found.values()}
            yield Office(of=embedded, models=(first, second), files=by_model, kept=paths.__getitem__)
            return
        crew: Team = request.getfixturevalue(f"{request.param}_crew")
        project = f"p{uuid.uuid4().hex}"
        crew.open(project)

        def remote(person: str) -> ControlPlane:
            plane = crew.plane(person, control, lambda build: by_model[f"model-{build.id.removeprefix('bento-')}"], project)
            stack.callback(plane.close)
            return plane

        objects = crew.folder / "projects" / project / "objects"
        yield Office(of=remote, models=(first, second), files=by_model, kept=lambda digest: objects / digest[:2] / digest)
