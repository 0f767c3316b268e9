"""0003: rollouts, each service's way from one live model to the next. Run by Alembic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from workbench.store.refusals import refusal

revision = "0003"
down_revision = "0002"

OTHER = "OLD.model <> NEW.model OR OLD.control <> NEW.control OR OLD.service <> NEW.service OR OLD.plan <> NEW.plan"
REFUSED = [
    ("DELETE", "rollouts are kept", "TRUE"),
    ("UPDATE", "a rollout ends once", "OLD.state NOT IN ('running', 'paused')"),
    ("UPDATE", "what a rollout compares stays", OTHER),
]


def upgrade() -> None:
    """Adds the table, with the rules that it keeps."""
    op.create_table(
        "rollouts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("service", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text, sa.ForeignKey("records.id"), nullable=False) for name in ("model", "control")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("strategy", "plan", "state")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("step", "weight")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("reason", "started", "changed")),
        sa.CheckConstraint("strategy IN ('blue-green', 'canary', 'ab', 'shadow')", name="strategy_known"),
        sa.CheckConstraint("state IN ('running', 'paused', 'promoted', 'rolled back')", name="state_known"),
        sa.CheckConstraint("weight BETWEEN 0 AND 100 AND step >= 0", name="weight_is_percent"),
        sa.CheckConstraint("model <> control", name="two_models"),
    )
    active = sa.text("state IN ('running', 'paused')")
    op.create_index("one_rollout", "rollouts", ["service"], unique=True, sqlite_where=active, postgresql_where=active)
    backend = op.get_bind().dialect.name
    for verb, rule, when in REFUSED:
        for statement in refusal(backend, "rollouts", verb, rule, when=when):
            op.execute(statement)
