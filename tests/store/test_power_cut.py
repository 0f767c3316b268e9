"""No act that was acknowledged is lost by a kill, a power cut, or other writers, and none is done twice."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.power_cut import cuts, recorded
from workbench.store import Control
from workbench.store.chain import GENESIS, Entry, digest_of

WRITER = Path(__file__).with_name("writer.py")
UNSAFE = (
    "import sys, runpy, workbench.store.engine as engine\n"
    "del sys.argv[0]\n"
    "engine.PRAGMAS = tuple(pragma.replace('FULL', 'NORMAL') for pragma in engine.PRAGMAS)\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def fault(entries: list[Entry], records: list[str], acknowledged: set[str]) -> str:
    """What is wrong with a database, or nothing: every act is in the audit once, in a whole chain, and what was said is kept."""
    previous = GENESIS
    for place, entry in enumerate(entries, 1):
        if (entry.sequence, entry.previous) != (place, previous):
            return "the chain is broken"
        previous = digest_of(place, entry.at, entry.actor, entry.action, entry.subject, entry.detail, previous)
        if entry.hash != previous:
            return "an entry was changed"
    if [entry.subject for entry in entries] != records:
        return "acts and audit differ"
    return "acknowledged acts are lost" if acknowledged - set(records) else ""


def fault_of(control: Control, acknowledged: set[str]) -> str:
    return fault(list(control.entries()), [record.id for record in control.all()], acknowledged)


def left(files: dict[str, bytes], folder: Path, said: bytes) -> str:
    """The fault of a database whose files hold this."""
    for name, content in files.items():
        (folder / Path(name).name).write_bytes(content)
    database = sqlite3.connect(folder / "control.db")
    try:
        entries = [Entry(**dict(zip(Entry.__slots__, row, strict=True))) for row in database.execute("SELECT * FROM audit")]
        records = [row[0] for row in database.execute("SELECT id FROM records ORDER BY sequence")]
        found = fault(entries, records, {line.decode() for line in said.split(b"\n")[:-1]})
        if database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            found = "SQLite finds it damaged"
    except sqlite3.DatabaseError as error:
        found = f"it cannot be read: {error}"
    finally:
        database.close()
        for path in folder.iterdir():
            path.unlink()
    return found


def faults(tmp_path: Path, dataset: object, command: list[str], count: int) -> list[str]:
    """The fault, or nothing, of each disk that a power cut could have left."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    file, folder = tmp_path / "control.db", tmp_path / "cut"
    folder.mkdir()
    with Control(f"sqlite:///{file}") as control:
        control.add(dataset)
    before = {str(file): file.read_bytes()}
    calls = list(recorded([*command, "add", f"sqlite:///{file}", str(count)], file, tmp_path / "trace"))
    assert sum(call.file == "1" for call in calls) >= count
    return [left(files, folder, said) for files, said in cuts(calls, before)]


@pytest.mark.slow
def test_a_power_cut_loses_no_acknowledged_act(tmp_path, dataset):
    found = faults(tmp_path, dataset, [sys.executable, str(WRITER)], 110)
    assert len(found) >= 3000, "disks that were tried"
    assert set(found) == {""}


@pytest.mark.slow
def test_the_replay_would_have_found_acts_lost(tmp_path, dataset):
    """The same with `synchronous=NORMAL`, which does not wait for the disk."""
    found = faults(tmp_path, dataset, [sys.executable, "-c", UNSAFE, str(WRITER)], 20)
    assert "acknowledged acts are lost" in found


@pytest.mark.slow
def test_kill_9_at_40_moments_loses_no_acknowledged_act(url, control, dataset, child):
    control.add(dataset)
    luck = random.Random(11)  # noqa: S311 - moments, not secrets
    acknowledged = {dataset.id}
    for _ in range(40):
        writer = child("add", url, 0)
        said = writer.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(luck.uniform(0, 0.1))
        writer.kill()
        said += writer.stdout.read()
        acknowledged |= {line for line in said.split("\n")[:-1] if line}
        assert fault_of(control, acknowledged) == ""
    assert len(acknowledged) > 40


@pytest.mark.slow
def test_of_8_writers_at_once_with_200_acts_each_none_is_lost_and_none_done_twice(url, control, dataset, child):
    control.add(dataset)
    writers = [child("add", url, 200) for _ in range(8)]
    said = [line for writer in writers for line in writer.communicate()[0].splitlines()]
    assert [writer.returncode for writer in writers] == [0] * 8
    assert len(said) == len(set(said)) == 1600
    assert {record.id for record in control.all()} == {dataset.id, *said}
    assert fault_of(control, set(said)) == ""
    assert control.newest_entries(1)[0].sequence == 1601
