"""From the control database's URL to its engine, and from the database's errors to ours. Called by `database` only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.pool import NullPool

from workbench.errors import BadInput, ComponentMissing

__all__ = ["engine_of", "told"]

BACKENDS = ("sqlite", "postgresql")
BUSY_SECONDS = 30
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", f"busy_timeout={BUSY_SECONDS * 1000}")
"""`secure_delete` overwrites what is deleted with zeros, wherever in the file it was (SQLite, "PRAGMA secure_delete")."""


def engine_of(url: str, *, idle: int) -> Engine:
    """The engine of a SQLite or PostgreSQL database; nothing is connected yet.

    Args:
        url: where it is.
        idle: how many connections to a PostgreSQL stay open for the next use.

    Raises:
        BadInput: the text is no such URL.
        ComponentMissing: the driver is not installed.
    """
    try:
        location = make_url(url)
        backend = location.get_backend_name()
        if backend not in BACKENDS:
            raise ArgumentError(f"it names {backend}, expected {' or '.join(BACKENDS)}")
        return _sqlite(location) if backend == "sqlite" else _postgresql(location, idle)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise BadInput(
            f"the control database's URL cannot be used: {error}",
            hint="Write WORKBENCH_DATABASE_URL as postgresql://USER:PASSWORD@HOST/DATABASE, or unset it for the project's own.",
        ) from error
    except ModuleNotFoundError as error:
        raise ComponentMissing(
            f"the control database needs the driver {error.name}, which is not installed",
            hint="Install it: pip install 'workbench[postgres]'",
        ) from error


def _postgresql(location: URL, idle: int) -> Engine:
    if idle == 0:
        return create_engine(location, poolclass=NullPool)
    return create_engine(location, pool_pre_ping=True, pool_size=idle)


def _sqlite(location: URL) -> Engine:
    if location.database:
        Path(location.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(location, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's own BEGIN below decides the kind of transaction
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("workbench_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


@contextmanager
def told(done: str) -> Iterator[None]:
    """What keeps a database from being read or written is told to the person who can mend it.

    Raises:
        BadInput: the file is damaged or locked, the disk is full, the server is away, and the like.
    """
    try:
        yield
    except DatabaseError as error:
        if type(error) not in (DatabaseError, OperationalError):  # a rule of the tables, which the caller has to keep
            raise
        raise BadInput(
            f"the control database cannot be {done}: {error.orig}",
            hint="Check WORKBENCH_DATABASE_URL, the file's permissions and the free disk space.",
        ) from error
