"""Runs the server on a socket until it is asked to end, and sets gates without it. Called by `workbench server`."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from pydantic import ValidationError

from workbench.errors import BadInput, DataUnreadable, ProjectInvalid
from workbench.governance.oidc import Provider
from workbench.project import Gates
from workbench.server.app import LOOPBACK, Settings, create_app
from workbench.server.bodies import IDENTIFIER
from workbench.server.connections import Impatient
from workbench.server.projects import Projects
from workbench.server.state import bootstrap_token
from workbench.settings import actor

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["Address", "configuration", "serve", "set_policy"]

GRACE_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen, by which names people come, and the files of the TLS certificate and its key."""

    host: str = "127.0.0.1"
    port: int = 0
    names: frozenset[str] = field(default_factory=frozenset)
    certificate: Path | None = None
    key: Path | None = None


def serve(
    folder: Path,
    address: Address,
    *,
    database_url: str | None = None,
    provider: Provider | None = None,
    told: Callable[[str, str | None], None],
) -> None:
    """Runs until SIGINT or SIGTERM; requests under way are finished. `told` gets the address, and the bootstrap token if new.

    Raises:
        BadInput: another address than loopback without TLS, or one that is taken; or certificate and key cannot be used.
    """
    secure = _has_certificate(address)
    if not secure and not _is_loopback(address.host):
        raise BadInput(
            f"{address.host} can be reached by others, and without TLS they could read every token",
            hint="Give --certificate FILE --key FILE, or listen on 127.0.0.1.",
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    hosts = LOOPBACK | {name.lower() for name in address.names} | {address.host}
    app = create_app(Settings(folder=folder, database_url=database_url, hosts=hosts, secure=secure, provider=provider))
    try:
        listener = socket.create_server((address.host, address.port), family=_family(address.host), backlog=128)
    except OSError as error:
        raise BadInput(
            f"{address.host}:{address.port} cannot be listened on: {error.strerror}", hint="Use another --port."
        ) from error
    with listener:
        shown = f"[{address.host}]" if ":" in address.host else address.host
        url = f"{'https' if secure else 'http'}://{shown}:{listener.getsockname()[1]}"
        once = bootstrap_token(folder, database_url)
        _Server(configuration(app, address), started_up=lambda: told(url, once)).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says so once it answers and ends on a signal; one that comes earlier could be lost in a callback during an import."""

    def __init__(self, config: uvicorn.Config, *, started_up: Callable[[], None]) -> None:
        super().__init__(config)
        self._started_up = started_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started_up()


def configuration(app: ASGIApp, address: Address) -> uvicorn.Config:
    """How the server speaks HTTP."""
    return uvicorn.Config(
        app,
        http=Impatient,
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
        server_header=False,
        proxy_headers=False,  # who connects is who connects: no header of a stranger's says otherwise
        access_log=False,
        log_config=None,
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def set_policy(folder: Path, project: str, file: Path, *, database_url: str | None = None) -> str:
    """Sets a project's gates from the `[gates]` table of a TOML file; returns their digest.

    Raises:
        DataUnreadable: the file cannot be read.
        ProjectInvalid: it holds no valid gates.
        BadInput: the name cannot be that of a project.
    """
    if not re.fullmatch(IDENTIFIER, project):
        raise BadInput(f"{project!r} cannot name a project", hint="Use lower-case letters, digits and dashes.")
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("gates")
        gates = Gates.model_validate(table)
    except OSError as error:
        raise DataUnreadable(f"{file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectInvalid(f"{file} is no TOML: {error}") from error
    except ValidationError as error:
        problems = [f"gates.{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
        raise ProjectInvalid(f"{file} holds no valid [gates] table", problems=problems) from error
    projects = Projects(folder, database_url)
    try:
        projects.set_policy(project, gates, actor=actor())
    finally:
        projects.close()
    return gates.digest


def _has_certificate(address: Address) -> bool:
    """Whether the server speaks TLS; half of what that takes is an error, and never plain HTTP."""
    if address.certificate is None and address.key is None:
        return False
    if address.certificate is None or address.key is None:
        raise BadInput(
            "a certificate and its key go together, and one of them was not given", hint="--certificate FILE --key FILE"
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(address.certificate, address.key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a key under a password
        raise BadInput(
            f"{address.certificate} and {address.key} are no certificate and its key: {error}", hint="Give both as PEM files."
        ) from error
    return True


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
