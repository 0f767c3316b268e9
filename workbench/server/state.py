"""What the server's handlers share: the projects, the people, and the control plane for whoever asks. Made by `create_app`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation

from workbench.errors import NotFound
from workbench.governance.access import Principal
from workbench.governance.audit import witness
from workbench.governance.identity import bootstrap
from workbench.governance.oidc import OpenID, Provider
from workbench.governance.passwords import Cost
from workbench.governance.tokens import authenticate
from workbench.registry.bundle import bento_of
from workbench.registry.control_plane import ControlPlane
from workbench.registry.embedded import EmbeddedControlPlane
from workbench.server.audits import AuditFolder
from workbench.server.bodies import Name
from workbench.server.projects import PROJECTS, Projects
from workbench.server.rate_limit import RateLimit
from workbench.server.uploads import verify_files
from workbench.store import Control

__all__ = ["ServerState", "bootstrap_token", "find_audit", "open_state", "plane_of", "principal_of", "state_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """One server: its projects, the control database with its users, the count of logins, and what a password costs."""

    projects: Projects
    control: Control
    openid: OpenID | None
    rate_limit: RateLimit
    cost: Cost

    def authenticate(self, token: str) -> Principal:
        """Who a token stands for now; raises NotAuthenticated."""
        return authenticate(self.control, token)

    def provider(self) -> OpenID:
        """The organisation's identity provider; raises NotFound where there is none."""
        if self.openid is None:
            raise NotFound("no identity provider is set up here", hint="Log in with a password: workbench login URL")
        return self.openid

    def plane(self, project: str, principal: Principal) -> ControlPlane:
        """The acts on one project's models, as one person may do them."""
        control, home = self.projects.control(project), self.projects.home(project)
        return EmbeddedControlPlane(
            project=project,
            control=control,
            principal=principal,
            policy=lambda: self.projects.policy(project),
            verify=lambda model: verify_files(bento_of(model, control), home),
        )

    def entries(self, project: str | None, after: int, limit: int) -> list[dict[str, Any]]:
        """Entries of a project's audit, or of the server's own: people by their pseudonyms."""
        control = self.control if project is None else self.projects.control(project)
        with closing(control.entries(after=after)) as entries:
            return [{**asdict(entry), "detail": json.loads(entry.detail)} for entry in islice(entries, limit)]

    def close(self) -> None:
        """Closes every database."""
        self.projects.close()
        self.control.close()
        if self.openid is not None:
            self.openid.close()


def state_of(request: Request) -> ServerState:
    """For handlers: what the server has open."""
    state: ServerState = request.app.state.server
    return state


def principal_of(request: Request) -> Principal:
    """For handlers: who the guard let in."""
    principal: Principal = request.state.principal
    return principal


def plane_of(project: Name, request: Request) -> ControlPlane:
    """For handlers: the control plane of the project in the path, for whoever asks."""
    return state_of(request).plane(project, principal_of(request))


def open_state(
    folder: Path, *, database_url: str | None, logins: int, cost: Cost, provider: Provider | None = None
) -> ServerState:
    """Opens a server's folder, which nobody but its owner can read; makes what is missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.umask(0o077)
    (folder / PROJECTS).mkdir(exist_ok=True)
    openid = None if provider is None else OpenID(provider)
    control = _open(folder, database_url)
    projects = Projects(folder, database_url)
    return ServerState(projects=projects, control=control, openid=openid, rate_limit=RateLimit(logins), cost=cost)


def bootstrap_token(folder: Path, database_url: str | None) -> str | None:
    """The one-time token for the first admin; None once there is a user."""
    with _open(folder, database_url) as control:
        made = bootstrap(control)
    return made


def find_audit(folder: Path, project: str | None, database_url: str | None) -> tuple[AuditFolder, Callable[[], Control]]:
    """An audit of a server that is running or not, and how to open it: the server's own, or that of one project.

    Raises:
        NotFound: the folder is no server's, or the server has no such project.
    """
    if not (folder / PROJECTS).is_dir():
        raise NotFound(f"{folder} is not the folder of a server", hint="Name it as the server does: workbench server --folder")
    if project is None:
        return AuditFolder(folder), lambda: _open(folder, database_url)
    projects = Projects(folder, database_url)
    return AuditFolder(projects.home(project)), lambda: projects.control(project)


def _open(folder: Path, database_url: str | None) -> Control:
    """The control database of the server itself, each hundredth entry of whose audit is signed."""
    url = database_url or f"sqlite:///{quote(str(folder / 'control.db'))}"
    return Control(url, witness=witness(AuditFolder(folder)))
