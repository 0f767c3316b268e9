"""A failed run continues where it failed: which cells run again, what they find, and what is left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from .attempts import Attempts

STEPS = (
    "rows = [1, 2, 3]",
    "total = sum(rows)\nprint('total', total)",
    "rows.append(total)\nrows",
    "rows.append('half done')\nraise ValueError('on purpose')",
    "print(rows)",
    "print(sum(rows))",
)
FIXED = (*STEPS[:3], "rows.append(100)", *STEPS[4:])


@pytest.fixture
def attempts(tmp_path: Path):
    made = Attempts(tmp_path)
    yield made
    made.forget()


@pytest.fixture(params=["fork point", "durable snapshot"])
def lose(request, attempts):
    """Leaves the run to continue only one kind of state."""
    return attempts.forget if request.param == "durable snapshot" else lambda: None


def test_cells_before_the_failed_one_do_not_run_again_and_nothing_half_done_stays(attempts, lose):
    failed = attempts(*STEPS)
    assert "on purpose" in str(failed.error)
    assert attempts.executed() == [0, 1, 2, 3]
    lose()
    continued = attempts(*FIXED, previous=failed)
    assert continued.error is None
    assert attempts.executed() == [3, 4, 5]
    assert continued.said(4) == "[1, 2, 3, 6, 100]\n"
    assert continued.said(5) == "112\n"


def test_restored_cells_keep_outputs_and_counts_under_a_banner_that_says_so(attempts, lose):
    failed = attempts(*STEPS)
    lose()
    continued = attempts(*FIXED, previous=failed)
    assert [cell.metadata.workbench.get("restored", False) for cell in continued.code] == [True] * 3 + [False] * 3
    assert [cell.execution_count for cell in continued.code] == [1, 2, 3, 4, 5, 6]
    for position in range(3):
        banner, *outputs = continued.code[position].outputs
        assert banner.data["text/plain"].startswith("restored, not run again: executed 2")
        assert outputs == failed.code[position].outputs
        assert continued.code[position].metadata.papermill == failed.code[position].metadata.papermill
    assert continued.facts.restored_cells == 3


def test_continuing_a_continued_run_shows_one_banner(attempts):
    failed = attempts(*STEPS)
    again = attempts(*STEPS, previous=failed)
    assert again.error is not None
    done = attempts(*FIXED, previous=again)
    assert done.error is None
    assert attempts.executed() == [0, 1, 2, 3, 3, 3, 4, 5]
    assert [len(cell.outputs) for cell in done.code[:3]] == [1, 2, 2]


def test_one_state_can_be_continued_several_times(attempts, lose):
    failed = attempts(*STEPS)
    lose()
    attempts.executed()
    first = attempts(*STEPS[:3], "rows.append(7)", *STEPS[4:], previous=failed)
    second = attempts(*STEPS[:3], "rows.append(8)", *STEPS[4:], previous=failed)
    assert attempts.executed() == [3, 4, 5] * 2
    assert first.said(4) == "[1, 2, 3, 6, 7]\n"
    assert second.said(4) == "[1, 2, 3, 6, 8]\n"


def test_a_person_can_rewind_to_an_earlier_cell(attempts):
    failed = attempts(*STEPS)
    attempts.executed()
    done = attempts(*FIXED, previous=failed, rewind="cell-2")
    assert done.error is None
    assert attempts.executed() == [2, 3, 4, 5]
    assert done.said(4) == "[1, 2, 3, 6, 100]\n"


def test_a_changed_early_cell_runs_again_with_all_that_follow(attempts):
    failed = attempts(*STEPS)
    attempts.executed()
    done = attempts(FIXED[0], "total = 10", *FIXED[2:], previous=failed)
    assert attempts.executed() == [1, 2, 3, 4, 5]
    assert done.said(4) == "[1, 2, 3, 10, 100]\n"


def test_a_changed_parameter_restores_nothing_after_it(attempts):
    cells = ("doubled = start * 2", "raise ValueError")
    failed = attempts(*cells, tagged="start = 1", parameters={"start": 2})
    attempts.executed()
    same = attempts("doubled = start * 2", "print(doubled)", tagged="start = 1", parameters={"start": 2}, previous=failed)
    assert attempts.executed() == [1]
    assert same.said(2) == "4\n"
    other = attempts("doubled = start * 2", "print(doubled)", tagged="start = 1", parameters={"start": 5}, previous=failed)
    assert attempts.executed() == [0, 1]
    assert other.said(2) == "10\n"


@pytest.mark.parametrize("changed", ["upstream data", "an installed package"])
def test_other_data_or_packages_restore_nothing(attempts, monkeypatch, tmp_path, changed):
    failed = attempts(*STEPS, data={"frame": "a" * 64})
    attempts.executed()
    if changed == "an installed package":
        (tmp_path / "site" / "another-1.0.dist-info").mkdir(parents=True)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
    data = {"frame": ("b" if changed == "upstream data" else "a") * 64}
    done = attempts(*FIXED, previous=failed, data=data)
    assert done.error is None
    assert attempts.executed() == [0, 1, 2, 3, 4, 5]
    assert done.facts.restored_cells == 0


@pytest.mark.parametrize(
    ("holds", "named"),
    [
        ("handle = open('x.txt', 'w')", "handle"),
        ("produced = (each for each in range(3))", "produced"),
        (
            "import threading\nended = threading.Event()\n"
            "worker = threading.Thread(target=ended.wait, daemon=True)\nworker.start()",
            "worker",
        ),
    ],
)
def test_what_a_durable_snapshot_cannot_hold_is_named_and_made_again(attempts, holds, named):
    cells = ("first = 1", holds, "raise ValueError")
    failed = attempts(*cells)
    attempts.forget()
    attempts.executed()
    done = attempts("first = 1", holds, "print(first)", previous=failed)
    assert attempts.executed() == [1, 2]
    assert done.said(2) == "1\n"
    assert any(named in note for note in done.facts.notes), done.facts.notes


@pytest.mark.parametrize(
    "dies", ["import ctypes\nctypes.string_at(0)", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"]
)
def test_a_run_whose_kernel_died_continues_at_the_cell_that_killed_it(attempts, lose, dies):
    failed = attempts(*STEPS[:3], dies, *STEPS[4:])
    assert "died" in str(failed.error)
    lose()
    attempts.executed()
    done = attempts(*FIXED, previous=failed)
    assert done.error is None
    assert attempts.executed() == [3, 4, 5]
    assert done.said(5) == "112\n"


def test_a_run_that_ran_out_of_time_continues_at_that_cell(attempts):
    failed = attempts(*STEPS[:3], "import time\ntime.sleep(60)", *STEPS[4:], execution_timeout=1)
    assert isinstance(failed.error, TimeoutError)
    attempts.executed()
    assert attempts(*FIXED, previous=failed).said(5) == "112\n"
    assert attempts.executed() == [3, 4, 5]


def test_nothing_is_left_in_memory_after_a_run_that_succeeds(attempts):
    done = attempts(*FIXED)
    assert done.error is None
    assert attempts.wait_until_kept(0) == []


def test_a_run_that_is_to_keep_nothing_keeps_nothing(attempts):
    failed = attempts(*STEPS, keep_seconds=0.0)
    assert failed.error is not None
    assert attempts.kept() == []


def test_what_a_failed_run_left_ends_after_its_time(attempts):
    attempts(*STEPS, keep_seconds=2.0)
    (entry,) = attempts.kept()
    psutil.Process(entry.pid).wait(20)
    assert attempts.kept() == []
    assert not Path(entry.address).exists()


def test_failing_again_and_again_does_not_fill_the_memory(attempts):
    for number in range(20):
        attempts(f"number = {number}", "raise ValueError")
    deadline = time.monotonic() + 10
    while len(left := attempts.kept()) > 8 and time.monotonic() < deadline:  # the oldest has just been told to end
        time.sleep(0.05)
    assert len(left) <= 8
    assert {entry.pid for entry in left} == {entry.pid for entry in left if psutil.pid_exists(entry.pid)}


def test_the_key_of_the_snapshots_is_its_owners_alone(attempts):
    attempts(*STEPS)
    key = attempts.snapshots.with_name("snapshots.key")
    assert key.stat().st_mode & 0o077 == 0
    assert attempts.snapshots.stat().st_mode & 0o077 == 0


def test_a_forged_snapshot_is_not_restored(attempts):
    failed = attempts(*STEPS)
    attempts.forget()
    attempts.executed()
    for file in attempts.snapshots.glob("*.snapshot"):
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    done = attempts(*FIXED, previous=failed)
    assert done.error is None
    assert attempts.executed() == [0, 1, 2, 3, 4, 5]
    assert done.facts.notes


def test_a_cell_that_the_notebook_does_not_have_is_refused_before_anything_runs(attempts):
    from workbench.errors import NotFound

    failed = attempts(*STEPS)
    attempts.executed()
    with pytest.raises(NotFound, match="no code cell 'cell-9'"):
        attempts(*FIXED, previous=failed, rewind="cell-9")
    assert attempts.executed() == []


def test_entries_of_dead_processes_are_swept(attempts):
    attempts(*STEPS)
    (entry,) = attempts.kept()
    os.kill(entry.pid, 9)
    psutil.wait_procs([psutil.Process(entry.pid)] if psutil.pid_exists(entry.pid) else [], 10)
    assert attempts.kept() == []
    assert not Path(entry.address).exists()
    assert msgspec.to_builtins(entry)["kind"] == "fork_point"
