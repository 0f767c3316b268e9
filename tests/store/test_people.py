"""Names of people stand in one place, can be taken out of it for good, and the audit stays whole."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, text
from sqlalchemy.exc import DatabaseError

from workbench.errors import BadInput, NotFound
from workbench.store import Control, tables
from workbench.store.chain import GENESIS, digest_of
from workbench.store.people import pseudonym_of

CANARY = "Zenobia Quattrocchi"


def acts_of(control, dataset, follow):
    control.add(type(dataset)(**{**fields(dataset), "actor": CANARY, "owner": CANARY}))
    control.start_run(run="experiment-1", flow="experiment", actor=CANARY, process=os.getpid())
    control.add(follow(dataset.id, run="experiment-1", actor=CANARY))
    control.end_run("experiment-1", actor=CANARY)


def fields(record):
    return {name: getattr(record, name) for kind in type(record).__mro__ for name in getattr(kind, "__slots__", ())}


def test_a_name_is_shown_and_not_stored(control, dataset, follow, sql):
    acts_of(control, dataset, follow)
    assert {record.actor for record in control.all()} == {control.runs()[0].actor} == {CANARY}
    assert control.get(dataset.id).owner == CANARY
    assert control.find_run("experiment-1").actor == CANARY
    ((pseudonym, name),) = sql("SELECT pseudonym, name FROM people")
    assert name == CANARY
    assert pseudonym.startswith("person-")
    assert len(pseudonym) == len("person-") + 16
    for table in ("records", "runs", "audit"):
        assert CANARY not in str(sql(f"SELECT * FROM {table}"))  # noqa: S608 - our own names
        assert {row[0] for row in sql(f"SELECT actor FROM {table}")} == {pseudonym}  # noqa: S608


def test_everyone_has_one_pseudonym_and_it_says_nothing(control, dataset, follow, tmp_path):
    control.add(dataset)
    for actor in ("ann", "bob", "ann"):
        control.add(follow(dataset.id, actor=actor))
    assert sorted(control.people().values()) == ["ann", "bob"]
    with Control(f"sqlite:///{tmp_path / 'other.db'}") as other:
        other.add(dataset)
        assert not other.people().keys() & control.people().keys(), "it is not computed from the name"


def test_who_is_erased_is_shown_by_the_pseudonym_and_their_acts_stay(control, dataset, follow, audited):
    acts_of(control, dataset, follow)
    before = list(control.entries())
    pseudonym = control.erase(CANARY, actor="ann")
    assert {record.actor for record in control.all()} == {control.runs()[0].actor} == {pseudonym}
    assert control.get(dataset.id).owner == pseudonym
    entries = list(control.entries())
    assert entries[:-1] == before
    assert (entries[-1].action, entries[-1].subject) == ("erase person", pseudonym)
    assert control.people() == {entries[-1].actor: "ann"}
    previous = GENESIS
    for e in entries:
        previous = digest_of(e.sequence, e.at, e.actor, e.action, e.subject, e.detail, previous)
        assert e.hash == previous


def test_a_person_may_be_named_by_pseudonym_and_may_erase_themselves(control, dataset):
    control.add(dataset)
    (pseudonym,) = control.people()
    assert control.erase(pseudonym, actor="ann") == pseudonym
    assert control.people() == {}
    assert [entry.actor for entry in control.entries()] == [pseudonym] * 2


def test_who_comes_back_after_being_erased_is_somebody_new(control, dataset, follow):
    control.add(dataset)
    erased = control.erase("ann", actor="bob")
    control.add(follow(dataset.id, actor="ann"))
    assert erased not in control.people()
    assert sorted(control.people().values()) == ["ann", "bob"]


@pytest.mark.parametrize("person", ["nobody", "", "person-0000000000000000"])
def test_who_is_not_known_cannot_be_erased(control, dataset, audited, person):
    control.add(dataset)
    with pytest.raises(NotFound, match="nobody here is called") as caught:
        control.erase(person, actor="ann")
    assert "workbench audit list" in caught.value.hint
    assert audited() == 1


def test_a_user_who_is_erased_keeps_neither_identity_nor_password_nor_tokens(control, dataset, sql):
    control.add(dataset)
    with control.write(actor="ann", action="add users", subject="users") as connection:
        for number, name in enumerate(("ann", "bob")):
            user = {"id": f"u{number}", "issuer": "local", "subject": name, "name": name, "active": 1, "created": "t"}
            connection.execute(insert(tables.users).values(password="hash", **user))
            for state in ("open", "closed"):
                token = {
                    "id": f"{name}-{state}",
                    "user": f"u{number}",
                    "kind": "api",
                    "hash": f"{name}-{state}",
                    "scopes": "null",
                }
                token |= {"created": "t", "expires": "t", "revoked": "before" if state == "closed" else None}
                connection.execute(insert(tables.tokens).values(token))
    pseudonym = control.erase("ann", actor="bob")
    assert sql("SELECT id, issuer, subject, name, password, active FROM users ORDER BY id") == [
        ("u0", "erased", pseudonym, pseudonym, None, 0),
        ("u1", "local", "bob", "bob", "hash", 1),
    ]
    revoked = dict(sql("SELECT id, revoked FROM tokens"))
    assert revoked["ann-open"] > "2026"
    assert (revoked["ann-closed"], revoked["bob-open"], revoked["bob-closed"]) == ("before", None, "before")


def test_no_byte_of_an_erased_name_is_left_in_the_database_files(tmp_path, dataset, follow):
    with Control(f"sqlite:///{tmp_path / 'control.db'}") as control:
        acts_of(control, dataset, follow)
        for number in range(60):  # so that pages are split, and copies of the row lie in several
            control.add(follow(dataset.id, actor=f"somebody {number:03}" + "x" * 100))
        assert found(tmp_path)
        control.erase(CANARY, actor="ann")
        assert found(tmp_path) == [], "while the database is open"
    assert found(tmp_path) == []


def found(folder):
    return [path.name for path in folder.glob("control.db*") if CANARY.encode() in path.read_bytes()]


def test_no_byte_of_an_erased_name_is_left_in_the_tables_of_postgresql(postgres, dataset, follow):
    with Control(postgres) as control:
        acts_of(control, dataset, follow)
        control.erase(CANARY, actor="ann")
        kept = control.people()
    engine = create_engine(postgres)
    with engine.connect() as connection:
        connection.execute(text("CHECKPOINT"))
        data = Path(connection.execute(text("SHOW data_directory")).scalar())
    engine.dispose()
    if not os.access(data, os.R_OK):
        pytest.skip(f"the server's files cannot be read: {data}")
    pages = b"".join(path.read_bytes() for path in (data / "base").rglob("*") if path.is_file())
    assert next(iter(kept)).encode() in pages
    assert CANARY.encode() not in pages


def test_a_name_that_a_long_reader_keeps_in_the_log_is_said(tmp_path, dataset, follow, monkeypatch):
    monkeypatch.setattr("workbench.store.engine.PRAGMAS", ("journal_mode=WAL", "secure_delete=ON", "busy_timeout=100"))
    reader = sqlite3.connect(tmp_path / "control.db", isolation_level=None)
    with Control(f"sqlite:///{tmp_path / 'control.db'}") as control:
        acts_of(control, dataset, follow)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM people").fetchall()
        with pytest.raises(BadInput, match="the name is erased, but another program still reads an older state") as caught:
            control.erase(CANARY, actor="ann")
        assert "once the last program that has the database open has ended" in caught.value.hint
        assert CANARY not in control.people().values()
    reader.close()
    Control(f"sqlite:///{tmp_path / 'control.db'}").close()
    assert found(tmp_path) == []


def test_a_pseudonym_cannot_be_given_to_somebody_else(control, dataset, sql):
    control.add(dataset)
    with pytest.raises(DatabaseError, match="a pseudonym keeps its person"):
        sql("UPDATE people SET name = 'eve'")


def test_people_are_known_inside_the_act_that_makes_them(control):
    with control.write(actor="ann", action="look", subject="x") as connection:
        assert pseudonym_of(connection, "ann") == pseudonym_of(connection, "ann")
        made = pseudonym_of(connection, "bob")
    assert control.people()[made] == "bob"
    with pytest.raises(RuntimeError), control.write(actor="cem", action="look", subject="x") as connection:
        raise RuntimeError
    assert "cem" not in control.people().values(), "who did nothing is not written down"
