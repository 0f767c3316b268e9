"""0001: records, runs and a list of who did what, as they were before there was governance. Run by Alembic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from workbench.store.refusals import refusal

revision = "0001"
down_revision = None

KINDS = "'dataset', 'prepared', 'candidate', 'review', 'model', 'acceptance', 'bento', 'deployment', 'report'"


def upgrade() -> None:
    """Makes the three tables, their indexes and their triggers."""
    op.create_table(
        "runs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("flow", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("finished", sa.Text),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("process", sa.Integer, nullable=False),
        sa.Column("process_started", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.CheckConstraint("state IN ('running', 'succeeded', 'failed')", name="state_known"),
        sa.CheckConstraint("(state = 'running') = (finished IS NULL)", name="finished_when_ended"),
    )
    op.create_table(
        "records",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("parent", sa.Text, sa.ForeignKey("records.id")),
        sa.Column("run", sa.Text, sa.ForeignKey("runs.id")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("actor", "at", "zone", "revision", "body")),
        sa.CheckConstraint(f"kind IN ({KINDS})", name="kind_known"),
        sa.CheckConstraint("(parent IS NULL) = (kind = 'dataset')", name="chain_starts_at_dataset"),
    )
    op.create_index("records_by_parent", "records", ["parent"])
    op.create_index("records_by_run", "records", ["run"])
    op.create_table(
        "audit",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("at", "actor", "action", "subject")),
    )
    ended_twice = "OLD.state <> 'running' AND NEW.state <> 'running'"
    for table, verb, rule, when in (
        ("records", "UPDATE", "records is append-only", "TRUE"),
        ("records", "DELETE", "records is append-only", "TRUE"),
        ("audit", "UPDATE", "audit is append-only", "TRUE"),
        ("audit", "DELETE", "audit is append-only", "TRUE"),
        ("runs", "DELETE", "runs are kept", "TRUE"),
        ("runs", "UPDATE", "a run ends once", ended_twice),
    ):
        name = f"{table}_{verb.lower()}_refused"
        for statement in refusal(op.get_bind().dialect.name, table, verb, rule, when=when, name=name):
            op.execute(statement)
