"""Who is meant by a pseudonym: the only place that keeps the names of people who acted. Called by `database` and whoever writes.

Every other table, the audit included, holds pseudonyms. They are random, so that without this table nobody can tell whose acts
they mark, not even by trying names (GDPR, article 4(5) and article 17).
"""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, delete, insert, select, update

from workbench.records import now
from workbench.store.tables import people, tokens, users

__all__ = ["forget", "fresh_pseudonym", "names_in", "pseudonym_of"]


def fresh_pseudonym() -> str:
    """A pseudonym that nobody has yet, such as `person-5f0c8e1b2a9d4c37`."""
    return f"person-{secrets.token_hex(8)}"


def pseudonym_of(connection: Connection, name: str) -> str:
    """The pseudonym of a person, made when they act for the first time. Call it inside `Control.write`."""
    found = connection.execute(select(people.c.pseudonym).where(people.c.name == name)).scalar()
    if found is not None:
        return str(found)
    made = fresh_pseudonym()
    connection.execute(insert(people).values(pseudonym=made, name=name))
    return made


def names_in(connection: Connection) -> dict[str, str]:
    """The name behind each pseudonym of people who are not forgotten."""
    return {row.pseudonym: row.name for row in connection.execute(select(people))}


def forget(connection: Connection, pseudonym: str) -> None:
    """Deletes who stands behind a pseudonym, and what identifies the user: name, identity, password; their tokens end.

    Call it inside `Control.write`. Whoever is forgotten already stays so.
    """
    of_person = users.c.name == select(people.c.name).where(people.c.pseudonym == pseudonym).scalar_subquery()
    ids = select(users.c.id).where(of_person).scalar_subquery()
    connection.execute(update(tokens).where(tokens.c.user.in_(ids), tokens.c.revoked.is_(None)).values(revoked=now()))
    erased = {"issuer": "erased", "subject": pseudonym, "name": pseudonym, "password": None, "active": 0}
    connection.execute(update(users).where(of_person).values(erased))
    connection.execute(delete(people).where(people.c.pseudonym == pseudonym))
