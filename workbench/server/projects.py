"""The projects of a server, told apart by name: each has its own control database, objects and gates. Called by the handlers.

Apart, so that no right in one project can reach a model of another, whatever a request names.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO
from urllib.parse import quote

from sqlalchemy import DDL, create_engine, make_url

from workbench.errors import BadInput, NotFound, Tampered
from workbench.governance.audit import witness
from workbench.project import Gates
from workbench.server.audits import AuditFolder
from workbench.store import Control, Objects

__all__ = ["PROJECTS", "SET_POLICY", "Projects", "Upload"]

PROJECTS = "projects"
"""The folder of a server in which each project has one."""

SET_POLICY = "set policy"
DEFAULT = Gates(approvals=1)
"""The gates of a project for which no admin has set any: somebody else has to approve."""


@dataclass(slots=True)
class Upload:
    """An object on its way in: its bytes so far, and their running sha256."""

    stream: IO[bytes]
    path: Path
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def write(self, piece: bytes) -> None:
        """Takes the next piece."""
        self.hash.update(piece)
        self.stream.write(piece)


class Projects:
    """Opens what belongs to a project. None keeps one of the hundred connections that a PostgreSQL has for all by default."""

    def __init__(self, folder: Path, database_url: str | None) -> None:
        self._folder = folder
        self._database_url = database_url
        self._open: dict[str, Control] = {}
        self._lock = Lock()

    def close(self) -> None:
        """Closes every database."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def names(self) -> list[str]:
        """Every project there is."""
        home = self._folder / PROJECTS
        return sorted(entry.name for entry in home.iterdir()) if home.is_dir() else []

    def home(self, project: str) -> Path:
        """The folder of a project.

        Raises:
            NotFound: an admin has not made it.
        """
        place = self._folder / PROJECTS / project
        if not place.is_dir():
            raise NotFound(f"the server has no project {project!r}", hint="An admin makes it by setting its gates.")
        return place

    def objects(self, project: str) -> Objects:
        """The object store of a project."""
        return Objects(self.home(project) / "objects")

    def control(self, project: str) -> Control:
        """The control database of a project."""
        home = self.home(project)
        with self._lock:
            if project not in self._open:
                self._open[project] = Control(self._url(project, home), witness=witness(AuditFolder(home)), idle=0)
            return self._open[project]

    def _url(self, project: str, home: Path) -> str:
        """A file of its own in SQLite, a schema of its own in PostgreSQL."""
        if not self._database_url:
            return f"sqlite:///{quote(str(home / 'control.db'))}"
        schema = f"project_{hashlib.sha256(project.encode()).hexdigest()[:16]}"
        engine = create_engine(self._database_url)
        with engine.begin() as connection:
            connection.execute(DDL(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
        engine.dispose()
        url = make_url(self._database_url).update_query_dict({"options": f"-csearch_path={schema}"})
        return url.render_as_string(hide_password=False)

    def policy(self, project: str) -> Gates:
        """The gates in force: those which the audit says were set last, so that nothing can change them beside the audit."""
        latest = self.control(project).newest_entries(1, subject=project, action=SET_POLICY)
        return Gates.model_validate(json.loads(latest[0].detail)["gates"]) if latest else DEFAULT

    def set_policy(self, project: str, gates: Gates, *, actor: str) -> None:
        """Sets the gates of a project, and makes the project if it is new. Approvals under the earlier gates count no more."""
        (self._folder / PROJECTS / project).mkdir(mode=0o700, parents=True, exist_ok=True)
        detail: Mapping[str, object] = {"digest": gates.digest, "gates": gates.model_dump(mode="json")}
        with self.control(project).write(actor=actor, action=SET_POLICY, subject=project, detail=detail):
            pass

    def missing(self, project: str, digests: list[str]) -> list[str]:
        """Which of these objects the project does not hold."""
        objects = self.objects(project)

        def absent(digest: str) -> bool:
            try:
                objects.path(digest)
            except NotFound:
                return True
            return False

        return [digest for digest in dict.fromkeys(digests) if absent(digest)]

    @contextmanager
    def receiving(self, project: str, digest: str) -> Iterator[Upload]:
        """Takes an object's bytes, and keeps them only if they are what their digest says.

        Raises:
            Tampered: other bytes arrived.
        """
        incoming = self.home(project) / "incoming"
        incoming.mkdir(mode=0o700, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=incoming)
        path = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                upload = Upload(stream=stream, path=path)
                yield upload
            if upload.hash.hexdigest() != digest:
                raise Tampered(
                    f"the bytes that arrived have the sha256 {upload.hash.hexdigest()[:12]}…, expected {digest[:12]}…",
                    hint="Nothing was kept. Send the object again.",
                )
            stored, _ = self.objects(project).write(path.replace)
            if stored != digest:
                raise BadInput("the object changed while it was stored", hint="Send it again.")
        finally:
            path.unlink(missing_ok=True)
