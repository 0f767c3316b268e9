"""Every address of the server, with its verb, the one permission it asks for and its handler. Installed by `create_app`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from workbench.server import models, people
from workbench.server.endpoints import PUBLIC

__all__ = ["ROUTES", "Route"]


@dataclass(frozen=True, slots=True)
class Route:
    """One verb on one address. `reach` is `own` where it leads only to what belongs to the caller."""

    verb: str
    path: str
    permission: str
    handler: Callable[..., Any]
    reach: Literal["target", "own", "upload"] = "target"


PROJECT = "/v1/projects/{project}"
MODEL = f"{PROJECT}/models/{{model}}"

ROUTES = (
    Route("GET", "/v1/health", PUBLIC, people.health),
    Route("POST", "/v1/bootstrap", PUBLIC, people.bootstrap),
    Route("POST", "/v1/login", PUBLIC, people.login),
    Route("POST", "/v1/login/start", PUBLIC, people.start_login),
    Route("POST", "/v1/login/finish", PUBLIC, people.finish_login),
    Route("GET", "/v1/openapi.json", "project:read", people.openapi, "own"),
    Route("GET", "/v1/whoami", "project:read", people.whoami, "own"),
    Route("POST", "/v1/logout", "token:revoke", people.logout, "own"),
    Route("GET", "/v1/tokens", "token:read", people.list_tokens, "own"),
    Route("POST", "/v1/tokens", "token:create", people.create_token, "own"),
    Route("DELETE", "/v1/tokens/{token}", "token:revoke", people.revoke_token, "own"),
    Route("POST", "/v1/runs/{run}/token", "run:create", people.create_run_token, "own"),
    Route("PUT", "/v1/runs/{run}/token", "run:create", people.renew_run_token, "own"),
    Route("DELETE", "/v1/runs/{run}/token", "run:create", people.end_run_token, "own"),
    Route("POST", "/v1/password", "token:create", people.change_password, "own"),
    Route("GET", "/v1/users", "user:read", people.list_users),
    Route("POST", "/v1/users", "user:create", people.create_user),
    Route("POST", "/v1/users/{user}/disable", "user:update", people.disable_user),
    Route("POST", "/v1/users/{user}/grants", "user:grant", people.grant),
    Route("DELETE", "/v1/users/{user}/grants", "user:revoke", people.revoke),
    Route("POST", "/v1/people/{person}/erase", "user:erase", people.erase),
    Route("GET", "/v1/audit", "audit:read", people.read_audit),
    Route("GET", f"{PROJECT}/audit", "audit:read", people.read_project_audit),
    Route("GET", f"{PROJECT}/policy", "project:read", models.read_policy),
    Route("PUT", f"{PROJECT}/policy", "project:create", models.set_policy),
    Route("POST", f"{PROJECT}/objects", "model:create", models.missing_objects),
    Route("PUT", f"{PROJECT}/objects/{{sha256}}", "model:create", models.put_object, "upload"),
    Route("GET", f"{PROJECT}/models", "model:read", models.list_models),
    Route("POST", f"{PROJECT}/models", "model:create", models.register),
    Route("GET", MODEL, "model:read", models.read_model),
    Route("GET", f"{MODEL}/papers", "evidence:export", models.read_papers),
    Route("POST", f"{MODEL}/review", "model:review", models.review),
    Route("POST", f"{MODEL}/approve", "model:approve", models.approve),
    Route("POST", f"{MODEL}/reject", "model:reject", models.reject),
    Route("POST", f"{MODEL}/waive", "model:waive", models.waive),
    Route("POST", f"{MODEL}/promote", "release:promote", models.promote),
    Route("POST", f"{PROJECT}/services/{{service}}/rollback", "release:rollback", models.roll_back),
)
