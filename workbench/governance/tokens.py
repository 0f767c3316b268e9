"""Bearer tokens `wbt_ID_SECRET`: made for a login, a program or one run, kept as hashes, resolved to who acts.

Called by the server. The secret has 32 random bytes, so its plain SHA-256 cannot be searched through (NIST SP 800-63B, 5.1.1).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, and_, insert, select, update

from workbench.errors import BadInput, NotAllowed, NotAuthenticated, NotFound
from workbench.governance.access import HOLDERS, KEPT, ROLES, Permission, Principal, Role, permission_of, rights_of
from workbench.records import now
from workbench.store import Control
from workbench.store.tables import grants, tokens, users

__all__ = [
    "Issued",
    "Token",
    "authenticate",
    "end_run",
    "grants_of",
    "issue_api",
    "issue_run",
    "issue_session",
    "mint",
    "renew_run",
    "revoke",
    "secret_matches",
    "token_id_of",
    "tokens_of",
]

Kind = Literal["api", "session", "run", "bootstrap"]

SESSION = timedelta(minutes=15)
KEPT_SESSION = timedelta(hours=8)
RUN = timedelta(minutes=15)
LONGEST_DAYS = 90

MINTING = Permission("token", "create")
RUN_SCOPES = frozenset(
    permission_of(name)
    for name in (
        *("project:read", "dataset:read", "dataset:create", "run:read", "run:create", "model:read", "model:create"),
        *("release:read", "deployment:read", "prediction:read", "report:read", "report:create"),
    )
)
"""What the notebooks of a run need. Nothing here decides on a model, releases one, or makes a token."""

_WRITTEN = re.compile(r"wbt_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new token: `text` is shown once and kept nowhere."""

    id: str
    text: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of a token: never its secret."""

    id: str
    user: str
    kind: Kind
    scopes: tuple[str, ...] | None
    run: str | None
    created: str
    expires: str
    revoked: str | None


def issue_session(control: Control, *, user: str, actor: str, keep: bool = False) -> Issued:
    """The token of a login: with all rights of its user for a quarter of an hour, or one to `keep` on a disk.

    The second lasts eight hours and carries only `KEPT`: what reads the disk, such as a notebook, must not decide on models.
    """
    with control.write(actor=actor, action="log in", subject=user, detail={"keep": keep}) as connection:
        return mint(
            connection,
            kind="session",
            user=user,
            lifetime=KEPT_SESSION if keep else SESSION,
            scopes=KEPT if keep else None,
        )


def issue_api(control: Control, principal: Principal, *, scopes: Collection[Permission] | None, days: int) -> Issued:
    """A token for programs, narrowed to `scopes`; None is all that its owner may do.

    Raises:
        BadInput: it would live for less than a day or more than 90.
        NotAllowed: a scope is beyond what the owner may do, or the principal itself is a run.
    """
    if not 1 <= days <= LONGEST_DAYS:
        raise BadInput(f"a token for {days} days was asked for, expected 1 to {LONGEST_DAYS}")
    if principal.run is not None:
        raise NotAllowed("a run makes no tokens", hint="Log in, and make it yourself: workbench login")
    asked = principal.scopes if scopes is None else frozenset(scopes)
    if asked is not None and (beyond := sorted(map(str, asked - rights_of(principal)))):
        raise NotAllowed(
            f"{principal.name} cannot give a token what {principal.name} does not hold: {', '.join(beyond)}",
            hint="Ask for fewer scopes, or an admin for the role.",
        )
    detail: dict[str, Any] = {}
    with control.write(actor=principal.name, action="make api token", subject=principal.id, detail=detail) as connection:
        made = mint(connection, kind="api", user=principal.id, lifetime=timedelta(days=days), scopes=asked)
        detail |= {"token": made.id, "expires": made.expires}
    return made


def issue_run(control: Control, principal: Principal, *, run: str) -> Issued:
    """The token that the kernels of one run hold, for a quarter of an hour and no longer than the run; its owner makes the next.

    Raises:
        NotAllowed: it is somebody else's run, or over, or the principal is itself a run.
    """
    if principal.run is not None:
        raise NotAllowed("a run makes no tokens", hint="Who started the run makes the next one.")
    known = control.find_run(run)
    if known is not None and (known.actor != principal.name or known.state != "running"):
        raise NotAllowed(f"{run} is {known.state} and belongs to {known.actor}", hint="Its owner asks, while it runs.")
    scopes = RUN_SCOPES if principal.scopes is None else RUN_SCOPES & principal.scopes
    with control.write(actor=principal.name, action="make run token", subject=run) as connection:
        others = select(tokens.c.id).where(tokens.c.run == run, tokens.c.user != principal.id)
        if connection.execute(others).first() is not None:
            raise NotAllowed(f"{run} belongs to somebody else", hint="Its owner asks, while it runs.")
        return mint(connection, kind="run", user=principal.id, lifetime=RUN, scopes=scopes, run=run)


def renew_run(control: Control, principal: Principal, *, run: str) -> str:
    """Lets the tokens of a run live for another quarter of an hour from now; returns when they end (ISO 8601).

    Raises:
        NotAllowed: the principal is itself a run.
        NotFound: it has no living token of this run.
    """
    if principal.run is not None:
        raise NotAllowed("a run does not prolong its own token", hint="Who started the run does, while it runs.")
    expires = (datetime.now(UTC) + RUN).isoformat(timespec="microseconds")
    theirs = and_(tokens.c.run == run, tokens.c.user == principal.id, tokens.c.revoked.is_(None), tokens.c.expires > now())
    with control.write(actor=principal.name, action="renew run token", subject=run) as connection:
        if connection.execute(update(tokens).where(theirs).values(expires=expires)).rowcount == 0:
            raise NotFound(f"no token of {run} lives that is yours", hint="Start the run again: its token has ended.")
    return expires


def end_run(control: Control, run: str, *, actor: str, owner: str | None = None) -> None:
    """Ends every token of a run, of this owner if one is named."""
    theirs = tokens.c.run == run if owner is None else and_(tokens.c.run == run, tokens.c.user == owner)
    with control.write(actor=actor, action="end run tokens", subject=run) as connection:
        connection.execute(update(tokens).where(theirs, tokens.c.revoked.is_(None)).values(revoked=now()))


def revoke(control: Control, token: str, *, actor: str, owner: str | None = None) -> None:
    """Ends a token, of this owner if one is named; ending it again changes nothing more.

    Raises:
        NotFound: there is no such token, or the owner named has none of that id.
    """
    with control.write(actor=actor, action="revoke token", subject=token) as connection:
        theirs = tokens.c.id == token if owner is None else and_(tokens.c.id == token, tokens.c.user == owner)
        if connection.execute(select(tokens.c.id).where(theirs)).first() is None:
            raise NotFound(f"no token {token!r} of yours" if owner else f"no token {token!r}", hint="List them first.")
        connection.execute(update(tokens).where(theirs, tokens.c.revoked.is_(None)).values(revoked=now()))


def tokens_of(control: Control, user: str) -> list[Token]:
    """Every token of a user, oldest first, also those that have ended."""
    query = select(tokens).where(tokens.c.user == user).order_by(tokens.c.created)
    with control.read() as connection:
        return [_token(row._mapping) for row in connection.execute(query)]


def token_id_of(text: str) -> str | None:
    """The id inside a token's text, which is no secret; None where it is not written like one."""
    written = _WRITTEN.fullmatch(text)
    return None if written is None else written[1]


def authenticate(control: Control, text: str) -> Principal:
    """Who acts with this token, with the roles that hold now.

    Raises:
        NotAuthenticated: it is unknown, expired or revoked, or its owner or run is no longer active; it does not say which.
    """
    with control.read() as connection:
        query = select(tokens, users.c.name, users.c.active).join(users, users.c.id == tokens.c.user)
        row = connection.execute(query.where(tokens.c.id == token_id_of(text))).first()
        if row is None or not secret_matches(row.hash, text) or not row.active or not _lives(row):
            raise _unknown()
        held = grants_of(connection, row.user)
    if row.run is not None and (run := control.find_run(row.run)) is not None and run.state != "running":
        raise _unknown()
    return Principal(id=row.user, name=row.name, grants=held, scopes=_reach(row.kind, row.scopes), run=row.run)


def mint(
    connection: Connection,
    *,
    kind: Kind,
    user: str | None,
    lifetime: timedelta,
    scopes: frozenset[Permission] | None = None,
    run: str | None = None,
) -> Issued:
    """Makes a token of any kind. Call it inside `Control.write`."""
    token, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    expires = (datetime.now(UTC) + lifetime).isoformat(timespec="microseconds")
    row = {"id": token, "user": user, "kind": kind, "hash": _hash(secret), "run": run, "created": now(), "expires": expires}
    listed = None if scopes is None else sorted(map(str, scopes))
    connection.execute(insert(tokens).values(**row, scopes=json.dumps(listed)))
    return Issued(id=token, text=f"wbt_{token}_{secret}", expires=expires)


def secret_matches(stored: str, text: str) -> bool:
    """Whether a token's text carries the secret of this hash, in constant time."""
    written = _WRITTEN.fullmatch(text)
    return written is not None and hmac.compare_digest(stored, _hash(written[2]))


def grants_of(connection: Connection, user: str) -> frozenset[tuple[Role, str]]:
    """The roles of a user and the projects that they count in."""
    rows = connection.execute(select(grants.c.role, grants.c.project).where(grants.c.user == user)).all()
    return frozenset((role, row.project) for row in rows for role in ROLES if role == row.role)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _lives(row: Any) -> bool:
    return row.revoked is None and bool(now() < row.expires)


def _reach(kind: Kind, listed: str) -> frozenset[Permission] | None:
    """What a token is narrowed to. Only a login makes tokens: those of programs would otherwise renew themselves for ever."""
    names = json.loads(listed)
    scopes = None if names is None else frozenset(permission_of(name) for name in names)
    if kind == "session":
        return scopes
    return (frozenset(HOLDERS) if scopes is None else scopes) - {MINTING}


def _token(row: Any) -> Token:
    listed = json.loads(row["scopes"])
    shown = {name: row[name] for name in ("id", "user", "kind", "run", "created", "expires", "revoked")}
    return Token(**shown, scopes=None if listed is None else tuple(listed))


def _unknown() -> NotAuthenticated:
    return NotAuthenticated("the token is unknown, expired or revoked", hint="Log in again: workbench login")
