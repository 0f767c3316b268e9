"""An act and its entry in the audit are one: neither is there without the other, and each entry follows from the one before."""

from __future__ import annotations

import hashlib
import json

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from workbench.errors import BadInput
from workbench.store.chain import GENESIS, Entry, canonical, digest_of, follow

ACT = {"at": "2026-11-23", "actor": "person-1", "action": "approve", "subject": "model-1", "detail": '{"a":1}'}


def test_an_entry_carries_the_sha256_of_its_canonical_json_and_of_the_hash_before():
    first = follow(0, GENESIS, **ACT)
    written = '[1,"2026-11-23","person-1","approve","model-1","{\\"a\\":1}","' + "0" * 64 + '"]'
    assert first == Entry(sequence=1, **ACT, previous="0" * 64, hash=hashlib.sha256(written.encode()).hexdigest())
    second = follow(1, first.hash, **ACT)
    assert (second.sequence, second.previous) == (2, first.hash)
    assert second.hash != first.hash


@pytest.mark.parametrize("name", ["at", "actor", "action", "subject", "detail", "previous", "sequence"])
def test_every_field_is_in_the_hash(name):
    entry = {"sequence": 1, **ACT, "previous": GENESIS}
    other = {**entry, name: 2 if name == "sequence" else "other"}
    assert digest_of(**entry) != digest_of(**other)


def test_where_one_field_ends_and_the_next_begins_is_in_the_hash():
    moved = {**ACT, "actor": "person-1a", "action": "pprove"}
    assert digest_of(1, **moved, previous=GENESIS) != digest_of(1, **ACT, previous=GENESIS)


def test_a_detail_is_written_in_one_way():
    assert canonical({"b": [1.5, True, None], "a": {"é": "x"}}) == '{"a":{"\\u00e9":"x"},"b":[1.5,true,null]}'
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})
    assert canonical({}) == "{}"
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": float("inf")})


def test_acts_are_numbered_without_gaps_also_after_failures(control):
    for number in range(5):
        with control.write(actor="ann", action="look", subject=str(number), detail={"number": number}):
            pass
        with pytest.raises(RuntimeError), control.write(actor="ann", action="fail", subject="x"):
            raise RuntimeError
    entries = list(control.entries())
    assert [(entry.sequence, entry.subject, json.loads(entry.detail)["number"]) for entry in entries] == [
        (number + 1, str(number), number) for number in range(5)
    ]
    assert entries[0].previous == GENESIS
    assert [entry.previous for entry in entries[1:]] == [entry.hash for entry in entries[:-1]]
    assert control.newest_entries(2) == [entries[4], entries[3]]


def test_what_is_learned_during_an_act_may_be_told_in_its_detail(control):
    detail: dict[str, object] = {}
    with control.write(actor="ann", action="look", subject="x", detail=detail):
        detail["generation"] = 7
    assert control.newest_entries(1)[0].detail == '{"generation":7}'


def test_an_act_without_its_entry_in_the_audit_is_not_done(control, dataset, follow, sql, url):
    control.add(dataset)
    refuse = "CREATE TRIGGER no BEFORE INSERT ON audit WHEN TRUE BEGIN SELECT RAISE(ABORT, 'no audit today'); END"
    if url.startswith("postgresql"):
        sql("CREATE FUNCTION no() RETURNS trigger AS 'BEGIN RAISE EXCEPTION ''no audit today''; END' LANGUAGE plpgsql")
        refuse = "CREATE TRIGGER no BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION no()"
    sql(refuse)
    with pytest.raises((DatabaseError, BadInput), match="no audit today"):
        control.add(follow(dataset.id, actor="bob"))
    assert control.all() == [dataset]
    assert list(control.people().values()) == ["ann"]


def test_a_detail_that_json_cannot_hold_undoes_the_act(control, audited):
    statement = text("INSERT INTO people VALUES ('person-x', 'x')")
    with (
        pytest.raises(ValueError, match="JSON"),
        control.write(actor="ann", action="look", subject="x", detail={"a": float("nan")}) as connection,
    ):
        connection.execute(statement)
    assert audited() == 0
    assert control.people() == {}


def test_an_entry_that_would_fork_the_chain_is_refused_by_the_database(control, dataset, sql):
    control.add(dataset)
    twin = "INSERT INTO audit SELECT 2, at, actor, action, subject, detail, previous, 'other' FROM audit"
    with pytest.raises(DatabaseError, match=r"(?i)unique"):
        sql(twin)
