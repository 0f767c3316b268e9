"""A server in which any address is open by an oversight does not start."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from tests.server.team import QUICK
from workbench.errors import WorkbenchError
from workbench.server import Settings, routes
from workbench.server.app import guarded
from workbench.server.endpoints import Endpoints
from workbench.server.state import open_state

UNDECLARED = {
    "of the framework": lambda app: app.add_api_route("/forgotten", lambda: "open", methods=["GET"]),
    "of plain Starlette": lambda app: app.routes.append(Route("/forgotten", lambda _: PlainTextResponse("open"))),
    "a whole application": lambda app: app.mount("/forgotten", FastAPI()),
    "a web socket": lambda app: app.routes.append(WebSocketRoute("/forgotten", lambda _: None)),
    "a folder": lambda app: app.routes.append(Mount("/forgotten", routes=[])),
}


@pytest.mark.parametrize("add", UNDECLARED.values(), ids=UNDECLARED)
def test_a_route_that_declares_no_permission_keeps_the_server_from_starting(add, tmp_path: Path) -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    add(app)
    settings = Settings(folder=tmp_path / "server", cost=QUICK)
    state = open_state(settings.folder, database_url=None, logins=1, cost=QUICK)
    with pytest.raises(WorkbenchError, match=r"the route '/forgotten' declares no permission, so the server does not start"):
        guarded(app, settings, state)
    state.close()


@pytest.mark.parametrize("permission", ["", "model", "model:everything", "*"])
def test_a_route_that_declares_what_nobody_can_hold_keeps_the_server_from_starting(permission: str) -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_api_route("/odd", lambda: "open", openapi_extra=routes_declared(permission))
    with pytest.raises(WorkbenchError):
        Endpoints(app.routes)


def routes_declared(permission: str) -> dict[str, str]:
    return {"x-permission": permission, "x-reach": "target"}


def test_every_route_of_the_server_declares_exactly_one() -> None:
    assert all(isinstance(route.permission, str) for route in routes.ROUTES)
    assert len({(route.verb, route.path) for route in routes.ROUTES}) == len(routes.ROUTES)
