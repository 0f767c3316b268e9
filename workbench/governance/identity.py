"""Who people are: local users and those of an identity provider, what is granted to them, and the first admin.

Called by the server. A user is an (issuer, subject), never an e-mail address, and may do nothing until something is granted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from workbench.errors import BadInput, NotAllowed, NotAuthenticated, NotFound, did_you_mean
from workbench.governance.access import ANY, ROLES, Role
from workbench.governance.passwords import RECOMMENDED, Cost, hashed, matches
from workbench.governance.tokens import grants_of, mint, secret_matches
from workbench.records import new_id, now
from workbench.store import Control
from workbench.store.tables import audit, grants, tokens, users

__all__ = [
    "LOCAL",
    "User",
    "add_user",
    "bootstrap",
    "change_password",
    "disable",
    "enter",
    "grant",
    "list_users",
    "log_in",
    "make_first_admin",
    "revoke",
    "set_password",
]

LOCAL = "local"
"""The issuer of users who have a password here."""

MOST_ATTEMPTS = 5
WINDOW = timedelta(minutes=15)
BOOTSTRAP = timedelta(hours=24)
STRANGER = "somebody not logged in"
NOBODY = "user-unknown"

_NAME = re.compile(r"(?!(?:user|person)-)[a-z0-9][a-z0-9._-]{0,62}")
_PROJECT = re.compile(r"\*|[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person or a program that may log in, with its (role, project) grants."""

    id: str
    issuer: str
    name: str
    active: bool
    created: str
    grants: frozenset[tuple[Role, str]]


def bootstrap(control: Control) -> str | None:
    """The one-time token with which the first admin is made, printed by a server that has no user; None where there is one.

    A new start makes a new token and ends the one before. It lives for a day.
    """
    with control.read() as connection:
        if _count(connection):
            return None
    with control.write(actor=STRANGER, action="make bootstrap token", subject=NOBODY) as connection:
        connection.execute(update(tokens).where(tokens.c.kind == "bootstrap", tokens.c.revoked.is_(None)).values(revoked=now()))
        return mint(connection, kind="bootstrap", user=None, lifetime=BOOTSTRAP).text


def make_first_admin(control: Control, *, token: str, name: str, password: str, cost: Cost = RECOMMENDED) -> User:
    """Makes the admin of all projects, once, for whoever holds the bootstrap token.

    Raises:
        BadInput: the name or the password cannot be used.
        NotAuthenticated: the token is not the one last printed, is expired or used, or there is a user already.
    """
    stored = hashed(password, cost)
    open_tokens = select(tokens).where(tokens.c.kind == "bootstrap", tokens.c.revoked.is_(None), tokens.c.expires > now())
    user = new_id("user")
    with control.write(actor=_named(name), action="make first admin", subject=user) as connection:
        row = connection.execute(open_tokens).first()
        if row is None or not secret_matches(row.hash, token) or _count(connection):
            raise NotAuthenticated(
                "the bootstrap token is unknown, expired or used", hint="Start the server again for a new one."
            )
        connection.execute(update(tokens).where(tokens.c.id == row.id).values(revoked=now()))
        _insert(connection, user, issuer=LOCAL, subject=name, name=name, password=stored)
        connection.execute(insert(grants).values(user=user, role="admin", project=ANY))
        return _user(connection, users.c.id == user)


def add_user(control: Control, *, name: str, password: str, actor: str, cost: Cost = RECOMMENDED) -> User:
    """Makes a local user, who may do nothing until something is granted.

    Raises:
        BadInput: the name is taken or cannot be used, or the password is too short or too long.
    """
    stored, user = hashed(password, cost), new_id("user")
    with control.write(actor=actor, action="add user", subject=user) as connection:
        if connection.execute(select(users.c.id).where(users.c.name == _named(name))).first() is not None:
            raise BadInput(f"there is a user {name!r} already", hint="Choose another name.")
        _insert(connection, user, issuer=LOCAL, subject=name, name=name, password=stored)
        return _user(connection, users.c.id == user)


def enter(control: Control, *, issuer: str, subject: str, name: str) -> User:
    """The user whom an identity provider vouches for, entered at the first login, without a role.

    Raises:
        NotAuthenticated: the user was disabled here.
    """
    same = (users.c.issuer == issuer) & (users.c.subject == subject)
    with control.read() as connection:
        known = connection.execute(select(users.c.id).where(same)).first()
    if known is None:
        user = new_id("user")
        plain = re.sub(r"[^a-z0-9._-]", "-", name.lower())[:40].lstrip("._-") or "somebody"
        with control.write(actor=STRANGER, action="enter user", subject=user) as connection:
            if connection.execute(select(users.c.id).where(same)).first() is None:  # or two logins at once entered it
                taken = connection.execute(select(users.c.id).where(users.c.name == plain)).first() is not None
                fits = not taken and _NAME.fullmatch(plain)
                called = plain if fits else f"oidc-{plain}-{user[-12:]}"
                _insert(connection, user, issuer=issuer, subject=subject, name=called, password=None)
    with control.read() as connection:
        found = _user(connection, same)
    if not found.active:
        raise NotAuthenticated("this user is disabled", hint="Ask an admin.")
    return found


def log_in(control: Control, *, name: str, password: str, cost: Cost = RECOMMENDED) -> User:
    """The local user of this name and password. Takes as long for names that nobody has.

    Five attempts fail, then none succeeds for a quarter of an hour. They are counted in the audit, so a restart forgives none,
    and each is written before the password is looked at, so many at once gain nothing.

    Raises:
        NotAuthenticated: name and password do not belong together, or too many attempts failed; it does not say which.
    """
    with control.read() as connection:
        query = select(users.c.id, users.c.password).where(users.c.name == name, users.c.issuer == LOCAL, users.c.active == 1)
        row = connection.execute(query).first()
    user, stored = (NOBODY, None) if row is None else (row.id, row.password)
    counted = _attempt(control, user)
    if not matches(stored, password, cost) or not counted:
        raise NotAuthenticated(
            "name and password do not belong together, or there were too many attempts",
            hint=f"After {MOST_ATTEMPTS} failed attempts wait 15 minutes, or ask an admin for a new password.",
        )
    with control.write(actor=name, action="prove password", subject=user) as connection:
        return _user(connection, users.c.id == user)


def change_password(control: Control, *, name: str, old: str, new: str, cost: Cost = RECOMMENDED) -> None:
    """Another password for oneself, for whoever knows the one that holds now; every login ends.

    Raises:
        BadInput: the new one is too short or too long.
        NotAuthenticated: as `log_in`.
    """
    stored = hashed(new, cost)
    user = log_in(control, name=name, password=old, cost=cost)
    _store_password(control, user.id, stored, actor=name)


def set_password(control: Control, user: str, *, password: str, actor: str, cost: Cost = RECOMMENDED) -> None:
    """Another password for a local user, by an admin; every login of the user ends.

    Raises:
        BadInput: it is too short or too long, or the user logs in elsewhere.
        NotFound: there is no such user.
    """
    stored = hashed(password, cost)
    with control.read() as connection:
        if _user(connection, users.c.id == user).issuer != LOCAL:
            raise BadInput("this user logs in at an identity provider and has no password here")
    _store_password(control, user, stored, actor=actor)


def disable(control: Control, user: str, *, actor: str) -> None:
    """Lets a user in no more, and ends every token.

    Raises:
        NotFound: there is no such user.
        NotAllowed: nobody would be left who can grant roles.
    """
    with control.write(actor=actor, action="disable user", subject=user) as connection:
        _user(connection, users.c.id == user)
        _keep_an_admin(connection, without=user)
        connection.execute(update(users).where(users.c.id == user).values(active=0))
        connection.execute(update(tokens).where(tokens.c.user == user, tokens.c.revoked.is_(None)).values(revoked=now()))


def grant(control: Control, user: str, *, role: str, project: str, actor: str) -> None:
    """Gives a user a role in a project, or in all of them (`*`); every login of the user ends.

    Raises:
        BadInput: there is no such role, or the project's name cannot be one.
        NotFound: there is no such user.
    """
    row = {"user": user, "role": role, "project": _project(role, project)}
    with control.write(actor=actor, action="grant role", subject=user, detail={"role": role, "project": project}) as connection:
        held = _user(connection, users.c.id == user).grants
        if (role, project) not in held:
            connection.execute(insert(grants).values(row))
            _end_sessions(connection, user)


def revoke(control: Control, user: str, *, role: str, project: str, actor: str) -> None:
    """Takes a role in a project from a user; every login of the user ends.

    Raises:
        NotFound: there is no such user, or the role was not granted there.
        NotAllowed: nobody would be left who can grant roles.
    """
    with control.write(actor=actor, action="revoke role", subject=user, detail={"role": role, "project": project}) as connection:
        if (role, project) not in _user(connection, users.c.id == user).grants:
            raise NotFound(f"{user} does not hold {role} in {project}", hint="See what is granted: workbench users list")
        if (role, project) == ("admin", ANY):
            _keep_an_admin(connection, without=user)
        theirs = (grants.c.user == user) & (grants.c.role == role) & (grants.c.project == project)
        connection.execute(delete(grants).where(theirs))
        _end_sessions(connection, user)


def list_users(control: Control) -> list[User]:
    """Every user, in the order they came; those who were erased bear their pseudonym."""
    with control.read() as connection:
        ids = connection.execute(select(users.c.id).order_by(users.c.created)).scalars().all()
        return [_user(connection, users.c.id == user) for user in ids]


def _attempt(control: Control, user: str) -> bool:
    """Notes an attempt to log in, unless the user had as many as are allowed since the last success and within the window."""
    since = (datetime.now(UTC) - WINDOW).isoformat(timespec="microseconds")
    about = audit.c.subject == user
    success = select(func.coalesce(func.max(audit.c.sequence), 0)).where(
        about, audit.c.action.in_(("prove password", "set password"))
    )
    tried = select(func.count()).where(
        about, audit.c.action == "try password", audit.c.at > since, audit.c.sequence > success.scalar_subquery()
    )
    try:
        with control.write(actor=STRANGER, action="try password", subject=user) as connection:
            if connection.execute(tried).scalar_one() >= MOST_ATTEMPTS:
                raise _TooMany
    except _TooMany:
        return False
    return True


class _TooMany(Exception):
    """Ends the transaction in which an attempt would have been noted."""


def _store_password(control: Control, user: str, stored: str, *, actor: str) -> None:
    with control.write(actor=actor, action="set password", subject=user) as connection:
        connection.execute(update(users).where(users.c.id == user).values(password=stored))
        _end_sessions(connection, user)


def _end_sessions(connection: Connection, user: str) -> None:
    theirs = (tokens.c.user == user) & (tokens.c.kind == "session") & tokens.c.revoked.is_(None)
    connection.execute(update(tokens).where(theirs).values(revoked=now()))


def _keep_an_admin(connection: Connection, *, without: str) -> None:
    admins = select(grants.c.user).join(users, users.c.id == grants.c.user)
    active = admins.where(grants.c.role == "admin", grants.c.project == ANY, users.c.active == 1)
    if set(connection.execute(active).scalars()) == {without}:
        raise NotAllowed("this is the last admin, and nobody could grant roles any more", hint="Make another admin first.")


def _insert(connection: Connection, user: str, *, issuer: str, subject: str, name: str, password: str | None) -> None:
    row = {"id": user, "issuer": issuer, "subject": subject, "name": name, "password": password}
    connection.execute(insert(users).values(**row, active=1, created=now()))


def _user(connection: Connection, which: Any) -> User:
    row = connection.execute(select(users).where(which)).first()
    if row is None:
        raise NotFound("there is no such user", hint="See who there is: workbench users list")
    held = grants_of(connection, row.id)
    return User(id=row.id, issuer=row.issuer, name=row.name, active=bool(row.active), created=row.created, grants=held)


def _count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(users)).scalar_one()


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        hint = "Lower-case letters, digits, dots and dashes, 63 at most; not beginning with user- or person-."
        raise BadInput(f"{name!r} cannot be a user's name", hint=hint)
    return name


def _project(role: str, project: str) -> str:
    if role not in ROLES:
        raise BadInput(f"there is no role {role!r}", hint=did_you_mean(role, ROLES))
    if not _PROJECT.fullmatch(project):
        raise BadInput(f"{project!r} cannot be a project's name", hint="Lower-case letters, digits and dashes, or * for all.")
    return project
