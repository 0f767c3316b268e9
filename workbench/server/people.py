"""Handlers of people: logging in, tokens, users and what they are granted, the audit. Listed in `routes`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query, Request

from workbench.errors import NotFound
from workbench.governance import identity, tokens
from workbench.governance.access import Principal, permission_of
from workbench.governance.oidc import Begun
from workbench.server.bodies import (
    Bootstrap,
    Credentials,
    Finish,
    Grant,
    Login,
    Name,
    NewToken,
    NewUser,
    Session,
    Start,
    UserShown,
)
from workbench.server.state import ServerState, principal_of, state_of

__all__ = [
    "bootstrap",
    "change_password",
    "create_run_token",
    "create_token",
    "create_user",
    "disable_user",
    "end_run_token",
    "erase",
    "finish_login",
    "grant",
    "health",
    "list_tokens",
    "list_users",
    "login",
    "logout",
    "openapi",
    "read_audit",
    "read_project_audit",
    "renew_run_token",
    "revoke",
    "revoke_token",
    "start_login",
    "whoami",
]

State = Annotated[ServerState, Depends(state_of)]
Caller = Annotated[Principal, Depends(principal_of)]
After = Annotated[int, Query(ge=0, le=2**53)]
Most = Annotated[int, Query(ge=1, le=1000)]


def health() -> dict[str, str]:
    """That the server answers; nothing else is told to strangers."""
    return {"status": "ok"}


def openapi(request: Request) -> dict[str, Any]:
    """What can be asked, as OpenAPI."""
    document: dict[str, Any] = request.app.openapi()
    return document


def bootstrap(body: Bootstrap, request: Request, state: State) -> dict[str, str]:
    """Makes the first admin, once, for who holds the token that the server printed."""
    with state.rate_limit.attempt(_client(request)):
        made = identity.make_first_admin(state.control, token=body.token, name=body.name, password=body.password, cost=state.cost)
    return {"id": made.id}


def login(body: Login, request: Request, state: State) -> Session:
    """A session token for a local user's name and password."""
    with state.rate_limit.attempt(_client(request), f"name {body.name}"):
        user = identity.log_in(state.control, name=body.name, password=body.password, cost=state.cost)
    return _session(state, user, keep=body.keep)


def start_login(body: Start, request: Request, state: State) -> Begun:
    """Where the browser logs in at the identity provider."""
    state.rate_limit.count(f"start {_client(request)}")
    return state.provider().begin(body.redirect)


def finish_login(body: Finish, request: Request, state: State) -> Session:
    """A session token for what the identity provider handed to the browser."""
    with state.rate_limit.attempt(_client(request)):
        found = state.provider().finish(state=body.state, code=body.code)
    user = identity.enter(state.control, issuer=found.issuer, subject=found.subject, name=found.name)
    return _session(state, user, keep=body.keep)


def logout(request: Request, state: State, caller: Caller) -> dict[str, bool]:
    """Ends the token that this request came with."""
    token = tokens.token_id_of(request.headers["authorization"].partition(" ")[2].strip())
    tokens.revoke(state.control, str(token), actor=caller.name, owner=caller.id)
    return {"revoked": True}


def whoami(caller: Caller) -> Principal:
    """Who the token stands for, and what that person may do."""
    return caller


def list_tokens(state: State, caller: Caller) -> list[tokens.Token]:
    """One's own tokens; what they are is not kept."""
    return tokens.tokens_of(state.control, caller.id)


def create_token(body: NewToken, state: State, caller: Caller) -> Session:
    """A token for programs, with no more rights than its owner has."""
    scopes = None if body.scopes is None else {permission_of(scope) for scope in body.scopes}
    return _told(tokens.issue_api(state.control, caller, scopes=scopes, days=body.days))


def revoke_token(token: Name, state: State, caller: Caller) -> dict[str, bool]:
    """Ends one of one's own tokens."""
    tokens.revoke(state.control, token, actor=caller.name, owner=caller.id)
    return {"revoked": True}


def create_run_token(run: Name, state: State, caller: Caller) -> Session:
    """A token for the kernels of one run: a scientist's rights at most, for fifteen minutes."""
    return _told(tokens.issue_run(state.control, caller, run=run))


def renew_run_token(run: Name, state: State, caller: Caller) -> dict[str, str]:
    """Lets the token of one's own run live for another fifteen minutes."""
    return {"expires": tokens.renew_run(state.control, caller, run=run)}


def end_run_token(run: Name, state: State, caller: Caller) -> dict[str, bool]:
    """Ends the token of one's own run."""
    tokens.end_run(state.control, run, actor=caller.name, owner=caller.id)
    return {"ended": True}


def change_password(body: Credentials, state: State, caller: Caller) -> dict[str, bool]:
    """Another password for oneself; every login ends."""
    with state.rate_limit.attempt(f"name {caller.name}"):
        identity.change_password(state.control, name=caller.name, old=body.old, new=body.new, cost=state.cost)
    return {"changed": True}


def list_users(state: State) -> list[UserShown]:
    """Every user with what is granted."""
    return [_shown(user) for user in identity.list_users(state.control)]


def create_user(body: NewUser, state: State, caller: Caller) -> UserShown:
    """A local user, who may do nothing until something is granted."""
    made = identity.add_user(state.control, name=body.name, password=body.password, actor=caller.name, cost=state.cost)
    return _shown(made)


def disable_user(user: Name, state: State, caller: Caller) -> dict[str, bool]:
    """Ends every login of a user, and lets in no other."""
    identity.disable(state.control, user, actor=caller.name)
    return {"disabled": True}


def grant(user: Name, body: Grant, state: State, caller: Caller) -> dict[str, bool]:
    """Gives a user a role in a project."""
    identity.grant(state.control, user, role=body.role, project=body.project, actor=caller.name)
    return {"granted": True}


def revoke(user: Name, body: Grant, state: State, caller: Caller) -> dict[str, bool]:
    """Takes a role in a project from a user."""
    identity.revoke(state.control, user, role=body.role, project=body.project, actor=caller.name)
    return {"revoked": True}


def erase(person: Name, state: State, caller: Caller) -> dict[str, str]:
    """Forgets who stands behind a name or pseudonym, in the server and in every project; the audit stays whole."""
    pseudonyms = []
    for control in (state.control, *(state.projects.control(name) for name in state.projects.names())):
        try:
            pseudonyms.append(control.erase(person, actor=caller.name))
        except NotFound:
            continue
    if not pseudonyms:
        raise NotFound(f"nobody here is called {person!r}", hint="See who there is: workbench users list")
    return {"pseudonym": pseudonyms[0]}


def read_audit(state: State, after: After = 0, limit: Most = 100) -> list[dict[str, Any]]:
    """What was done to users, roles and tokens, from the entry after `after` on."""
    return state.entries(None, after, limit)


def read_project_audit(project: Name, state: State, after: After = 0, limit: Most = 100) -> list[dict[str, Any]]:
    """What was done in a project, from the entry after `after` on."""
    return state.entries(project, after, limit)


def _client(request: Request) -> str:
    return f"address {request.client.host if request.client else 'unknown'}"


def _session(state: ServerState, user: identity.User, *, keep: bool) -> Session:
    return _told(tokens.issue_session(state.control, user=user.id, actor=user.name, keep=keep))


def _told(issued: tokens.Issued) -> Session:
    return Session(id=issued.id, token=issued.text, expires=issued.expires)


def _shown(user: identity.User) -> UserShown:
    granted = [Grant(role=role, project=project) for role, project in sorted(user.grants)]
    return UserShown(id=user.id, issuer=user.issuer, name=user.name, active=user.active, created=user.created, grants=granted)
