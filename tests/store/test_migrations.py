"""A control database by an earlier version is brought to this one on opening: nothing is lost, and it equals a new one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import DatabaseError, IntegrityError

import workbench.store
from workbench.errors import BadInput
from workbench.records import Approval
from workbench.store import Control, schema, tables
from workbench.store.chain import GENESIS, digest_of

HERE = Path(__file__).parent
MIGRATIONS = Path(workbench.store.__file__).with_name("migrations")


@pytest.fixture
def old(url: str) -> str:
    """The URL of a database as the workbench left it before it kept governance, with two records, two runs and six acts."""
    engine = create_engine(url)
    script = (HERE / f"version_0001_{engine.dialect.name}.sql").read_text(encoding="utf-8")
    with engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        driver.executescript(script) if engine.dialect.name == "sqlite" else driver.execute(script)
    engine.dispose()
    return url


def where(index: Any) -> str:
    return " ".join(str(value) for value in index.get("dialect_options", {}).values())


def described(url: str) -> dict[str, Any]:
    """All that a database says of its tables, with whatever name it gave to what we did not name."""
    engine = create_engine(url)
    found: dict[str, Any] = {}
    with engine.connect() as connection:
        asked = inspect(connection)
        for table in sorted(asked.get_table_names()):
            found[table] = {
                "columns": [{**column, "type": str(column["type"])} for column in asked.get_columns(table)],
                "key": asked.get_pk_constraint(table)["constrained_columns"],
                "references": sorted(
                    (tuple(key["constrained_columns"]), key["referred_table"]) for key in asked.get_foreign_keys(table)
                ),
                "unique": sorted(tuple(unique["column_names"]) for unique in asked.get_unique_constraints(table)),
                "checks": sorted((check["name"], check["sqltext"]) for check in asked.get_check_constraints(table)),
                "indexes": sorted(
                    (index["name"], tuple(index["column_names"]), index["unique"], where(index))
                    for index in asked.get_indexes(table)
                ),
            }
        triggers = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        if engine.dialect.name == "postgresql":
            triggers = (
                "SELECT tgname, replace(pg_get_triggerdef(t.oid), current_schema() || '.', ''), prosrc "
                "FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid JOIN pg_proc p ON p.oid = tgfoid "
                "WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace"
            )
        found["triggers"] = sorted(tuple(row) for row in connection.execute(text(triggers)))
    engine.dispose()
    return found


def test_a_migrated_database_has_the_tables_of_a_new_one(old, sql):
    Control(old).close()
    engine = create_engine(old)
    with engine.connect() as connection:
        options = {"version_table": tables.version.name, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata) == []
    engine.dispose()
    migrated = described(old)
    for statement in emptied(migrated, engine.dialect.name):
        sql(statement)
    Control(old).close()
    assert migrated == described(old)
    assert len(migrated["triggers"]) == 15


def emptied(database: dict[str, Any], backend: str) -> list[str]:
    """What takes all of it away."""
    names = [name for name in database if name != "triggers"]
    if backend == "sqlite":
        return ["PRAGMA foreign_keys=OFF", *(f"DROP TABLE {name}" for name in names)]
    return [f"DROP TABLE IF EXISTS {name} CASCADE" for name in names]


def test_a_database_of_the_version_before_gets_what_is_new_and_keeps_the_rest(old, sql):
    Control(old).close()
    current, people = described(old), sql("SELECT pseudonym, name FROM people")
    sql("DROP TABLE rollouts")
    sql("UPDATE workbench_version SET version_num = '0002'")
    Control(old).close()
    assert described(old) == current
    assert sql("SELECT pseudonym, name FROM people") == people


def test_what_was_in_an_older_database_is_kept(old):
    with Control(old) as control:
        dataset, acceptance = control.all()
        assert (dataset.actor, dataset.owner, dataset.at) == ("ann", "Department É", "2026-11-01T10:00:00.000000+00:00")
        assert (acceptance.id, acceptance.parent, acceptance.run) == ("acceptance-1", "dataset-1", "experiment-1")
        assert acceptance.reason == "it's fine; 100 %"
        assert [(run.id, run.state, run.actor) for run in control.runs()] == [
            ("experiment-2", "running", "bob"),
            ("experiment-1", "failed", "bob"),
        ]


def test_the_acts_in_an_older_database_are_chained_in_their_order_and_numbered_without_gaps(old, sql):
    with Control(old) as control:
        entries, people = list(control.entries()), control.people()
    assert [(entry.sequence, people[entry.actor], entry.action, entry.subject) for entry in entries] == [
        (1, "ann", "add dataset", "dataset-1"),
        (2, "bob", "start run", "experiment-1"),
        (3, "ann", "add acceptance", "acceptance-1"),
        (4, "eve", "x", "y"),
        (5, "bob", "run failed", "experiment-1"),
        (6, "bob", "start run", "experiment-2"),
    ]
    previous = GENESIS
    for entry in entries:
        assert entry.previous == previous
        previous = digest_of(entry.sequence, entry.at, entry.actor, entry.action, entry.subject, entry.detail, previous)
        assert entry.hash == previous
    for table in ("records", "runs", "audit"):
        assert all(actor.startswith("person-") for (actor,) in sql(f"SELECT actor FROM {table}"))  # noqa: S608 - our own names


def test_a_migrated_database_takes_what_governance_records(old, follow, sql):
    with Control(old) as control:
        control.add(follow("dataset-1"))
        control.add(
            Approval(
                id="approval-1",
                parent="acceptance-1",
                actor="cem",
                zone="local",
                revision="r1",
                model="m",
                bundle="b",
                policy="p",
                decision="approve",
                role="approver",
                comment="",
                expires="2027-01-01",
            )
        )
        assert control.newest_entries(1)[0].sequence == 8
    with pytest.raises(DatabaseError, match="audit is append-only"):
        sql("DELETE FROM audit")
    with pytest.raises(DatabaseError, match="append-only"):
        sql("UPDATE records SET zone = 'x'")
    orphan = (
        "INSERT INTO records (id, kind, parent, actor, at, zone, revision, body) "
        "VALUES ('x', 'bento', 'gone', 'a', 'now', 'z', 'r', '{}')"
    )
    with (
        pytest.raises(IntegrityError, match=r"(?i)foreign key"),
        Control(old) as control,
        control.write(actor="a", action="b", subject="c") as writer,
    ):
        writer.execute(text(orphan))


def test_processes_that_open_an_older_database_at_once_migrate_it_once(old, child, sql):
    assert [process.wait() for process in [child("open", old) for _ in range(4)]] == [0] * 4
    assert sql("SELECT version_num FROM workbench_version") == [(schema.VERSION,)]
    assert sql("SELECT count(*), max(sequence) FROM audit") == [(6, 6)]


def test_a_migration_that_fails_leaves_the_older_database_as_it_was(old, sql):
    sql("CREATE TABLE approvals (mine TEXT)")
    before = described(old)
    with pytest.raises(Exception, match="approvals"):
        Control(old)
    assert described(old) == before
    assert sql("SELECT actor FROM audit WHERE sequence = 1") == [("ann",)]


def test_a_database_of_a_later_version_is_refused_and_left_as_it_is(url, control, sql):
    sql("UPDATE workbench_version SET version_num = '9999'")
    with pytest.raises(BadInput, match=r"version 9999, and this workbench knows versions up to \d{4}") as caught:
        Control(url)
    assert "Update the workbench" in caught.value.hint
    assert sql("SELECT version_num FROM workbench_version") == [("9999",)]


def test_the_code_knows_every_revision_and_which_is_the_latest():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == schema.VERSION
    assert sorted(revision.revision for revision in script.walk_revisions()) == sorted(schema.KNOWN)


def test_rows_that_name_a_missing_row_are_not_migrated(tmp_path):
    file = tmp_path / "control.db"
    database = sqlite3.connect(file)
    database.executescript((HERE / "version_0001_sqlite.sql").read_text(encoding="utf-8"))
    database.execute("INSERT INTO records VALUES (9, 'x', 'acceptance', 'gone', NULL, 'a', 't', 'z', 'r', '{}')")
    database.commit()
    database.close()
    with pytest.raises(BadInput, match="1 of its rows name a row that does not exist"):
        Control(f"sqlite:///{file}")


@pytest.mark.parametrize("made", [False, True], ids=["a new database", "one of this version"])
def test_opening_loads_the_migrations_only_when_something_is_to_be_migrated(tmp_path, made):
    url = f"sqlite:///{tmp_path / 'control.db'}"
    if made:
        Control(url).close()
    check = f"import sys; from workbench.store import Control; Control({url!r}).close(); print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
