"""The control database's tables and the invariants that live in them.

Records, approvals and audit are append-only, a run ends once, a service has one live model and at most one rollout under way,
and an archived model comes back only if it was live before.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

from workbench.records import KINDS
from workbench.store.refusals import refusal

__all__ = [
    "approvals",
    "audit",
    "grants",
    "metadata",
    "people",
    "records",
    "releases",
    "rollouts",
    "runs",
    "tokens",
    "users",
    "version",
]

RUN_STATES = ("running", "succeeded", "failed")
STAGES = ("candidate", "staging", "production", "archived")
STRATEGIES = ("blue-green", "canary", "ab", "shadow")
ROLLOUT_STATES = ("running", "paused", "promoted", "rolled back")
TOKENS = ("api", "session", "run", "bootstrap")

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

people = Table(
    "people",
    metadata,
    Column("pseudonym", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)
"""Who is meant by an actor in the other tables. To erase a person is to delete this row: the audit stays whole."""

audit = Table(
    "audit",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", Text, nullable=False, unique=True),
    Column("hash", Text, nullable=False, unique=True),
)
"""A hash chain: `hash` covers the row and `previous`, which is the hash of the row before."""
Index("audit_by_subject", audit.c.subject)

releases = Table(
    "releases",
    metadata,
    Column("model", Text, ForeignKey("records.id"), primary_key=True),
    Column("service", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("was_live", Integer, nullable=False),
    _one_of("stage", STAGES),
    CheckConstraint("stage <> 'production' OR was_live = 1", name="live_was_live"),
)
"""Where each registered model stands now. `generation` is that of its service when the row last changed."""
Index(
    "one_live_model",
    releases.c.service,
    unique=True,
    sqlite_where=text("stage = 'production'"),
    postgresql_where=text("stage = 'production'"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("record", Text, ForeignKey("records.id"), primary_key=True),
    Column("model", Text, ForeignKey("records.id"), nullable=False),
    Column("bundle", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("approver", Text, nullable=False),
    Column("supersedes", Text, ForeignKey("approvals.record"), unique=True),
)
"""Which person has decided on which bytes under which policy: each once, and again only in the place of what has expired.

A first decision supersedes none, and no decision is superseded twice, so those of one person always have one last one.
"""
Index(
    "one_decision_each",
    *(approvals.c.model, approvals.c.bundle, approvals.c.policy, approvals.c.approver),
    unique=True,
    sqlite_where=text("supersedes IS NULL"),
    postgresql_where=text("supersedes IS NULL"),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("service", Text, nullable=False),
    Column("model", Text, ForeignKey("records.id"), nullable=False),
    Column("control", Text, ForeignKey("records.id"), nullable=False),
    Column("strategy", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("weight", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("started", Text, nullable=False),
    Column("changed", Text, nullable=False),
    _one_of("strategy", STRATEGIES),
    _one_of("state", ROLLOUT_STATES),
    CheckConstraint("weight BETWEEN 0 AND 100 AND step >= 0", name="weight_is_percent"),
    CheckConstraint("model <> control", name="two_models"),
)
"""How a model comes to take a service's traffic, compared with `control`, the live one. `plan` (JSON) is fixed at the start;
`weight` is the model's share of the traffic in percent, `changed` when `step` or `state` last changed, `reason` why."""
Index(
    "one_rollout",
    rollouts.c.service,
    unique=True,
    sqlite_where=text("state IN ('running', 'paused')"),
    postgresql_where=text("state IN ('running', 'paused')"),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("name", Text, nullable=False, unique=True),
    Column("password", Text),
    Column("active", Integer, nullable=False),
    Column("created", Text, nullable=False),
    UniqueConstraint("issuer", "subject", name="one_user_per_identity"),
)
"""Identity is (issuer, subject), never an address; `password` is an Argon2id hash, for local users only."""

grants = Table(
    "grants",
    metadata,
    Column("user", Text, ForeignKey("users.id"), primary_key=True),
    Column("role", Text, primary_key=True),
    Column("project", Text, primary_key=True),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user", Text, ForeignKey("users.id")),
    Column("kind", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("run", Text),
    Column("created", Text, nullable=False),
    Column("expires", Text, nullable=False),
    Column("revoked", Text),
    _one_of("kind", TOKENS),
)
"""Only hashes of tokens are kept; `scopes` is a JSON list of the permissions it is narrowed to, null for its owner's."""


version = Table("workbench_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""The migration that the tables are at; Alembic's own, therefore apart from `metadata`."""


def _refuse(table: Table, verb: str, rule: str, when: str = "TRUE") -> None:
    """Lets the database itself refuse a statement that would break a rule."""
    for backend in ("sqlite", "postgresql"):
        for statement in refusal(backend, table.name, verb, rule, when=when):
            event.listen(table, "after_create", DDL(statement).execute_if(dialect=backend))


for verb in ("UPDATE", "DELETE"):
    _refuse(records, verb, "records is append-only")
    _refuse(audit, verb, "audit is append-only")
    _refuse(approvals, verb, "approvals are append-only")
_refuse(people, "UPDATE", "a pseudonym keeps its person")
_refuse(runs, "DELETE", "runs are kept")
_refuse(runs, "UPDATE", "a run ends once", when="OLD.state <> 'running' AND NEW.state <> 'running'")
_refuse(releases, "DELETE", "releases are kept")
_refuse(
    releases,
    "UPDATE",
    "an archived model comes back only if it was live",
    when="OLD.stage = 'archived' AND NOT (NEW.stage = 'production' AND OLD.was_live = 1)",
)
_refuse(releases, "UPDATE", "that a model was live is not forgotten", when="OLD.was_live = 1 AND NEW.was_live = 0")
_refuse(rollouts, "DELETE", "rollouts are kept")
_refuse(rollouts, "UPDATE", "a rollout ends once", when="OLD.state NOT IN ('running', 'paused')")
_refuse(
    rollouts,
    "UPDATE",
    "what a rollout compares stays",
    when="OLD.model <> NEW.model OR OLD.control <> NEW.control OR OLD.service <> NEW.service OR OLD.plan <> NEW.plan",
)
