"""`workbench audit` shows who did what, and its exit code says whether the log of it is whole."""

from __future__ import annotations

import json
import sqlite3

import pytest
from typer.testing import CliRunner

from workbench.cli.app import app
from workbench.settings import Layout
from workbench.store import open_control


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A project in which Ann has acted three times."""
    (tmp_path / "workbench.toml").touch()
    monkeypatch.chdir(tmp_path)
    made = Layout(root=tmp_path)
    with open_control(made) as control:
        for number in range(3):
            with control.write(actor="ann", action="approve", subject=f"model-{number}", detail={"stage": "staging"}):
                pass
    return made


def run(*arguments):
    return CliRunner().invoke(app, ["audit", *arguments])


def test_acts_are_listed_newest_first_with_names(layout):
    listed = json.loads(run("list", "--json", "--limit", "2").stdout)
    assert [(entry["sequence"], entry["actor"], entry["action"], entry["subject"]) for entry in listed] == [
        (3, "ann", "approve", "model-2"),
        (2, "ann", "approve", "model-1"),
    ]
    text = run("list").stdout
    assert all(word in text for word in ("ann", "approve", "model-0"))


def test_who_was_erased_is_listed_by_a_pseudonym(layout):
    with open_control(layout) as control:
        pseudonym = control.erase("ann", actor="bob")
    assert {entry["actor"] for entry in json.loads(run("list", "--json").stdout)} == {"bob", pseudonym}
    assert pseudonym in run("list").stdout


def test_without_a_signed_head_nothing_can_be_verified(layout):
    done = run("verify")
    assert done.exit_code == 2
    assert "cannot verify" in done.stdout
    assert "workbench audit export" in done.stdout


def test_an_exported_head_proves_the_log_whole(layout, tmp_path):
    exported = run("export", "--heads", str(tmp_path / "heads"))
    assert exported.exit_code == 0
    assert f"entry 3 is signed, in {tmp_path / 'heads'}" in exported.stdout
    done = run("verify", "--heads", str(tmp_path / "heads"), "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "state": "ok",
        "reason": "all entries follow, signed up to entry 3",
        "entries": 3,
        "signed": 3,
        "first": None,
    }
    assert json.loads(run("export", "--json").stdout)["sequence"] == 3
    text = run("verify")
    assert (text.exit_code, "3 entries: all entries follow" in text.stdout) == (0, True)


def test_a_log_that_was_tampered_with_is_told_with_its_first_bad_entry(layout):
    run("export")
    database = sqlite3.connect(layout.state / "control.db")
    database.execute("DROP TRIGGER audit_is_append_only_update")
    database.execute("UPDATE audit SET subject = 'model-9' WHERE sequence = 2")
    database.commit()
    database.close()
    done = run("verify")
    assert done.exit_code == 1
    assert "tampered" in done.stdout
    assert "entry 2 was changed" in done.stdout
    assert json.loads(run("verify", "--json").stdout)["first"] == 2


def test_where_nobody_has_acted_there_is_nothing_to_sign(tmp_path, monkeypatch):
    (tmp_path / "workbench.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert run("export", "--json").stdout == "null\n"
    assert "there is no entry to sign" in run("export").stdout


def test_another_public_key_verifies_nothing(layout, tmp_path):
    run("export")
    done = run("verify", "--key", str(tmp_path / "nowhere.pub"), "--json")
    assert done.exit_code == 2
    assert "no public key can be read" in json.loads(done.stdout)["reason"]
