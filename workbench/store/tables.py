"""The control database's tables and the invariants that live in them: records and audit are append-only, a run ends once."""

from __future__ import annotations

from sqlalchemy import DDL, CheckConstraint, Column, ForeignKey, Index, Integer, MetaData, Table, Text, event

from workbench.records import KINDS

__all__ = ["audit", "metadata", "records", "runs"]

RUN_STATES = ("running", "succeeded", "failed")

metadata = MetaData()


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


records = Table(
    "records",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("parent", Text, ForeignKey("records.id")),
    Column("run", Text, ForeignKey("runs.id")),
    Column("actor", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("body", Text, nullable=False),
    _one_of("kind", tuple(KINDS)),
    CheckConstraint("(parent IS NULL) = (kind = 'dataset')", name="chain_starts_at_dataset"),
)
Index("records_by_parent", records.c.parent)
Index("records_by_run", records.c.run)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("flow", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("started", Text, nullable=False),
    Column("finished", Text),
    Column("host", Text, nullable=False),
    Column("process", Integer, nullable=False),
    Column("process_started", Text, nullable=False),
    Column("reason", Text),
    _one_of("state", RUN_STATES),
    CheckConstraint("(state = 'running') = (finished IS NULL)", name="finished_when_ended"),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
)


def _refuse(table: Table, verb: str, rule: str, when: str = "TRUE") -> None:
    """Lets the database itself refuse a statement that would break a rule."""
    name = f"{table.name}_{verb.lower()}_refused"
    sqlite = DDL(f"CREATE TRIGGER {name} BEFORE {verb} ON {table.name} WHEN {when} BEGIN SELECT RAISE(ABORT, '{rule}'); END")
    event.listen(table, "after_create", sqlite.execute_if(dialect="sqlite"))
    function = DDL(
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger AS 'BEGIN RAISE EXCEPTION ''{rule}''; END' LANGUAGE plpgsql"
    )
    trigger = DDL(f"CREATE TRIGGER {name} BEFORE {verb} ON {table.name} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {name}()")
    for statement in (function, trigger):
        event.listen(table, "after_create", statement.execute_if(dialect="postgresql"))


for verb in ("UPDATE", "DELETE"):
    _refuse(records, verb, "records is append-only")
    _refuse(audit, verb, "audit is append-only")
_refuse(runs, "DELETE", "runs are kept")
_refuse(runs, "UPDATE", "a run ends once", when="OLD.state <> 'running' AND NEW.state <> 'running'")
