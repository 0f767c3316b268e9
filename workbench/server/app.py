"""Makes the team's server as an ASGI app: the routes, their errors, and the guard around both. Called by `workbench server`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI

import workbench
from workbench.errors import BadInput
from workbench.governance.oidc import Provider
from workbench.governance.passwords import RECOMMENDED, Cost
from workbench.server.endpoints import Endpoints, declared
from workbench.server.guard import Guard, Limits
from workbench.server.refusals import ErrorBody, install
from workbench.server.routes import ROUTES, Route
from workbench.server.state import ServerState, open_state

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["Settings", "create_app", "guarded"]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the server keeps everything, by which names it may be addressed, how much it takes, and for how long it waits.

    `database_url` names a PostgreSQL instead of files in the folder; `secure` says that it speaks TLS; `logins` is how many
    attempts a minute one name or one address has; `provider` is the organisation's identity provider. `cost` is what a look at a
    password costs: less than is recommended only where nobody but this machine comes, which is for tests.
    """

    folder: Path
    database_url: str | None = None
    hosts: frozenset[str] = LOOPBACK
    secure: bool = False
    body: int = 1_000_000
    upload: int = 4 << 30
    logins: int = 10
    provider: Provider | None = None
    cost: Cost = RECOMMENDED
    seconds: float = 30.0
    routes: Sequence[Route] = field(default=ROUTES)


def create_app(settings: Settings) -> ASGIApp:
    """The whole server.

    Raises:
        BadInput: passwords would cost less than is recommended, and others can reach the server.
        WorkbenchError: a route declares no permission; the server must not start so.
    """
    if settings.cost.weak and not settings.hosts <= LOOPBACK:
        raise BadInput("passwords would be hashed too cheaply for a server that others can reach", hint="Leave the cost out.")
    state = open_state(
        settings.folder,
        database_url=settings.database_url,
        logins=settings.logins,
        cost=settings.cost,
        provider=settings.provider,
    )
    try:
        return guarded(_api(settings, state), settings, state)
    except BaseException:
        state.close()
        raise


def guarded(app: FastAPI, settings: Settings, state: ServerState) -> Guard:
    """The app inside its guard, once every route has said what it asks for."""
    limits = Limits(
        hosts=settings.hosts, body=settings.body, upload=settings.upload, secure=settings.secure, seconds=settings.seconds
    )
    return Guard(app, endpoints=Endpoints(app.routes), limits=limits, authenticate=state.authenticate)


def _api(settings: Settings, state: ServerState) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        state.close()

    app = FastAPI(
        title="Workbench",
        version=workbench.__version__,
        summary="Who may do what with a model, which gates it passed, and proof of both.",
        openapi_url=None,  # it is a route like the others, so that nothing is served beside the guard
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.server = state
    for route in settings.routes:
        app.add_api_route(
            route.path,
            route.handler,
            methods=[route.verb],
            openapi_extra=declared(route.permission, route.reach),
            responses={"4XX": {"model": ErrorBody, "description": "Refused, with the reason."}},
        )
    install(app)
    return app
