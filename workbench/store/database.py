"""The control database: records, runs and their audit, on SQLite or PostgreSQL, with one way to write.

Every write is one immediate transaction that holds the change and its audit row; SQLite runs in WAL mode with
`synchronous=FULL`, so that what was acknowledged survives a power cut (SQLite documentation, "PRAGMA synchronous").
"""

from __future__ import annotations

import difflib
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import msgspec
import psutil
from sqlalchemy import Connection, Table, and_, insert, inspect, or_, select, text, update

from workbench.errors import BadInput, NotFound
from workbench.records import KINDS, Record, body_of, now
from workbench.settings import Layout
from workbench.store import tables
from workbench.store.engine import engine_of, told

__all__ = ["Control", "Run", "open_control"]

CLOCK_SLACK = 2.0
ADOPTIVE_PARENT = 1
"""The process that a step's parent becomes when its launcher was killed: it lives for ever, and says nothing of the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a flow. `state` is running, succeeded, failed, or interrupted when its process is gone.

    Only the host that runs it can tell that the process is gone; elsewhere the run is shown as running.
    """

    id: str
    flow: str
    state: str
    actor: str
    started: str
    finished: str | None
    reason: str | None


def _started(process: int) -> str:
    """When a process started, as noted with its run; one that is gone by now never matches."""
    try:
        return f"{psutil.Process(process).create_time():.2f}"
    except psutil.Error:
        return "0.00"


def _alive(process: int, process_started: str) -> bool:
    """Whether the process lives and is the one that was noted: numbers are used again.

    Linux counts starting times from a boot time that moves a little whenever the clock is set.
    """
    if process == ADOPTIVE_PARENT:
        return False
    try:
        found = psutil.Process(process)
        moved: float = abs(found.create_time() - float(process_started))
        return moved < CLOCK_SLACK and bool(found.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


class Control:
    """Reads and writes the control database of one project or team."""

    def __init__(self, url: str) -> None:
        self._engine = engine_of(url)
        try:
            if not self._made():  # who only reads waits for no writer
                with self._writing() as connection:
                    tables.metadata.create_all(connection)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    def _made(self) -> bool:
        """Whether every table is there, with every column."""
        ours = tables.metadata.tables
        with self._reading() as connection:
            found = inspect(connection).get_multi_columns(filter_names=list(ours))
        there = {name: {column["name"] for column in columns} for (_, name), columns in found.items()}
        for name, columns in there.items():
            if absent := sorted(set(ours[name].columns.keys()) - columns):
                raise BadInput(
                    f"the control database is not of this version of the workbench: {name} has no column {', '.join(absent)}",
                    hint="Use the version that made it, or make the project anew: workbench init",
                )
        return there.keys() == ours.keys()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with told("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction that no other writer overlaps, on either database: what it reads stays true until it commits."""
        with told("written"), self._engine.connect() as connection:
            writer = connection.execution_options(workbench_write=True)
            with writer.begin():
                if writer.dialect.name == "postgresql":
                    writer.execute(text("SELECT pg_advisory_xact_lock(20091)"))
                yield writer

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
        with self._reading() as connection:
            row = connection.execute(select(tables.records).where(tables.records.c.id == record_id)).first()
        return None if row is None else _record(row._mapping)

    def get(self, record_id: str) -> Record:
        """The record with this id.

        Raises:
            NotFound: there is none; the message names the closest id that exists.
        """
        found = self.find(record_id)
        if found is None:
            with self._reading() as connection:
                known = connection.execute(select(tables.records.c.id)).scalars().all()
            close = difflib.get_close_matches(record_id, known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "See what exists: workbench runs, workbench models"
            raise NotFound(f"no record {record_id!r}", hint=hint)
        return found

    def all(self, *, kind: str | None = None, run: str | None = None, parent: str | None = None) -> list[Record]:
        """Records in the order they were added, filtered by kind, run or parent."""
        query = select(tables.records).order_by(tables.records.c.sequence)
        for column, value in ((tables.records.c.kind, kind), (tables.records.c.run, run), (tables.records.c.parent, parent)):
            if value is not None:
                query = query.where(column == value)
        with self._reading() as connection:
            return [_record(row._mapping) for row in connection.execute(query)]

    def start_run(self, *, run: str, flow: str, actor: str, process: int, again: bool = False) -> None:
        """Opens a run that belongs to a process of this host.

        Each step of the run says so, which changes nothing while it is open, and nothing after its end either: steps that
        run in parallel outlive the failure of another. Only a step that is tried `again` opens a failed run again.
        """
        started, host = _started(process), socket.gethostname()
        place = {"host": host, "process": process, "process_started": started}
        opened = {"state": "running", "finished": None, "reason": None, **place}
        with self.write(actor=actor, action="start run", subject=run) as connection:
            if not _has(connection, tables.runs, run):
                row = {"id": run, "flow": flow, "actor": actor, "started": now(), **opened}
                connection.execute(insert(tables.runs).values(row))
                return
            columns = tables.runs.c
            moved = or_(columns.host != host, columns.process != process, columns.process_started != started)
            openable = and_(columns.state == "running", moved)
            if again:
                openable = or_(openable, columns.state == "failed")
            if connection.execute(update(tables.runs).where(columns.id == run, openable).values(opened)).rowcount == 0:
                raise _Unchanged

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
        with self._reading() as connection:
            return [_run(row._mapping) for row in connection.execute(query)]

    def find_run(self, run: str) -> Run | None:
        """The run with this id, or None."""
        with self._reading() as connection:
            row = connection.execute(select(tables.runs).where(tables.runs.c.id == run)).first()
        return None if row is None else _run(row._mapping)


class _Unchanged(Exception):
    """Ends a transaction in which there turned out to be nothing to change."""


def _has(connection: Connection, table: Table, key: str) -> bool:
    return connection.execute(select(table.c.id).where(table.c.id == key)).first() is not None


def _record(row: Any) -> Record:
    common = {name: row[name] for name in ("id", "parent", "run", "actor", "at", "zone", "revision")}
    return msgspec.convert({**common, **json.loads(row["body"])}, type=KINDS[row["kind"]])


def _run(row: Any) -> Run:
    shown = {name: row[name] for name in ("id", "flow", "state", "actor", "started", "finished", "reason")}
    here = row["host"] == socket.gethostname()
    if here and row["state"] == "running" and not _alive(row["process"], row["process_started"]):
        shown |= {"state": "interrupted", "reason": "its process ended without saying how"}
    return Run(**shown)


def open_control(layout: Layout) -> Control:
    """The control database of a project, created on first use with permissions for its owner only."""
    layout.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Control(layout.database_url)
