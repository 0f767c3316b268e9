"""A head counts only as it was signed, and survives crashes and other signers."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace

import pytest

from tests.governance.chains import KEY, act, chain, heads_of
from workbench.errors import BadInput
from workbench.governance.audit import verify_project, witness
from workbench.governance.heads import append_head, is_signed, read_heads
from workbench.governance.keys import signing_key
from workbench.settings import Layout
from workbench.store import open_control


@pytest.mark.parametrize("change", [{"sequence": 4}, {"hash": "0" * 64}, {"at": "2020"}, {"signature": "zz"}, {"signature": ""}])
def test_a_head_of_which_anything_was_changed_is_not_signed(change):
    (head,) = heads_of(chain(5), 5)
    assert is_signed(head, KEY.public_key())
    assert not is_signed(replace(head, **change), KEY.public_key())


def test_a_signature_made_for_something_else_is_no_head():
    (head,) = heads_of(chain(5), 5)
    bare = json.dumps([head.sequence, head.hash, head.at], separators=(",", ":")).encode()
    assert not is_signed(replace(head, signature=KEY.sign(bare).hex()), KEY.public_key())
    assert is_signed(replace(head, signature=KEY.sign(b"workbench audit head\n" + bare).hex()), KEY.public_key())


def test_a_head_that_a_crash_left_half_written_is_replaced(layout):
    whole = layout.heads.read_bytes()
    for cut in range(len(whole)):
        layout.heads.write_bytes(whole + whole[:cut])
        assert len(read_heads(layout.heads)) == 1
    (head,) = read_heads(layout.heads)
    append_head(layout.heads, head)
    assert layout.heads.read_bytes() == whole * 2


def test_any_byte_of_the_heads_that_is_changed_is_reported(layout):
    whole = layout.heads.read_bytes()
    for at in range(len(whole)):
        for byte in {whole[at] ^ 1, whole[at] ^ 0x20, ord(" "), ord("\n")} - {whole[at]}:
            layout.heads.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
            assert verify_project(layout).state != "ok", (at, byte)


@pytest.mark.parametrize("line", ["{}", "[]", "no", "", '{"sequence":"1","hash":"","at":"","signature":""}'])
def test_a_line_that_is_no_head_is_named(layout, line):
    layout.heads.write_text(layout.heads.read_text() + line + "\n")
    with pytest.raises(BadInput, match=r"line 2 of .* is no signed head") as caught:
        read_heads(layout.heads)
    assert "where it was exported to" in caught.value.hint


def test_a_file_of_heads_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(BadInput, match="cannot be read") as caught:
        read_heads(tmp_path)
    assert caught.value.hint == "Name the file of heads: --heads FILE"


def test_every_hundredth_entry_is_signed_by_itself(tmp_path):
    layout = Layout(root=tmp_path)
    with open_control(layout, witness=witness(layout)) as control:
        act(control, 99)
        assert read_heads(layout.heads) == []
        act(control, 102)
        hashes = {entry.sequence: entry.hash for entry in control.entries()}
    assert [(head.sequence, head.hash) for head in read_heads(layout.heads)] == [(n, hashes[n]) for n in (100, 200)]
    found = verify_project(layout)
    assert (found.state, found.entries, found.signed) == ("ok", 201, 200)


def test_an_act_whose_head_cannot_be_written_is_done_all_the_same_and_said(tmp_path, caplog):
    layout = Layout(root=tmp_path)
    layout.heads.mkdir(parents=True)
    with open_control(layout, witness=witness(layout)) as control, caplog.at_level(logging.WARNING):
        act(control, 100)
        assert control.newest_entries(1)[0].sequence == 100
    assert "no head of the audit was signed at entry 100" in caplog.text


def test_the_heads_of_processes_that_sign_at_once_are_all_kept(layout, tmp_path):
    file, entries = tmp_path / "many", chain(3)
    started = []
    for _ in range(4):
        process = os.fork()
        if not process:
            for head in heads_of(entries, 1, 2, 3) * 10:
                append_head(file, head)
            os._exit(0)
        started.append(process)
    assert [os.waitpid(process, 0)[1] for process in started] == [0] * 4
    assert len(read_heads(file)) == 120


def test_the_key_that_signs_heads_is_the_projects(layout):
    assert is_signed(read_heads(layout.heads)[0], signing_key(layout.keys).public_key())


def test_a_head_follows_all_that_are_whole_in_a_file_of_its_own_making(tmp_path):
    """Wherever it is exported to; nobody else may write there."""
    file, heads = tmp_path / "far" / "away" / "heads", heads_of(chain(3), 1, 2, 3)
    for head in heads[:2]:
        append_head(file, head)
    file.write_bytes(file.read_bytes() + b'{"sequence":3,')
    append_head(file, heads[2])
    assert read_heads(file) == heads
    assert not file.stat().st_mode & 0o133


@pytest.mark.parametrize("line", [b"{}", b' {"sequence":1,"hash":"","at":"","signature":""}'], ids=["other", "spelled otherwise"])
def test_a_line_that_is_no_head_is_told_with_its_place(tmp_path, line):
    file = tmp_path / "heads"
    append_head(file, *heads_of(chain(1), 1))
    file.write_bytes(file.read_bytes() + line + b"\n")
    with pytest.raises(BadInput) as caught:
        read_heads(file)
    assert caught.value.message == f"line 2 of {file} is no signed head"
    assert caught.value.hint == "Take the file from where it was exported to."
