"""Runs the revisions on the connection that it is handed, inside that connection's transaction. Called by Alembic."""

from __future__ import annotations

from alembic import context

from workbench.store import tables

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=tables.metadata, version_table=tables.version.name)
context.run_migrations()
