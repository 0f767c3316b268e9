"""0002: governance. Pseudonyms, the audit as a hash chain, releases, approvals, users, grants and tokens. Run by Alembic.

What is there already is kept: actors get pseudonyms, and the audit's rows are chained in their order, numbered without gaps.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from workbench.store.chain import GENESIS, follow
from workbench.store.people import fresh_pseudonym
from workbench.store.refusals import drop, refusal

revision = "0002"
down_revision = "0001"

KINDS = (
    "'dataset', 'prepared', 'candidate', 'review', 'model', 'acceptance', "
    "'bento', 'approval', 'waiver', 'release', 'deployment', 'report'"
)
REFUSED_BEFORE = [(table, verb) for table in ("records", "audit", "runs") for verb in ("update", "delete")]
ARCHIVED = "OLD.stage = 'archived' AND NOT (NEW.stage = 'production' AND OLD.was_live = 1)"
REFUSED = [
    ("records", "UPDATE", "records is append-only", "TRUE"),
    ("audit", "UPDATE", "audit is append-only", "TRUE"),
    ("approvals", "UPDATE", "approvals are append-only", "TRUE"),
    ("records", "DELETE", "records is append-only", "TRUE"),
    ("audit", "DELETE", "audit is append-only", "TRUE"),
    ("approvals", "DELETE", "approvals are append-only", "TRUE"),
    ("people", "UPDATE", "a pseudonym keeps its person", "TRUE"),
    ("runs", "DELETE", "runs are kept", "TRUE"),
    ("runs", "UPDATE", "a run ends once", "OLD.state <> 'running' AND NEW.state <> 'running'"),
    ("releases", "DELETE", "releases are kept", "TRUE"),
    ("releases", "UPDATE", "an archived model comes back only if it was live", ARCHIVED),
    ("releases", "UPDATE", "that a model was live is not forgotten", "OLD.was_live = 1 AND NEW.was_live = 0"),
]


def upgrade() -> None:
    """Brings tables and rows of 0001 to what governance needs."""
    connection = op.get_bind()
    backend = connection.dialect.name
    for table, verb in REFUSED_BEFORE:
        _run(drop(backend, table, f"{table}_{verb}_refused"))
    people = op.create_table("people", _text("pseudonym", primary_key=True), _text("name", unique=True))
    _name_people(connection, people)
    _widen_kinds(backend)
    _chain_audit(connection)
    _add_releases()
    _add_users()
    for table, verb, rule, when in REFUSED:
        _run(refusal(backend, table, verb, rule, when=when))


def _run(statements: list[str]) -> None:
    for statement in statements:
        op.execute(statement)


def _text(
    name: str, *references: sa.ForeignKey, primary_key: bool = False, unique: bool | None = None, nullable: bool = False
) -> sa.Column[str]:
    return sa.Column(name, sa.Text, *references, primary_key=primary_key, unique=unique, nullable=nullable)


def _rows(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns))


def _name_people(connection: sa.Connection, people: sa.Table) -> None:
    """A pseudonym for everyone who has acted or owns a data set, in the place of the name."""
    records, runs = _rows("records", "sequence", "kind", "actor", "body"), _rows("runs", "actor")
    audit = _rows("audit", "actor")
    datasets = connection.execute(sa.select(records.c.sequence, records.c.body).where(records.c.kind == "dataset")).all()
    bodies = {row.sequence: json.loads(row.body) for row in datasets}
    names = {name for table in (records, runs, audit) for name in connection.execute(sa.select(table.c.actor)).scalars()}
    names |= {body["owner"] for body in bodies.values()}
    pseudonyms = {name: fresh_pseudonym() for name in sorted(names)}
    for name, pseudonym in pseudonyms.items():
        connection.execute(sa.insert(people).values(name=name, pseudonym=pseudonym))
        for table in (records, runs, audit):
            connection.execute(sa.update(table).where(table.c.actor == name).values(actor=pseudonym))
    for sequence, body in bodies.items():
        text = json.dumps({**body, "owner": pseudonyms[body["owner"]]}, allow_nan=False)
        connection.execute(sa.update(records).where(records.c.sequence == sequence).values(body=text))


def _widen_kinds(backend: str) -> None:
    """Lets `records` hold the kinds of governance; SQLite changes a check only by copying the table."""
    known = f"kind IN ({KINDS})"
    if backend != "sqlite":
        op.drop_constraint("kind_known", "records", type_="check")
        op.create_check_constraint("kind_known", "records", known)
        return
    records = sa.Table(
        "records",
        sa.MetaData(),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        _text("id", unique=True),
        _text("kind"),
        _text("parent", sa.ForeignKey("records.id"), nullable=True),
        _text("run", sa.ForeignKey("runs.id"), nullable=True),
        *(_text(name) for name in ("actor", "at", "zone", "revision", "body")),
        sa.CheckConstraint(known, name="kind_known"),
        sa.CheckConstraint("(parent IS NULL) = (kind = 'dataset')", name="chain_starts_at_dataset"),
    )
    sa.Index("records_by_parent", records.c.parent)
    sa.Index("records_by_run", records.c.run)
    with op.batch_alter_table("records", copy_from=records, recreate="always"):
        pass


def _chain_audit(connection: sa.Connection) -> None:
    """Numbers the rows without gaps and chains each to the one before."""
    added = ("detail", "previous", "hash")
    for name in added:
        op.add_column("audit", _text(name, nullable=True))
    audit = _rows("audit", "sequence", "at", "actor", "action", "subject", *added)
    last, previous = 0, GENESIS
    for row in connection.execute(sa.select(audit).order_by(audit.c.sequence)).all():
        entry = follow(last, previous, at=row.at, actor=row.actor, action=row.action, subject=row.subject, detail="{}")
        chained = {"sequence": entry.sequence, "detail": "{}", "previous": previous, "hash": entry.hash}
        connection.execute(sa.update(audit).where(audit.c.sequence == row.sequence).values(chained))
        last, previous = entry.sequence, entry.hash
    with op.batch_alter_table("audit") as batch:
        for name in added:
            batch.alter_column(name, existing_type=sa.Text(), nullable=False)
        for name in ("previous", "hash"):
            batch.create_unique_constraint(f"audit_{name}_key", [name])
    op.create_index("audit_by_subject", "audit", ["subject"])


def _add_releases() -> None:
    op.create_table(
        "releases",
        _text("model", sa.ForeignKey("records.id"), primary_key=True),
        *(_text(name) for name in ("service", "author", "stage", "bundle")),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("was_live", sa.Integer, nullable=False),
        sa.CheckConstraint("stage IN ('candidate', 'staging', 'production', 'archived')", name="stage_known"),
        sa.CheckConstraint("stage <> 'production' OR was_live = 1", name="live_was_live"),
    )
    live = sa.text("stage = 'production'")
    op.create_index("one_live_model", "releases", ["service"], unique=True, sqlite_where=live, postgresql_where=live)
    op.create_table(
        "approvals",
        _text("record", sa.ForeignKey("records.id"), primary_key=True),
        _text("model", sa.ForeignKey("records.id")),
        *(_text(name) for name in ("bundle", "policy", "approver")),
        _text("supersedes", sa.ForeignKey("approvals.record"), unique=True, nullable=True),
    )
    first, whose = sa.text("supersedes IS NULL"), ["model", "bundle", "policy", "approver"]
    op.create_index("one_decision_each", "approvals", whose, unique=True, sqlite_where=first, postgresql_where=first)


def _add_users() -> None:
    op.create_table(
        "users",
        _text("id", primary_key=True),
        _text("issuer"),
        _text("subject"),
        _text("name", unique=True),
        _text("password", nullable=True),
        sa.Column("active", sa.Integer, nullable=False),
        _text("created"),
        sa.UniqueConstraint("issuer", "subject", name="one_user_per_identity"),
    )
    op.create_table(
        "grants",
        _text("user", sa.ForeignKey("users.id"), primary_key=True),
        _text("role", primary_key=True),
        _text("project", primary_key=True),
    )
    op.create_table(
        "tokens",
        _text("id", primary_key=True),
        _text("user", sa.ForeignKey("users.id"), nullable=True),
        _text("kind"),
        _text("hash", unique=True),
        _text("scopes"),
        _text("run", nullable=True),
        _text("created"),
        _text("expires"),
        _text("revoked", nullable=True),
        sa.CheckConstraint("kind IN ('api', 'session', 'run', 'bootstrap')", name="kind_known"),
    )
