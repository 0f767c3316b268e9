"""Whether an audit is whole is judged by itself and by its signed heads, and the first bad entry is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import create_engine, text

from tests.governance.chains import COLUMNS, KEY, act, chain, heads_of
from workbench.errors import Tampered
from workbench.governance.audit import Verification, export_head, verify, verify_project
from workbench.governance.heads import Head, read_heads, sign_head
from workbench.governance.keys import PUBLIC
from workbench.settings import Layout
from workbench.store import open_control
from workbench.store.chain import Entry, canonical, digest_of, follow


def judged(entries: list[Entry], heads: list[Head]) -> Verification:
    return verify(entries, heads, KEY.public_key())


def test_a_whole_audit_is_ok_as_far_as_it_was_signed():
    entries = chain(10)
    assert judged(entries, heads_of(entries, 8, 4)) == Verification(
        state="ok", reason="all entries follow, signed up to entry 8", entries=10, signed=8
    )


def test_an_audit_that_nobody_signed_cannot_be_verified():
    found = judged(chain(3), [])
    assert (found.state, found.entries, found.signed, found.first) == ("unverifiable", 3, 0, None)
    assert found.reason == (
        "the chain is whole in itself, but no signed head says that it was not rewritten: workbench audit export"
    )


def test_heads_that_somebody_else_signed_prove_nothing():
    entries = chain(5)
    other = sign_head(Ed25519PrivateKey.generate(), 3, entries[2].hash)
    found = judged(entries, [*heads_of(entries, 5), other])
    assert (found.state, found.entries, found.signed) == ("unverifiable", 5, 5)
    assert found.reason == "the head of entry 3 is not signed by this key"


def tampered(found: Verification, first: int, reason: str) -> None:
    assert (found.state, found.first) == ("tampered", first)
    assert found.reason == reason


def test_a_changed_entry_is_named():
    entries = chain(6)
    entries[3] = replace(entries[3], subject="model-9")
    found = judged(entries, heads_of(chain(6), 2, 6))
    tampered(found, 4, "entry 4 was changed: its content does not have its hash")
    assert (found.entries, found.signed) == (4, 2)


def test_an_entry_that_was_hashed_anew_does_not_fit_the_next():
    entries = chain(6)
    entries[3] = follow(3, entries[2].hash, **{**act_of(entries[3]), "subject": "model-9"})
    tampered(judged(entries, []), 5, "entry 5 does not follow from the one before")


def act_of(entry: Entry) -> dict[str, str]:
    return {name: getattr(entry, name) for name in ("at", "actor", "action", "subject", "detail")}


def test_a_missing_entry_is_named():
    entries = chain(6)
    tampered(judged([*entries[:2], *entries[3:]], []), 3, "entry 3 is missing: entry 4 stands in its place")


def test_entries_in_another_order_are_named():
    entries = chain(6)
    entries[1], entries[2] = entries[2], entries[1]
    tampered(judged(entries, []), 2, "entry 2 is missing: entry 3 stands in its place")


def test_a_tail_that_was_cut_off_is_named():
    entries = chain(6)
    found = judged(entries[:3], heads_of(entries, 2, 5))
    tampered(found, 4, "entries 4 to 5 are missing: the head of the last was signed")
    assert (found.entries, found.signed) == (3, 2)


def test_an_audit_that_was_emptied_is_named():
    tampered(judged([], heads_of(chain(2), 2)), 1, "entries 1 to 2 are missing: the head of the last was signed")


def test_an_audit_that_was_rewritten_with_all_its_hashes_is_named():
    entries = chain(6)
    found = judged([*entries[:3], *rewritten(entries[3:], entries[2])], heads_of(entries, 2, 5))
    reason = "entry 5 is not the one whose head was signed: entries 3 to 5 were rewritten, or some of them"
    tampered(found, 5, reason)


def rewritten(entries: list[Entry], last: Entry) -> list[Entry]:
    made = [last]
    for entry in entries:
        made.append(follow(made[-1].sequence, made[-1].hash, **{**act_of(entry), "actor": "person-2"}))
    return made[1:]


def test_heads_that_contradict_each_other_are_named():
    entries, other = chain(4), chain(4, subject="other-{}")
    found = judged(entries, [*heads_of(entries, 4), *heads_of(other, 4)])
    assert (found.state, found.first) == ("tampered", 4)


@pytest.mark.parametrize("column", COLUMNS[1:])
@pytest.mark.parametrize("value", [b"bytes", None, 4])
def test_what_is_no_text_is_named(column, value):
    entries = chain(3)
    entries[1] = replace(entries[1], **{column: value})
    tampered(judged(entries, []), 2, "entry 2 holds what is no text")


def test_the_hash_is_that_of_the_canonical_text():
    entry = follow(4, "p", at="t", actor="é", action="a", subject="s", detail=canonical({"b": 1, "a": [True, None, "ü"]}))
    assert entry.detail == '{"a":[true,null,"\\u00fc"],"b":1}'
    assert entry.sequence == 5
    assert entry.hash == digest_of(5, "t", "é", "a", "s", entry.detail, "p")
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": float("nan")})


def test_it_works_on_postgresql_too(postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", postgres)
    layout = Layout(root=tmp_path)
    with open_control(layout) as control:
        act(control, 5)
        export_head(layout, control)
    assert verify_project(layout).state == "ok"
    engine = create_engine(postgres)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
        connection.execute(text("UPDATE audit SET detail = '{} ' WHERE sequence = 3"))
    engine.dispose()
    found = verify_project(layout)
    assert (found.state, found.first) == ("tampered", 3)


def test_heads_and_key_may_come_from_elsewhere(layout, tmp_path):
    elsewhere, key = tmp_path / "elsewhere" / "heads", tmp_path / "elsewhere" / "key"
    with open_control(layout) as control:
        head = export_head(layout, control, heads=elsewhere)
    key.write_bytes((layout.keys / PUBLIC).read_bytes())
    assert read_heads(elsewhere) == [head]
    layout.heads.unlink()
    (layout.keys / PUBLIC).unlink()
    assert verify_project(layout, heads=elsewhere, key=key).state == "ok"
    assert verify_project(layout).state == "unverifiable"


def test_who_asks_for_heads_that_are_not_there_is_told(layout, tmp_path):
    found = verify_project(layout, heads=tmp_path / "nowhere")
    assert found == Verification(state="unverifiable", reason=f"{tmp_path / 'nowhere'} holds no signed head", entries=0)


def test_a_database_that_cannot_be_read_cannot_be_verified(layout):
    (layout.state / "control.db").write_bytes(b"my shopping list, " * 500)
    found = verify_project(layout)
    assert (found.state, found.entries) == ("unverifiable", 0)
    assert "file is not a database" in found.reason
    assert "Check WORKBENCH_DATABASE_URL" in found.reason


def test_an_audit_without_entries_has_nothing_to_sign(tmp_path):
    layout = Layout(root=tmp_path)
    with open_control(layout) as control:
        assert export_head(layout, control) is None
    assert not layout.heads.exists()


@pytest.mark.parametrize("where", ["own", "elsewhere"])
def test_a_tampered_audit_is_not_signed(layout, sql, tmp_path, where):
    sql.execute("DELETE FROM audit WHERE sequence = 12")
    before = layout.heads.read_bytes()
    heads = None if where == "own" else tmp_path / "elsewhere"
    with open_control(layout) as control, pytest.raises(Tampered, match="entries 12 to 12 are missing") as caught:
        export_head(layout, control, heads=heads)
    assert "workbench audit verify" in caught.value.hint
    assert layout.heads.read_bytes() == before
    assert not (tmp_path / "elsewhere").exists()


def test_an_audit_that_was_emptied_is_not_signed(layout, sql):
    sql.execute("DELETE FROM audit")
    with open_control(layout) as control, pytest.raises(Tampered, match="entries 1 to 12 are missing"):
        export_head(layout, control)


def test_beside_heads_by_another_key_nothing_is_signed(layout):
    (layout.keys / "signing-key.pem").unlink()
    with open_control(layout) as control, pytest.raises(Tampered, match="the head of entry 12 is not signed by this key"):
        export_head(layout, control)
