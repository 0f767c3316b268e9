"""The outermost layer of the service: JSON only, a body limit, a request id and security headers on every answer."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from pydantic_core import from_json

from workbench.errors import RequestInvalid, WorkbenchError

__all__ = ["Guard", "answer_of"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SAFE = {"GET", "HEAD"}
_CHECKED = {b"content-type", b"content-encoding"}
_JSON = (b"content-type", b"application/json")
_SECURITY: Headers = [
    # BentoML's page at / names a tag manager of its makers; a browser may load only what this service itself sends
    (b"content-security-policy", b"default-src 'self' 'unsafe-inline' data:; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class _Refused(RequestInvalid):
    """A request that is refused before its content is looked at, with the HTTP status that says so."""

    def __init__(self, status: int, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.refusal = status


class Guard:
    """ASGI middleware for BentoML's public `add_asgi_middleware`.

    BentoML takes bodies of any size and several content types, pickle among them. Every request that is not GET or HEAD, on
    whatever path, must here be a POST of one JSON object within the limit; the application gets the body in one piece.
    """

    def __init__(self, app: Application, max_body_bytes: int, path: str, body_seconds: float = 20.0) -> None:
        """Wraps an application.

        Args:
            app: The application behind.
            max_body_bytes: The largest body that is read, whatever its framing.
            path: The route of the API, which is POST only.
            body_seconds: How long a client may take to send its body; BentoML would give up after a minute, with a 504.
        """
        self._app, self._most, self._path, self._seconds = app, max_body_bytes, path, body_seconds

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one connection event; anything but HTTP passes through untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope["headers"])
        forwarded = [(name, value) for name, value in scope["headers"] if name != b"x-request-id"]
        forwarded.append((b"x-request-id", request_id))
        marked = _marked(send, request_id)
        try:
            if scope["method"] not in _SAFE or scope["path"] == self._path:
                receive = _replayed(await self._checked_body(scope, receive), receive)
                forwarded = [(name, value) for name, value in forwarded if name not in _CHECKED] + [_JSON]
        except _Refused as refused:
            await _answer(marked, refused.refusal, answer_of(refused, request_id.decode()))
        else:
            await self._app({**scope, "headers": forwarded}, receive, marked)

    async def _checked_body(self, scope: MutableMapping[str, Any], receive: Receive) -> bytes:
        """The whole body, if method, headers, size and syntax are acceptable."""
        headers = dict(reversed(scope["headers"]))  # of a repeated header the first counts; only what was checked is forwarded
        if scope["method"] != "POST":
            raise _Refused(405, f"the method is {scope['method'][:20]}, expected POST", hint=f"POST JSON to {self._path}.")
        _require_json(headers)
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._limited_body(headers, receive)
        except TimeoutError as error:
            message = f"the body was not complete within {self._seconds:g} s"
            raise _Refused(408, message, hint="Send it faster, or fewer rows.") from error
        _require_object(body)
        return body

    async def _limited_body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The body, read no further than the limit, so that a chunked body cannot fill the memory."""
        hint = "Send fewer rows per request."
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced[:20]) > self._most:
            raise _Refused(413, f"the body is larger than {self._most} bytes", hint=hint)
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                # Nobody reads this answer, but BentoML's layers wait a minute for one, and a shutdown waits for them.
                raise _Refused(400, "the connection ended before the body was complete", hint="Send the whole body.")
            body += message.get("body", b"")
            if len(body) > self._most:
                raise _Refused(413, f"the body is larger than {self._most} bytes", hint=hint)
            if not message.get("more_body"):
                return bytes(body)


def answer_of(error: WorkbenchError, request_id: str) -> dict[str, object]:
    """The one JSON shape of a refused request."""
    shape = error.as_json()
    return {**shape, "error": "RequestInvalid" if isinstance(error, RequestInvalid) else shape["error"], "request_id": request_id}


def _require_json(headers: dict[bytes, bytes]) -> None:
    given = headers.get(b"content-type", b"").decode("latin-1")
    media, *parameters = (part.strip().lower() for part in given.split(";"))
    charsets = {part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset=")}
    if media != "application/json" or not charsets <= {"utf-8", "utf8"}:
        shown = repr(given[:60]) if given else "missing"
        raise _Refused(
            415, f"the content type is {shown}, expected application/json", hint="Send Content-Type: application/json."
        )
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise _Refused(415, "the body is compressed, expected plain JSON", hint="Send the body without Content-Encoding.")


def _require_object(body: bytes) -> None:
    try:
        body.decode()
        value = from_json(body, allow_inf_nan=False)
    except UnicodeDecodeError as error:
        raise _Refused(400, f"the body is not UTF-8 at byte {error.start}", hint="Encode the JSON as UTF-8.") from error
    except ValueError as error:
        message = f"the body is not JSON: {error}" if body.strip() else "the body is empty, expected JSON"
        raise _Refused(400, message, hint="NaN, Infinity, comments and trailing commas are not JSON.") from error
    if not isinstance(value, dict):
        raise _Refused(422, "the body is JSON but not an object", hint='Send {"rows": [{field: value, ...}, ...]}.')


def _request_id(headers: Headers) -> bytes:
    """The client's X-Request-ID if it is short and plain, else a fresh one: it goes into logs and an answer header."""
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16).encode()


def _marked(send: Send, request_id: bytes) -> Send:
    own = [(b"x-request-id", request_id), *_SECURITY]
    names = {name for name, _ in own}

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in names]
            message = {**message, "headers": [*kept, *own]}
        await send(message)

    return marked


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body once and then waits for the client like the original."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


async def _answer(send: Send, status: int, content: dict[str, object]) -> None:
    body = json.dumps(content).encode()
    headers = [_JSON, (b"content-length", str(len(body)).encode())]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
