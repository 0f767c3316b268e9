"""Whether a database's tables are those of this version, and what makes them so. Called by `database` when one is opened.

A new database gets the tables at once. One by an earlier version is migrated with Alembic, which is imported only then.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert, inspect, select

from workbench.errors import BadInput
from workbench.store import tables

__all__ = ["VERSION", "is_current", "make_current"]

VERSION = "0003"
"""The latest migration in `migrations/versions`."""

KNOWN = ("0001", "0002", VERSION)
FIRST = {
    "records": {"sequence", "id", "kind", "parent", "run", "actor", "at", "zone", "revision", "body"},
    "runs": {"id", "flow", "state", "actor", "started", "finished", "host", "process", "process_started", "reason"},
    "audit": {"sequence", "at", "actor", "action", "subject"},
}
"""The tables of version 0001, which did not yet note its version."""


def _found(connection: Connection) -> str | None:
    """The version that a database says it is at, or None.

    Raises:
        BadInput: a version that this workbench does not know.
    """
    if not inspect(connection).has_table(tables.version.name):
        return None
    found = connection.execute(select(tables.version.c.version_num)).scalar()
    if found not in KNOWN:
        raise BadInput(
            f"the control database is of version {found}, and this workbench knows versions up to {VERSION}",
            hint="Update the workbench to the version that made it: pip install --upgrade workbench",
        )
    return str(found)


def is_current(connection: Connection) -> bool:
    """Whether the tables are those of this version.

    Raises:
        BadInput: they are of a later one.
    """
    return _found(connection) == VERSION


def make_current(connection: Connection) -> None:
    """Makes the tables, or brings those of an earlier version up to this one. Needs a transaction that no other writer overlaps.

    Raises:
        BadInput: the tables are of a later version, or somebody else's.
    """
    found = _found(connection)
    if found == VERSION:  # another process was faster
        return
    if found is None and not _is_first(connection):
        tables.metadata.create_all(connection)
        tables.version.create(connection)
        connection.execute(insert(tables.version).values(version_num=VERSION))
        return
    _migrate(connection, found)


def _is_first(connection: Connection) -> bool:
    """Whether these are the tables of version 0001; False where there are none of ours.

    Raises:
        BadInput: a table has the name of one of ours, and other columns.
    """
    columns = inspect(connection).get_multi_columns(filter_names=list(tables.metadata.tables))
    there = {name: {column["name"] for column in listed} for (_, name), listed in columns.items()}
    for name in sorted(FIRST, key=lambda name: name not in there):
        if there and (absent := sorted(FIRST[name] - there.get(name, set()))):
            raise BadInput(
                f"the control database is of no version of the workbench: {name} has no column {', '.join(absent)}",
                hint="Use a database of the workbench's own, or make the project anew: workbench init",
            )
    return bool(there)


def _migrate(connection: Connection, found: str | None) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    if found is None:
        command.stamp(config, "0001")
    command.upgrade(config, VERSION)
