"""Errors that only a server answers with, and the one JSON shape in which it answers all. Called by `guard` and `app`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from workbench.errors import BadInput, ComponentMissing, NotAllowed, NotAuthenticated, NotFound, WorkbenchError

__all__ = [
    "ErrorBody",
    "TooLarge",
    "TooManyAttempts",
    "TooSlow",
    "VerbNotOffered",
    "WrongType",
    "answer_of",
    "as_answer",
    "install",
]

log = logging.getLogger(__name__)


class ErrorBody(BaseModel):
    """Every error, whoever finds it: its class, what was given and expected, each problem, and what to do next."""

    error: str
    message: str
    problems: list[str]
    hint: str


class VerbNotOffered(BadInput):
    """The address exists, but not under this HTTP verb."""

    status = 405


class TooLarge(BadInput):
    """The body is larger than the server takes."""

    status = 413


class TooSlow(BadInput):
    """The body did not arrive in time."""

    status = 408


class WrongType(BadInput):
    """The body is not of the content type that this address takes."""

    status = 415


class TooManyAttempts(NotAllowed):
    """Too many attempts to log in within a short time."""

    status = 429


def as_answer(error: WorkbenchError) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an error. The body is ASCII, so that no text of a stranger can spoil it."""
    headers = {"content-type": "application/json"}
    if isinstance(error, NotAuthenticated):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, TooManyAttempts):
        headers["retry-after"] = "60"
    return error.status, headers, json.dumps(error.as_json()).encode()


def answer_of(error: WorkbenchError, headers: Mapping[str, str] | None = None) -> Response:
    """The error as a response."""
    status, own, body = as_answer(error)
    return Response(body, status_code=status, headers={**(headers or {}), **own})


def install(app: FastAPI) -> None:
    """Lets the app answer every exception in the one shape; one that nobody expected is logged, and nothing of it is told."""
    app.add_exception_handler(WorkbenchError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OSError, _no_room)
    app.add_exception_handler(Exception, _fault)


def _ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, WorkbenchError)  # noqa: S101 - that is how it was installed
    if error.status >= 500:  # noqa: PLR2004 - faults of a server begin there
        log.error("%s", error)
    return answer_of(error)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - that is how it was installed
    problems = [_sentence(problem) for problem in error.errors()]
    return answer_of(BadInput("the request does not fit the address", problems=problems, hint="Read GET /v1/openapi.json."))


def _sentence(problem: Mapping[str, Any]) -> str:
    """Where the problem lies and what was expected; never the value, which may be a secret."""
    place: Sequence[object] = problem["loc"]
    return f"{'.'.join(map(str, place))}: {problem['msg']}"


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - that is how it was installed
    if error.status_code == NotFound.status:
        return answer_of(NotFound(f"there is no {request.url.path}", hint="Read what there is: GET /v1/openapi.json"))
    if error.status_code == VerbNotOffered.status:
        hint = f"Offered here: {(error.headers or {}).get('Allow', 'nothing')}"
        return answer_of(VerbNotOffered(f"{request.url.path} does not offer {request.method}", hint=hint), error.headers)
    return answer_of(BadInput(f"the request cannot be read: {error.detail}", hint="Send JSON in UTF-8."))


def _no_room(_: Request, error: Exception) -> Response:
    log.error("the server's folder cannot be used", exc_info=error)
    return answer_of(ComponentMissing("the server cannot use its folder now", hint="Tell who runs it: its log says why."))


def _fault(_: Request, error: Exception) -> Response:
    log.error("a fault of the server", exc_info=error)
    return answer_of(WorkbenchError("a fault of the server", hint="Tell who runs it: its log says what happened."))
