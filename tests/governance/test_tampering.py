"""Whatever is done to the audit's own files behind the workbench's back is reported."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.governance.chains import ACTS, COLUMNS, KEY, chain, heads_of
from workbench.governance.audit import export_head, verify, verify_project
from workbench.store import open_control
from workbench.store.chain import GENESIS, Entry, follow

ALWAYS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ALWAYS
@given(data=st.data())
def test_any_byte_of_any_entry_that_is_changed_is_reported(layout, sql, data):
    place, column = data.draw(st.integers(1, ACTS)), data.draw(st.sampled_from(COLUMNS))
    (stored,) = sql.execute(f"SELECT CAST({column} AS BLOB) FROM audit WHERE sequence = ?", (place,)).fetchone()  # noqa: S608
    at = data.draw(st.integers(0, len(stored) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != stored[at]))
    changed = stored[:at] + bytes([byte]) + stored[at + 1 :]
    rows = sql.execute("SELECT * FROM audit").fetchall()
    kind = "INTEGER" if column == "sequence" else "TEXT"
    try:
        sql.execute(f"UPDATE audit SET {column} = CAST(? AS {kind}) WHERE sequence = ?", (changed, place))  # noqa: S608
    except sqlite3.IntegrityError:
        return  # that sequence is taken: the database itself refuses
    found = verify_project(layout)
    put_back(sql, rows)
    assert found.state == "tampered" or (found.state == "unverifiable" and "UTF-8" in found.reason), found
    assert found.first is None or found.first <= place + 1


def test_each_character_of_each_entry_counts():
    """All of them, one after the other; the property above goes through the database, and tries any byte."""
    entries, key = chain(ACTS), KEY.public_key()
    heads = heads_of(entries, ACTS)
    assert verify(entries, heads, key).state == "ok"
    for place, entry in enumerate(entries):
        values: dict[str, Any] = asdict(entry)
        changed = [replace(entry, sequence=entry.sequence + step) for step in (-1, 1, 1 << 40)]
        for column, text in values.items():
            if column != "sequence":
                flipped = (text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :] for at in range(len(text)))
                changed += [replace(entry, **{column: other}) for other in (*flipped, text[:-1], f"{text} ")]
        for other in changed:
            found = verify([*entries[:place], other, *entries[place + 1 :]], heads, key)
            assert (found.state, found.first) == ("tampered", place + 1), other


def put_back(sql: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    sql.execute("BEGIN")
    sql.execute("DELETE FROM audit")
    sql.executemany("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    sql.execute("COMMIT")


@ALWAYS
@given(cut=st.sets(st.integers(1, ACTS), min_size=1))
def test_any_gap_and_any_truncation_is_reported(layout, sql, cut):
    rows = sql.execute("SELECT * FROM audit").fetchall()
    sql.execute(f"DELETE FROM audit WHERE sequence IN ({', '.join(map(str, cut))})")  # noqa: S608 - numbers
    found = verify_project(layout)
    put_back(sql, rows)
    assert (found.state, found.first) == ("tampered", min(cut))
    assert verify_project(layout).state == "ok"


@ALWAYS
@given(order=st.permutations(range(ACTS)).filter(lambda order: order != sorted(order)), renumbered=st.booleans())
def test_any_other_order_is_reported(layout, sql, order, renumbered):
    rows = sql.execute("SELECT * FROM audit ORDER BY sequence").fetchall()
    moved = [(place, *rows[origin][1:]) for place, origin in enumerate(order, 1)]
    if renumbered:  # whoever reorders hides it by hashing anew
        moved = [tuple(asdict(entry).values()) for entry in anew(moved)]
    put_back(sql, moved)
    found = verify_project(layout)
    put_back(sql, rows)
    assert found.state == "tampered"
    assert found.first == (ACTS if renumbered else next(place for place, origin in enumerate(order, 1) if place != origin + 1))


def anew(rows: list[tuple[Any, ...]]) -> list[Entry]:
    made: list[Entry] = []
    for row in rows:
        last = (made[-1].sequence, made[-1].hash) if made else (0, GENESIS)
        made.append(follow(*last, at=row[1], actor=row[2], action=row[3], subject=row[4], detail=row[5]))
    return made


@ALWAYS
@given(place=st.integers(1, ACTS), column=st.sampled_from(COLUMNS[1:6]), value=st.text(max_size=5))
def test_a_rewritten_history_with_all_hashes_made_anew_is_reported(layout, sql, place, column, value):
    rows = sql.execute("SELECT * FROM audit ORDER BY sequence").fetchall()
    changed = [list(row) for row in rows]
    changed[place - 1][COLUMNS.index(column)] += value + "x"
    forged = [tuple(asdict(entry).values()) for entry in anew([tuple(row) for row in changed])]
    put_back(sql, forged)
    entries = [Entry(**dict(zip(COLUMNS, row, strict=True))) for row in forged]
    found, by_itself = verify_project(layout), verify(entries, [], KEY.public_key())
    put_back(sql, rows)
    assert by_itself.state == "unverifiable", "the chain alone does not show it"
    assert (found.state, found.first) == ("tampered", ACTS)


def test_a_byte_changed_in_the_file_itself_is_reported(layout):
    """Past SQLite: where its own pages break, the audit cannot be read, and that is said too."""
    file = layout.state / "control.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        places = [connection.execute("SELECT detail, subject FROM audit WHERE sequence = ?", (n,)).fetchone() for n in (1, 7)]
    connection.close()
    content = file.read_bytes()
    for _, subject in places:
        at = content.index(subject.encode())
        file.write_bytes(content[:at] + b"M" + content[at + 1 :])
        found = verify_project(layout)
        assert (found.state, found.first) == ("tampered", int(subject.removeprefix("model-")) + 1)
    file.write_bytes(content)
    assert verify_project(layout).state == "ok"


@ALWAYS
@given(place=st.integers(1, ACTS), repeated=st.booleans(), hashed=st.booleans())
def test_an_entry_that_was_added_is_reported(layout, sql, place, repeated, hashed):
    rows = sql.execute("SELECT * FROM audit ORDER BY sequence").fetchall()
    added = rows[place - 1] if repeated else (0, "2026-11-23", "person-9", "approve", "model-1", "{}", "x", "y")
    longer = [*rows[:place], added, *rows[place:]]
    if hashed:
        longer = [tuple(asdict(entry).values()) for entry in anew(longer)]
    else:  # the tables let no hash stand twice
        longer = [
            (number, *row[1:6], f"{row[6]}" + "'" * (number == place + 1), f"{row[7]}" + "'" * (number == place + 1))
            for number, row in enumerate(longer, 1)
        ]
    put_back(sql, longer)
    found = verify_project(layout)
    put_back(sql, rows)
    assert found.state == ("ok" if hashed and place == ACTS else "tampered"), (
        "after the last signed entry, the next head shows it"
    )
    assert found.signed == (ACTS if found.state == "ok" or place == ACTS else 0)


def test_who_has_the_key_as_well_is_found_by_the_heads_kept_elsewhere(layout, sql, tmp_path):
    """A history rewritten as a whole, with the project's own heads signed anew: only what left the machine shows it."""
    kept = tmp_path / "elsewhere"
    kept.write_bytes(layout.heads.read_bytes())
    rows = sql.execute("SELECT * FROM audit ORDER BY sequence").fetchall()
    forged = [(*row[:3], "approve", *row[4:]) for row in rows]
    put_back(sql, [tuple(asdict(entry).values()) for entry in anew(forged)])
    layout.heads.unlink()
    with open_control(layout) as control:
        export_head(layout, control)
    assert verify_project(layout).state == "ok"
    found = verify_project(layout, heads=kept)
    assert (found.state, found.first) == ("tampered", ACTS)
