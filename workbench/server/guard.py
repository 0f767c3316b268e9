"""The outermost layer of the server: nothing reaches a handler unless its sender, size, origin and right are in order.

Called by uvicorn for every request, around the app that `app.create_app` makes. Authentication stands here and not in handlers,
so that none can forget it, and the right is decided before a body is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import anyio
import anyio.to_thread

from workbench.errors import BadInput, NotAllowed, NotAuthenticated, WorkbenchError
from workbench.governance.access import ANY, Principal, Target, require
from workbench.server.endpoints import Endpoint, Endpoints
from workbench.server.refusals import TooLarge, TooSlow, WrongType, as_answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["IDENTIFIER", "Guard", "Limits"]

IDENTIFIER = r"[a-z0-9][a-z0-9-]{0,62}"
SAFE_VERBS = frozenset({"GET", "HEAD", "OPTIONS"})
TOKEN_MARKS = ("token", "access_token", "api_key", "authorization")

LINGER_SECONDS = 2.0
LINGER_BYTES = 16_000_000

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""What every answer carries (OWASP REST Security Cheat Sheet, "Security Headers")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is let in: the names by which the server may be addressed, and the bytes of a body and of an upload.

    A body has to be there within `seconds`; of an upload, the next piece.
    """

    hosts: frozenset[str]
    body: int = 1_000_000
    upload: int = 4 << 30
    secure: bool = False
    seconds: float = 30.0


class _Cut(Exception):
    """The body grew over its limit while it was read, or did not come."""


class Guard:
    """Wraps an app: checks host, origin, token, right and size of each request, in this order."""

    def __init__(self, app: ASGIApp, *, endpoints: Endpoints, limits: Limits, authenticate: Callable[[str], Principal]) -> None:
        self._app = app
        self._endpoints = endpoints
        self._limits = limits
        self._authenticate = authenticate
        extra = {"strict-transport-security": "max-age=31536000"} if limits.secure else {}
        self._headers = [(name.encode(), value.encode()) for name, value in {**HEADERS, **extra}.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through to the app, or answers it with the refusal."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no websockets here
            await send({"type": "websocket.close", "code": 1008})
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            await send(message)

        try:
            headers = _headers_of(scope)
            self._check_address(scope, headers)
            endpoint, matched = self._endpoints.find(scope)
            if endpoint is None or not endpoint.public:
                scope.setdefault("state", {})["principal"] = await self._admit(endpoint, matched, headers)
            await self._pass(scope, receive, guarded, headers, upload=endpoint is not None and endpoint.upload)
        except WorkbenchError as refusal:
            await _refuse(receive, guarded, refusal)

    def _check_address(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """Raises when the request was meant for another host, was sent by another site, or shows a token to every log."""
        host = _host_of(headers.get("host", ""))
        if host not in self._limits.hosts:
            raise NotAllowed("the server does not answer to the host of this request", hint="Use the address it printed.")
        named = {name.lower() for name, _ in parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)}
        if named & set(TOKEN_MARKS):
            raise BadInput(
                "a token in an address is kept by logs and histories",
                hint="Revoke it, and send the next one in the header Authorization: Bearer …",
            )
        if scope["method"] in SAFE_VERBS:
            return
        site = headers.get("sec-fetch-site", "none")
        origin = headers.get("origin")
        if site not in ("none", "same-origin") or (origin is not None and urlsplit(origin).netloc != headers.get("host")):
            raise NotAllowed("another site's page sent this request", hint="Use the command line: workbench login")

    async def _admit(self, endpoint: Endpoint | None, matched: Mapping[str, str], headers: Mapping[str, str]) -> Principal:
        """Who sent the request, if that person may use the endpoint; an address without one is answered to nobody unknown."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAuthenticated("no token was given", hint="Log in: workbench login URL")
        principal = await anyio.to_thread.run_sync(self._authenticate, token.strip())
        if endpoint is not None:
            _require(principal, endpoint, matched)
        return principal

    async def _pass(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str], *, upload: bool) -> None:
        """Runs the app on a body that cannot grow over its limit; the app's answer to one that does is replaced by ours."""
        limit = self._limits.upload if upload else self._limits.body
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            raise BadInput("the header Content-Length is no number")
        if int(length[:20]) > limit:
            raise _too_large(limit)
        has_body = int(length[:20]) > 0 or "transfer-encoding" in headers
        expected = "application/octet-stream" if upload else "application/json"
        if has_body and headers.get("content-type", "").partition(";")[0].strip().lower() != expected:
            raise WrongType(f"the content type of this body must be {expected}")
        seen, cut, started, whole = 0, None, False, False
        end = anyio.current_time() + self._limits.seconds

        async def counted() -> Message:
            nonlocal seen, cut, whole
            if whole:  # from here on an app waits for its visitor to leave, which may take as long as the answer does
                return await receive()
            with anyio.move_on_at(anyio.current_time() + self._limits.seconds if upload else end):
                message = await receive()
                seen, whole = seen + len(message.get("body", b"")), not message.get("more_body", False)
                if seen <= limit:
                    return message
            cut = _too_large(limit) if seen > limit else TooSlow("the body did not arrive in time", hint="Send it again.")
            raise _Cut

        async def unless_cut(message: Message) -> None:
            nonlocal started
            if cut is None:
                started = True
                await send(message)

        with suppress(_Cut):
            await self._app(scope, counted, unless_cut)
        if cut is not None and not started:
            raise cut


def _require(principal: Principal, endpoint: Endpoint, matched: Mapping[str, str]) -> None:
    """Raises unless the principal holds the endpoint's permission for what it is about: a project, all of them, or own things."""
    assert endpoint.permission is not None  # noqa: S101 - an endpoint without one is public
    project = matched.get("project", ANY)
    if project != ANY and not re.fullmatch(IDENTIFIER, project):
        raise BadInput("a project's name is lower-case letters, digits and dashes, 63 at most")
    if not endpoint.own:
        require(principal, endpoint.permission, Target(project=project, run=matched.get("run")))
        return
    places = sorted({where for _, where in principal.grants}) or [ANY]
    targets = [Target(project=where, run=matched.get("run"), authors=frozenset({principal.id})) for where in places]
    refusals = []
    for target in targets:
        try:
            require(principal, endpoint.permission, target)
        except NotAllowed as refusal:
            refusals.append(refusal)
        else:
            return
    raise refusals[0]


def _headers_of(scope: Scope) -> dict[str, str]:
    """The headers by their lower-case names.

    Raises:
        BadInput: one that decides about access or size was given twice, so that two readers could disagree on it.
    """
    headers: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1").lower()
        if name in headers and name in ("authorization", "host", "content-length", "content-type", "origin"):
            raise BadInput(f"the header {name} was given twice")
        headers[name] = value.decode("latin-1")
    return headers


def _host_of(header: str) -> str:
    """The host of a Host header, without its port; empty when it is none."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit:,} bytes", hint="Send less; an upload goes to PUT …/objects/SHA256.")


async def _refuse(receive: Receive, send: Send, refusal: WorkbenchError) -> None:
    """Answers at once, then takes what is still on its way for a moment: a connection closed before would lose the answer."""
    status, headers, body = as_answer(refusal)
    raw = [(name.encode(), value.encode()) for name, value in {**headers, "content-length": str(len(body))}.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    taken = 0
    with anyio.move_on_after(LINGER_SECONDS):
        while taken < LINGER_BYTES:
            message = await receive()
            taken += len(message.get("body", b""))
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                break
    await send({"type": "http.response.body", "body": b""})
