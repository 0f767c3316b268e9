"""A real server on loopback with one person for each role, and small packaged models. Used by the tests here and in contracts."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from workbench.governance.access import ROLES
from workbench.governance.passwords import Cost
from workbench.project import Gates
from workbench.records import (
    BentoBuild,
    Candidate,
    DatasetVersion,
    Estimate,
    FairnessReview,
    ModelVersion,
    NotebookRun,
    PreparedData,
    Record,
    Saved,
)
from workbench.registry.remote import RemoteControlPlane
from workbench.server import Settings, create_app
from workbench.server.running import Address, configuration
from workbench.server.state import bootstrap_token
from workbench.store import Control

QUICK = Cost(passes=1, memory=8, lanes=1)
"""As little as Argon2 can do: people log in again and again here."""

PASSWORD = "correct horse battery staple"
PROJECT = "credit"
GATES = Gates(approvals=1, signature=False, parity=False)


@dataclass(frozen=True, kw_only=True)
class Team:
    """A running server: its address, its folder, and a token for each person, named after the role."""

    url: str
    folder: Path
    tokens: dict[str, str] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)

    def ask(self, person: str | None, verb: str, path: str, **options: Any) -> httpx.Response:
        """One request; nobody's without a person. Logins are short: one that is about to end is made anew."""
        if person in self.since and time.monotonic() - self.since[person] > 600:
            self.log_in(person)
        headers = {"authorization": f"Bearer {self.tokens[person]}"} if person else {}
        return httpx.request(verb, f"{self.url}{path}", headers={**headers, **options.pop("headers", {})}, timeout=60, **options)

    def plane(
        self, person: str, control: Control, files: Callable[[BentoBuild], Mapping[str, Path]], project: str = PROJECT
    ) -> RemoteControlPlane:
        """The control plane in one person's hands."""
        self.ask(person, "GET", "/v1/whoami")
        return RemoteControlPlane(self.url, self.tokens[person], project=project, control=control, files=files)

    def hire(self, name: str, *grants: tuple[str, str]) -> None:
        """Makes a user with these roles, and logs in."""
        made = self.ask("admin", "POST", "/v1/users", json={"name": name, "password": PASSWORD})
        assert made.status_code == 200, made.text
        for role, project in grants:
            path = f"/v1/users/{made.json()['id']}/grants"
            granted = self.ask("admin", "POST", path, json={"role": role, "project": project})
            assert granted.status_code == 200, granted.text
        self.log_in(name)

    def open(self, project: str) -> None:
        """Makes a project."""
        put = self.ask("admin", "PUT", f"/v1/projects/{project}/policy", json=GATES.model_dump(mode="json"))
        assert put.status_code == 200, put.text

    def log_in(self, name: str) -> None:
        """Gets a session token."""
        answer = self.ask(None, "POST", "/v1/login", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        self.tokens[name], self.since[name] = answer.json()["token"], time.monotonic()


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """A real server on a free port of loopback, in a thread; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(configuration(create_app(settings), Address()))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def team(
    folder: Path, *, database_url: str | None = None, where: str = PROJECT, upload: int = 4 << 30, seconds: float = 30.0
) -> Iterator[Team]:
    """A server with an admin and one person for each other role in one project, or in all of them (`*`)."""
    settings = Settings(folder=folder, database_url=database_url, logins=1000, cost=QUICK, upload=upload, seconds=seconds)
    with serving(settings) as url:
        made = Team(url=url, folder=folder)
        once = bootstrap_token(folder, database_url)
        begun = made.ask(None, "POST", "/v1/bootstrap", json={"token": once, "name": "admin", "password": PASSWORD})
        assert begun.status_code == 200, begun.text
        made.log_in("admin")
        made.open(PROJECT)
        for role in ROLES:
            if role != "admin":
                made.hire(role, (role, where))
        yield made


def small_model(folder: Path, name: str = "1") -> tuple[Control, str, dict[str, Path]]:
    """A project's control database with one packaged model; the model's id, and its bento's files."""
    manifest = json.dumps({"model": name}).encode()
    contents = {
        "src/model/manifest.json": manifest,
        "src/model/model.onnx": f"weights {name}".encode(),
        "README.md": f"Model {name}".encode(),
    }
    files = {}
    for file, content in contents.items():
        path = folder / f"bento-{name}" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files[file] = path
    control = Control(f"sqlite:///{folder / 'control.db'}")
    for record in chain(name, hashlib.sha256(manifest).hexdigest()):
        control.add(record)
    return control, f"model-{name}", files


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def chain(name: str, digest: str) -> list[Record]:
    """The records of one packaged model, from its dataset version on."""
    common: dict[str, Any] = {"actor": "ann", "zone": "local", "revision": "r1"}
    ran = NotebookRun(name="n.ipynb", source=sha("n"), executed=sha("executed"), seconds=1.0)
    saved = {"contract": Saved(name="contract", format="json", digest=sha("contract"), size=2)}
    by_notebook: dict[str, Any] = {"notebook": ran, "parameters": {}, "saved": saved, **common}
    quality = {"roc_auc": Estimate(value=0.8, low=0.75, high=0.85)}
    return [
        DatasetVersion(
            id=f"dataset-{name}",
            parent=None,
            name="people",
            source="people.csv",
            digest=sha("rows"),
            rows=100,
            columns={"age": "Float64"},
            owner="ann",
            purpose="scoring",
            **common,
        ),
        PreparedData(id=f"prepared-{name}", parent=f"dataset-{name}", contract={"rows": 100}, rows={"train": 80}, **by_notebook),
        Candidate(
            id=f"candidate-{name}",
            parent=f"prepared-{name}",
            name="linear",
            metrics=quality,
            cross_validation=quality,
            **by_notebook,
        ),
        FairnessReview(
            id=f"review-{name}",
            parent=f"candidate-{name}",
            metric="selection_rate",
            verdict="PASS",
            reasons=("It holds.",),
            groups=(),
            **by_notebook,
        ),
        ModelVersion(
            id=f"model-{name}",
            parent=f"review-{name}",
            state="chosen",
            candidate=f"candidate-{name}",
            metric="roc_auc",
            reasons=("It is the best.",),
            ranking=(),
            **by_notebook,
        ),
        BentoBuild(
            id=f"bento-{name}",
            parent=f"model-{name}",
            tag=f"{PROJECT}:{name}",
            model_tag=f"{PROJECT}:{name}",
            digest=digest,
            format="onnx",
            parity={"passed": True},
            **common,
        ),
    ]
