"""Which permission each route asks for. `create_app` builds the table and fails on a route without one; `guard` reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match

from workbench.errors import WorkbenchError
from workbench.governance.access import Permission, permission_of

if TYPE_CHECKING:
    from starlette.types import Scope

__all__ = ["PUBLIC", "Endpoint", "Endpoints", "declared"]

KEY = "x-permission"
REACH = "x-reach"
PUBLIC = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One verb on one path: the permission it asks for (None where it is public), and whether it takes an upload.

    `own` says that it leads only to what belongs to the caller, for which a role in any project is enough.
    """

    path: str
    verb: str
    permission: Permission | None
    own: bool = False
    upload: bool = False

    @property
    def public(self) -> bool:
        """Whether it answers without a token."""
        return self.permission is None


def declared(permission: str, reach: Literal["target", "own", "upload"] = "target") -> dict[str, Any]:
    """What a route declares in its OpenAPI entry: exactly one permission, or `public`."""
    security: list[dict[str, list[str]]] = [] if permission == PUBLIC else [{"bearer": []}]
    return {KEY: permission, REACH: reach, "security": security}


class Endpoints:
    """Every route of an app with what it asks for."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._endpoints = [(route, endpoint) for route in routes for endpoint in _endpoints_of(route)]

    def __iter__(self) -> Any:
        return (endpoint for _, endpoint in self._endpoints)

    def find(self, scope: Scope) -> tuple[Endpoint | None, Mapping[str, str]]:
        """The endpoint that a request comes to and what stands in its path, or None where it would not be served."""
        for route, endpoint in self._endpoints:
            match, found = route.matches(scope)
            if match is Match.FULL and endpoint.verb == scope["method"]:
                return endpoint, found.get("path_params", {})
        return None, {}


def _endpoints_of(route: BaseRoute) -> list[Endpoint]:
    """A route's endpoints, one for each verb.

    Raises:
        WorkbenchError: the route says nothing about permission, so the server must not start with it.
    """
    extra = (route.openapi_extra or {}) if isinstance(route, APIRoute) else {}
    if not isinstance(route, APIRoute) or KEY not in extra:
        raise WorkbenchError(
            f"the route {getattr(route, 'path', route)!r} declares no permission, so the server does not start",
            hint="Declare exactly one: openapi_extra=declared('model:read'), or declared('public').",
        )
    permission = None if extra[KEY] == PUBLIC else permission_of(extra[KEY])
    own, upload = extra[REACH] == "own", extra[REACH] == "upload"
    verbs = sorted(route.methods or ())
    return [Endpoint(path=route.path, verb=verb, permission=permission, own=own, upload=upload) for verb in verbs]
