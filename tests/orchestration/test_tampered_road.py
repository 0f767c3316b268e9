"""A flipped byte in any file of a real package stops it from being approved, promoted and loaded, here and at a server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.orchestration.conftest import Packaged
from tests.server.team import Team, team
from workbench.errors import NotAllowed, RunFailed, Tampered, WorkbenchError
from workbench.governance.model_key import TRUSTED_KEY, trusted_key_file
from workbench.orchestration.deployment import deployed
from workbench.orchestration.planes import embedded_plane, packaged_files
from workbench.project import Gates
from workbench.registry.remote import RemoteControlPlane
from workbench.serving.bento import model_folder
from workbench.serving.server import serving

PROJECT = "people"


@contextmanager
def flipped(path: Path) -> Iterator[None]:
    """One bit of the middle byte is another one; afterwards the file is as it was."""
    content = path.read_bytes()
    mode = path.stat().st_mode
    middle = len(content) // 2
    path.chmod(0o600)
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :] if content else b"x")
    try:
        yield
    finally:
        path.write_bytes(content)
        path.chmod(mode)


def refused(act: Callable[[], object]) -> bool:
    """Whether an act is refused for what was found, and not for any other reason."""
    try:
        act()
    except Tampered:
        return True
    except WorkbenchError:
        return False
    return False


def test_here_no_file_can_change_unseen(packaged: Packaged) -> None:
    model, plane = packaged.model.id, embedded_plane(packaged.layout, packaged.control)
    bundle = plane.standing(model).bundle_digest
    unseen = []
    files = packaged_files(packaged.bento, packaged.layout)
    assert len(files) > 20
    for name, path in files.items():
        with flipped(path):
            acts = {
                "approve": lambda: plane.approve(model, bundle=bundle),
                "promote": lambda: plane.promote(model, to="staging"),
                "register": lambda: plane.register(model),
                "serve": lambda: deployed(packaged.layout, port=0).__enter__(),
            }
            unseen += [(name, act) for act, do in acts.items() if not refused(do)]
    assert unseen == []
    assert plane.standing(model).stage == "candidate"


def test_the_command_line_ends_with_9_and_names_the_file(packaged: Packaged) -> None:
    path = packaged_files(packaged.bento, packaged.layout)["model/model.onnx"]
    for line in (["approve", packaged.model.id], ["promote", packaged.model.id, "--to", "staging"], ["serve", "--port", "0"]):
        with flipped(path):
            ended = subprocess.run(
                [sys.executable, "-m", "workbench", *line], cwd=packaged.layout.root, capture_output=True, text=True, check=False
            )
        said = " ".join((ended.stdout + ended.stderr).split())
        assert ended.returncode == 9, said
        assert "model.onnx" in said
        assert "Do not use it." in said


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with team(tmp_path_factory.mktemp("town"), where="*") as made:
        gates = Gates(approvals=1).model_dump(mode="json")
        assert made.ask("admin", "PUT", f"/v1/projects/{PROJECT}/policy", json=gates).status_code == 200
        made.hire("both", ("scientist", "*"), ("approver", "*"))
        yield made


@pytest.fixture
def of(crew: Team, packaged: Packaged) -> Iterator[dict[str, RemoteControlPlane]]:
    planes = {
        name: crew.plane(name, packaged.control, lambda build: packaged_files(build, packaged.layout), PROJECT)
        for name in ("scientist", "approver", "operator", "both", "viewer")
    }
    yield planes
    for plane in planes.values():
        plane.close()


def test_at_a_server_no_file_can_change_unseen(crew: Team, packaged: Packaged, of: dict[str, RemoteControlPlane]) -> None:
    model = packaged.model.id
    entered = of["scientist"].register(model)
    assert {gate.gate: gate.passed for gate in entered.gates}["signature"]
    home = crew.folder / "projects" / PROJECT
    kept = [path for path in (home / "objects").rglob("*") if path.is_file()]
    kept.append(home / "bentos" / f"{packaged.bento.id}.json")
    assert len(kept) > 20
    unseen = []
    for path in kept:
        with flipped(path):
            acts = {
                "approve": lambda: of["approver"].approve(model, bundle=entered.bundle_digest),
                "promote": lambda: of["operator"].promote(model, to="staging"),
            }
            for act, do in acts.items():
                try:
                    do()
                    unseen.append((path.name, act))
                except Tampered:
                    pass
    assert unseen == []
    assert of["viewer"].standing(model).stage == "candidate"


def test_files_that_differ_from_the_signature_are_not_registered(packaged: Packaged, crew: Team) -> None:
    """Whoever sends other bytes with the record of a signed package: each file is compared with the signature it names."""
    files = packaged_files(packaged.bento, packaged.layout)
    crew.open("elsewhere")
    accepted = []
    for name, path in files.items():
        with flipped(path):
            plane = crew.plane("scientist", packaged.control, lambda _: files, "elsewhere")
            try:
                plane.register(packaged.model.id)
                accepted.append(name)
            except Tampered:
                pass
            finally:
                plane.close()
    assert accepted == []


def test_who_sends_somebody_elses_model_is_refused_and_does_not_become_its_author(
    packaged: Packaged, of: dict[str, RemoteControlPlane]
) -> None:
    model = packaged.model.id
    before = of["scientist"].register(model)
    with pytest.raises(NotAllowed, match="scientist registered"):
        of["both"].register(model)
    assert of["viewer"].standing(model) == before


def test_a_token_that_does_not_carry_approving_does_not_approve(
    packaged: Packaged, of: dict[str, RemoteControlPlane], crew: Team
) -> None:
    model = packaged.model.id
    bundle = of["scientist"].register(model).bundle_digest
    made = crew.ask("approver", "POST", "/v1/tokens", json={"scopes": ["model:read"], "days": 1})
    assert made.status_code == 200, made.text
    narrow = RemoteControlPlane(crew.url, made.json()["token"], project=PROJECT, control=packaged.control, files=lambda _: {})
    with pytest.raises(NotAllowed, match="narrowed"):
        narrow.approve(model, bundle=bundle)
    narrow.close()


@pytest.mark.slow
def test_a_service_that_is_started_by_hand_does_not_load_a_changed_model(packaged: Packaged, tmp_path: Path) -> None:
    folder = model_folder(packaged.bento.model_tag)
    assert folder is not None
    variables = {**os.environ, TRUSTED_KEY: str(trusted_key_file(packaged.layout))}
    loaded = []
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        log = tmp_path / f"{number}.log"
        with (
            flipped(path),
            pytest.raises(RunFailed),
            serving(packaged.bento.tag, port=_free(), predictions=tmp_path, log=log, environment=variables, ready_seconds=8),
        ):
            loaded.append(path.name)
        assert path.name in log.read_text(), path.name
    assert loaded == []


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
