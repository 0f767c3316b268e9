"""The control database: records, runs and their audit, on SQLite or PostgreSQL, with one way to write.

Every write is one immediate transaction that holds the change and its audit row; SQLite runs in WAL mode with
`synchronous=FULL`, so that what was acknowledged survives a power cut (SQLite documentation, "PRAGMA synchronous").
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil
from sqlalchemy import Connection, Engine, Table, create_engine, event, func, insert, make_url, or_, select, text, update
from sqlalchemy.exc import DatabaseError, OperationalError

from workbench.errors import BadInput, NotFound, did_you_mean
from workbench.records import KINDS, Record, body_of, now
from workbench.settings import Layout
from workbench.store import tables

__all__ = ["Control", "Run", "open_control"]

BUSY_SECONDS = 30
CLOCK_SLACK = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a flow. `state` is running, succeeded, failed, or interrupted when its process is gone."""

    id: str
    flow: str
    state: str
    actor: str
    started: str
    finished: str | None
    reason: str | None


def _alive(process: int, process_started: str) -> bool:
    """Whether the process lives and is the one that was noted: numbers are used again.

    Linux counts starting times from a boot time that moves a little whenever the clock is set.
    """
    try:
        found = psutil.Process(process)
        moved: float = abs(found.create_time() - float(process_started))
        return moved < CLOCK_SLACK and bool(found.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _engine(url: str) -> Engine:
    location = make_url(url)
    if location.get_backend_name() != "sqlite":
        return create_engine(location, pool_pre_ping=True)
    if location.database:
        Path(location.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(location, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's own BEGIN below decides the kind of transaction
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_SECONDS * 1000}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("workbench_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


class Control:
    """Reads and writes the control database of one project or team."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        try:
            with self._writing() as connection:
                tables.metadata.create_all(connection)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction that no other writer overlaps, on either database: what it reads stays true until it commits."""
        try:
            with self._engine.connect() as connection:
                writer = connection.execution_options(workbench_write=True)
                with writer.begin():
                    if writer.dialect.name == "postgresql":
                        writer.execute(text("SELECT pg_advisory_xact_lock(20091)"))
                    yield writer
        except DatabaseError as error:
            if type(error) not in (DatabaseError, OperationalError):  # a rule of the tables, which the caller has to keep
                raise
            raise BadInput(
                f"the control database cannot be written: {error.orig}",
                hint="Check WORKBENCH_DATABASE_URL, the file's permissions and the free disk space.",
            ) from error

    @contextmanager
    def write(self, *, actor: str, action: str, subject: str) -> Iterator[Connection]:
        """The only way to change anything: one transaction with the change and its audit row, or neither.

        Raise `_Unchanged` inside to leave everything, the audit included, as it is.
        """
        with suppress(_Unchanged), self._writing() as connection:
            yield connection
            row = {"at": now(), "actor": actor, "action": action, "subject": subject}
            connection.execute(insert(tables.audit).values(row))

    def add(self, record: Record) -> None:
        """Appends a record. One whose id is already known is left as it is: ids are fresh, or derived from the content.

        Raises:
            NotFound: its parent or run is unknown.
        """
        body = {name: getattr(record, name) for name in body_of(type(record))}
        row = {name: getattr(record, name) for name in ("id", "parent", "run", "actor", "at", "zone", "revision")}
        row |= {"kind": record.kind, "body": json.dumps(msgspec.to_builtins(body), allow_nan=False)}
        with self.write(actor=record.actor, action=f"add {record.kind}", subject=record.id) as connection:
            if _has(connection, tables.records, record.id):
                raise _Unchanged
            for table, reference in ((tables.records, record.parent), (tables.runs, record.run)):
                if reference is not None and not _has(connection, table, reference):
                    raise NotFound(f"{record.id} names {reference!r}, which is unknown", hint="Record the parent first.")
            connection.execute(insert(tables.records).values(row))

    def find(self, record_id: str) -> Record | None:
        """The record with this id, or None."""
        with self._engine.connect() as connection:
            row = connection.execute(select(tables.records).where(tables.records.c.id == record_id)).first()
        return None if row is None else _record(row._mapping)

    def get(self, record_id: str) -> Record:
        """The record with this id.

        Raises:
            NotFound: there is none; the message names the closest id that exists.
        """
        found = self.find(record_id)
        if found is None:
            with self._engine.connect() as connection:
                known = connection.execute(select(tables.records.c.id)).scalars().all()
            raise NotFound(f"no record {record_id!r}", hint=did_you_mean(record_id, known))
        return found

    def all(self, *, kind: str | None = None, run: str | None = None, parent: str | None = None) -> list[Record]:
        """Records in the order they were added, filtered by kind, run or parent."""
        query = select(tables.records).order_by(tables.records.c.sequence)
        for column, value in ((tables.records.c.kind, kind), (tables.records.c.run, run), (tables.records.c.parent, parent)):
            if value is not None:
                query = query.where(column == value)
        with self._engine.connect() as connection:
            return [_record(row._mapping) for row in connection.execute(query)]

    def start_run(self, *, run: str, flow: str, actor: str, process: int) -> None:
        """Opens a run that belongs to a live process.

        Each step of the run says so, which changes nothing while it is open; a step that is tried again opens it again.
        """
        started = f"{psutil.Process(process).create_time():.2f}"
        opened = {"state": "running", "finished": None, "process": process, "process_started": started, "reason": None}
        with self.write(actor=actor, action="start run", subject=run) as connection:
            if _has(connection, tables.runs, run):
                columns = tables.runs.c
                differs = or_(columns.state != "running", columns.process != process, columns.process_started != started)
                if connection.execute(update(tables.runs).where(columns.id == run, differs).values(opened)).rowcount == 0:
                    raise _Unchanged
            else:
                row = {"id": run, "flow": flow, "actor": actor, "started": now(), **opened}
                connection.execute(insert(tables.runs).values(row))

    def end_run(self, run: str, *, actor: str, failure: str | None = None) -> None:
        """Closes a run as succeeded, or as failed with the reason; of several failures in parallel the first is kept.

        Raises:
            NotFound: no run has this id.
        """
        state = "succeeded" if failure is None else "failed"
        ended = {"state": state, "finished": now(), "reason": failure}
        columns = tables.runs.c
        with self.write(actor=actor, action=f"run {state}", subject=run) as connection:
            if not _has(connection, tables.runs, run):
                raise NotFound(f"no run {run!r}", hint="List them: workbench runs")
            still_open = update(tables.runs).where(columns.id == run, columns.state == "running")
            if connection.execute(still_open.values(ended)).rowcount == 0:
                raise _Unchanged

    def runs(self, *, flow: str | None = None, limit: int = 1000) -> list[Run]:
        """Runs, newest first. A run whose process is gone without an end is shown as interrupted."""
        query = select(tables.runs).order_by(tables.runs.c.started.desc()).limit(limit)
        if flow is not None:
            query = query.where(tables.runs.c.flow == flow)
        with self._engine.connect() as connection:
            return [_run(row._mapping) for row in connection.execute(query)]

    def audit_size(self) -> int:
        """How many audited changes there are."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(tables.audit)).scalar_one()


class _Unchanged(Exception):
    """Ends a transaction in which there turned out to be nothing to change."""


def _has(connection: Connection, table: Table, key: str) -> bool:
    return connection.execute(select(table.c.id).where(table.c.id == key)).first() is not None


def _record(row: Any) -> Record:
    common = {name: row[name] for name in ("id", "parent", "run", "actor", "at", "zone", "revision")}
    return msgspec.convert({**common, **json.loads(row["body"])}, type=KINDS[row["kind"]])


def _run(row: Any) -> Run:
    shown = {name: row[name] for name in ("id", "flow", "state", "actor", "started", "finished", "reason")}
    if row["state"] == "running" and not _alive(row["process"], row["process_started"]):
        shown |= {"state": "interrupted", "reason": "its process ended without saying how"}
    return Run(**shown)


def open_control(layout: Layout) -> Control:
    """The control database of a project, created on first use with permissions for its owner only."""
    if layout.database_url.startswith("sqlite"):
        layout.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Control(layout.database_url)
