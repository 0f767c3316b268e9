"""The control database: records, runs and their audit, on SQLite or PostgreSQL, with one way to write.

Every write is one immediate transaction that holds the change and its audit row; SQLite runs in WAL mode with
`synchronous=FULL`, so that what was acknowledged survives a power cut (SQLite documentation, "PRAGMA synchronous").
"""

from __future__ import annotations

import difflib
import json
import socket
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

import msgspec
import psutil
from sqlalchemy import Connection, Table, and_, insert, or_, select, text, update

from workbench.errors import BadInput, NotFound
from workbench.records import KINDS, DatasetVersion, Record, body_of, now
from workbench.settings import Layout
from workbench.store import tables
from workbench.store.chain import GENESIS, Entry, canonical, follow
from workbench.store.engine import engine_of, told
from workbench.store.people import forget, names_in, pseudonym_of
from workbench.store.schema import is_current, make_current

__all__ = ["Control", "Run", "Unchanged", "append", "open_control"]

CLOCK_SLACK = 2.0
WITNESSED = 100
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

    def __init__(self, url: str, *, witness: Callable[[int, str], None] | None = None, idle: int = 5) -> None:
        """Opens the database, and makes or migrates its tables.

        Args:
            url: where it is.
            witness: is told sequence and hash of every hundredth entry of the audit, once it is committed.
            idle: how many connections to a PostgreSQL stay open for the next use.
        """
        self._engine, self._witness = engine_of(url, idle=idle), witness
        try:
            if not self._current():  # who only reads waits for no writer
                self._make_current()
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

    def _current(self) -> bool:
        with self._reading() as connection:
            return is_current(connection)

    def _make_current(self) -> None:
        """Makes or migrates the tables. SQLite copies some of them meanwhile, so its foreign keys are checked at the end."""
        with self._writing(foreign_keys=False) as connection:
            make_current(connection)
            if connection.dialect.name == "sqlite" and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                raise BadInput(
                    f"the control database cannot be migrated: {len(broken)} of its rows name a row that does not exist",
                    hint="Nothing was changed. Restore it from a backup.",
                )

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with told("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that only reads, for the tables that no method here asks for. To change something, use `write`."""
        with self._reading() as connection:
            yield connection

    @contextmanager
    def _writing(self, *, foreign_keys: bool = True) -> Iterator[Connection]:
        """A transaction that no other writer overlaps, on either database: what it reads stays true until it commits."""
        with told("written"), self._engine.connect() as connection:
            writer = connection.execution_options(workbench_write=True)
            if not foreign_keys and writer.dialect.name == "sqlite":  # only outside of a transaction; for this connection alone
                writer.connection.cursor().execute("PRAGMA foreign_keys=OFF")
                writer.detach()
            with writer.begin():
                if writer.dialect.name == "postgresql":
                    writer.execute(text("SELECT pg_advisory_xact_lock(20091)"))
                yield writer

    @contextmanager
    def write(self, *, actor: str, action: str, subject: str, detail: Mapping[str, Any] | None = None) -> Iterator[Connection]:
        """The only way to change anything: one transaction with the change and its entry in the audit, or neither.

        Raise `Unchanged` inside to leave everything, the audit included, as it is. `detail` is read after the block. What the
        block stores about people, it stores by `pseudonym_of(connection, name)`.
        """
        with suppress(Unchanged):
            with self._writing() as connection:
                person = pseudonym_of(connection, actor)
                yield connection
                columns = tables.audit.c
                newest = select(columns.sequence, columns.hash).order_by(columns.sequence.desc()).limit(1)
                last, previous = connection.execute(newest).first() or (0, GENESIS)
                act = {"at": now(), "actor": person, "action": action, "subject": subject, "detail": canonical(detail or {})}
                entry = follow(last, previous, **act)
                connection.execute(insert(tables.audit).values(asdict(entry)))
            if self._witness is not None and entry.sequence % WITNESSED == 0:
                self._witness(entry.sequence, entry.hash)

    def entries(self, *, after: int = 0, subjects: Collection[str] | None = None) -> Generator[Entry]:
        """The audit, oldest first, exactly as it is stored: people by their pseudonyms, details as text.

        Close it if you leave it before its end: it holds a connection.

        Args:
            after: the sequence of the last entry that is not wanted.
            subjects: only entries about these; all by default.
        """
        columns = tables.audit.c
        query = select(tables.audit).where(columns.sequence > after).order_by(columns.sequence)
        if subjects is not None:
            query = query.where(columns.subject.in_(subjects))
        query = query.execution_options(yield_per=1000)
        with self._reading() as connection, connection.execute(query) as rows:
            for row in rows:
                yield Entry(**row._mapping)

    def newest_entries(self, limit: int, **of: str) -> list[Entry]:
        """The last entries of the audit, newest first; `of` names columns and what they hold."""
        query = select(tables.audit).filter_by(**of).order_by(tables.audit.c.sequence.desc()).limit(limit)
        with self._reading() as connection:
            return [Entry(**row._mapping) for row in connection.execute(query)]

    def people(self) -> dict[str, str]:
        """The name behind each pseudonym; who was erased is not among them."""
        with self._reading() as connection:
            return names_in(connection)

    def erase(self, person: str, *, actor: str) -> str:
        """Forgets who stands behind a pseudonym. Their acts stay, and the audit stays whole.

        The name is overwritten in the database's own files: on SQLite by `secure_delete` and a checkpoint that empties the log
        (SQLite, "Write-Ahead Logging"), on PostgreSQL by VACUUM FULL. Backups, archived logs
        and replicas keep it until they expire.

        Args:
            person: a name or a pseudonym.
            actor: who erases.

        Returns:
            The pseudonym.

        Raises:
            NotFound: nobody has this name or pseudonym.
            BadInput: the name is erased, but a reader of long standing keeps a copy in SQLite's log.
        """
        found = [pseudonym for pseudonym, name in self.people().items() if person in (pseudonym, name)]
        if not found:
            hint = "See who has acted: workbench audit list. Who was erased has no name."
            raise NotFound(f"nobody here is called {person!r}", hint=hint)
        (pseudonym,) = found
        with self.write(actor=actor, action="erase person", subject=pseudonym) as connection:
            forget(connection, pseudonym)
        self._scrub()
        return pseudonym

    def _scrub(self) -> None:
        """Leaves nothing of deleted rows in the database's files."""
        with told("written"), self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                outside = connection.execution_options(isolation_level="AUTOCOMMIT")
                outside.execute(text("VACUUM FULL people, users"))
            elif connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                raise BadInput(
                    "the name is erased, but another program still reads an older state, which keeps it in the database's log",
                    hint="It is gone once the last program that has the database open has ended: stop them, then any command.",
                )

    def add(self, record: Record) -> None:
        """Appends a record. One whose id is already known is left as it is: ids are fresh, or derived from the content.

        Raises:
            NotFound: its parent or run is unknown.
        """
        with self.write(actor=record.actor, action=f"add {record.kind}", subject=record.id) as connection:
            if _has(connection, tables.records, record.id):
                raise Unchanged
            append(connection, record)

    def find(self, record_id: str) -> Record | None:
        """The record with this id, or None."""
        with self._reading() as connection:
            row = connection.execute(select(tables.records).where(tables.records.c.id == record_id)).first()
            return None if row is None else _record(row._mapping, names_in(connection))

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
            names = names_in(connection)
            return [_record(row._mapping, names) for row in connection.execute(query)]

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
                row = {"id": run, "flow": flow, "actor": pseudonym_of(connection, actor), "started": now(), **opened}
                connection.execute(insert(tables.runs).values(row))
                return
            columns = tables.runs.c
            moved = or_(columns.host != host, columns.process != process, columns.process_started != started)
            openable = and_(columns.state == "running", moved)
            if again:
                openable = or_(openable, columns.state == "failed")
            if connection.execute(update(tables.runs).where(columns.id == run, openable).values(opened)).rowcount == 0:
                raise Unchanged

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
                raise Unchanged

    def runs(self, *, flow: str | None = None, limit: int = 1000) -> list[Run]:
        """Runs, newest first. A run whose process is gone without an end is shown as interrupted."""
        query = select(tables.runs).order_by(tables.runs.c.started.desc()).limit(limit)
        if flow is not None:
            query = query.where(tables.runs.c.flow == flow)
        with self._reading() as connection:
            names = names_in(connection)
            return [_run(row._mapping, names) for row in connection.execute(query)]

    def find_run(self, run: str) -> Run | None:
        """The run with this id, or None."""
        with self._reading() as connection:
            row = connection.execute(select(tables.runs).where(tables.runs.c.id == run)).first()
            return None if row is None else _run(row._mapping, names_in(connection))


def append(connection: Connection, record: Record) -> None:
    """Appends a record as part of a larger act. Call it inside `Control.write`.

    Raises:
        NotFound: its parent or run is unknown.
    """
    for table, reference in ((tables.records, record.parent), (tables.runs, record.run)):
        if reference is not None and not _has(connection, table, reference):
            raise NotFound(f"{record.id} names {reference!r}, which is unknown", hint="Record the parent first.")
    body = {name: getattr(record, name) for name in body_of(type(record))}
    if isinstance(record, DatasetVersion):
        body["owner"] = pseudonym_of(connection, record.owner)
    row = {name: getattr(record, name) for name in ("id", "parent", "run", "at", "zone", "revision")}
    row |= {"kind": record.kind, "body": json.dumps(msgspec.to_builtins(body), allow_nan=False)}
    row["actor"] = pseudonym_of(connection, record.actor)
    connection.execute(insert(tables.records).values(row))


class Unchanged(Exception):
    """Ends a transaction in which there turned out to be nothing to change."""


def _has(connection: Connection, table: Table, key: str) -> bool:
    return connection.execute(select(table.c.id).where(table.c.id == key)).first() is not None


def _record(row: Any, names: Mapping[str, str]) -> Record:
    common = {name: row[name] for name in ("id", "parent", "run", "actor", "at", "zone", "revision")}
    fields = {**common, **json.loads(row["body"])}
    fields |= {field: names.get(fields[field], fields[field]) for field in ("actor", "owner") if field in fields}
    return msgspec.convert(fields, type=KINDS[row["kind"]])


def _run(row: Any, names: Mapping[str, str]) -> Run:
    shown = {name: row[name] for name in ("id", "flow", "state", "actor", "started", "finished", "reason")}
    shown["actor"] = names.get(row["actor"], row["actor"])
    here = row["host"] == socket.gethostname()
    if here and row["state"] == "running" and not _alive(row["process"], row["process_started"]):
        shown |= {"state": "interrupted", "reason": "its process ended without saying how"}
    return Run(**shown)


def open_control(layout: Layout, *, witness: Callable[[int, str], None] | None = None) -> Control:
    """The control database of a project, created on first use with permissions for its owner only."""
    layout.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Control(layout.database_url, witness=witness)
