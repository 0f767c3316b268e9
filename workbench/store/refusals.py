"""Triggers that let the database itself refuse what would break a rule. Used by tables and migrations."""

from __future__ import annotations

import re

__all__ = ["drop", "name_of", "refusal"]


def name_of(verb: str, rule: str) -> str:
    """What the trigger of a rule is called, and on PostgreSQL its function."""
    return f"{re.sub(r'[^a-z]+', '_', rule)}_{verb.lower()}"


def refusal(backend: str, table: str, verb: str, rule: str, *, when: str = "TRUE", name: str = "") -> list[str]:
    """The statements that make `verb` on a row of `table` fail with the words of `rule`, where `when` holds."""
    name = name or name_of(verb, rule)
    if backend == "sqlite":
        return [f"CREATE TRIGGER {name} BEFORE {verb} ON {table} WHEN {when} BEGIN SELECT RAISE(ABORT, '{rule}'); END"]
    return [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger AS 'BEGIN RAISE EXCEPTION ''{rule}''; END' LANGUAGE plpgsql",
        f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {name}()",
    ]


def drop(backend: str, table: str, name: str) -> list[str]:
    """The statements that take a refusal back."""
    if backend == "sqlite":
        return [f"DROP TRIGGER {name}"]
    return [f"DROP TRIGGER {name} ON {table}", f"DROP FUNCTION {name}()"]
