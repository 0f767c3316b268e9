"""The prediction log delays nobody, loses only what it counts, and is readable after any crash."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.serving.scorer.predictions import PredictionLog, Served, folder_of, read_predictions


def served(number: int, rows: int = 1) -> Served:
    return Served(
        request_id=f"request-{number}",
        rows=[{"age": float(row), "sex": "é"} for row in range(rows)],
        predictions=["1"] * rows,
        probabilities=[{"0": 0.25, "1": 0.75}] * rows,
    )


def open_log(folder: Path, *, most_waiting: int = 1000, segment_bytes: int = 10_000, on_drop=lambda _: None) -> PredictionLog:
    return PredictionLog(
        folder, model="credit:v1", digest="d" * 64, most_waiting=most_waiting, segment_bytes=segment_bytes, on_drop=on_drop
    )


def test_a_closed_log_holds_every_row_with_request_model_and_features(tmp_path):
    log = open_log(tmp_path)
    log.add(served(1, rows=2))
    log.close()
    first, second = read_predictions(tmp_path)
    assert first.pop("at").endswith("+00:00")
    assert first == {
        "request_id": "request-1",
        "row": 0,
        "model": "credit:v1",
        "digest": "d" * 64,
        "features": {"age": 0.0, "sex": "é"},
        "prediction": "1",
        "probabilities": {"0": 0.25, "1": 0.75},
    }
    assert second["row"] == 1
    assert log.dropped == 0


def test_full_files_are_sealed_and_order_is_kept(tmp_path):
    log = open_log(tmp_path, segment_bytes=500)
    for number in range(20):
        log.add(served(number))
    log.close()
    assert len(list(tmp_path.glob("*.jsonl"))) > 1
    assert not list(tmp_path.glob("*.open.jsonl"))
    assert sorted(row["request_id"] for row in read_predictions(tmp_path)) == sorted(f"request-{number}" for number in range(20))


def test_only_the_owner_can_read_the_log(tmp_path):
    log = open_log(tmp_path / "log")
    log.add(served(1))
    log.close()
    (path,) = (tmp_path / "log").iterdir()
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0
    assert path.stat().st_mode & 0o077 == 0


def test_what_the_queue_cannot_hold_is_dropped_and_counted(tmp_path):
    told: list[int] = []
    log = open_log(tmp_path, most_waiting=3, on_drop=told.append)
    log.add(served(1, rows=4))
    log.close()
    assert log.dropped == 4
    assert told == [4]
    assert list(read_predictions(tmp_path)) == []


def test_a_torn_last_line_is_skipped(tmp_path):
    log = open_log(tmp_path)
    log.add(served(1, rows=3))
    log.close()
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / path.name.replace(".jsonl", ".open.jsonl"))
    (torn,) = tmp_path.iterdir()
    torn.write_bytes(torn.read_bytes()[:-20])
    assert [row["row"] for row in read_predictions(tmp_path)] == [0, 1]


def test_a_log_whose_disk_fails_counts_the_loss_and_goes_on_when_it_heals(tmp_path):
    folder = tmp_path / "log"
    lost: list[int] = []
    log = open_log(folder, on_drop=lost.append)
    shutil.rmtree(folder)
    log.add(served(1))
    for _ in range(1000):
        if lost:
            break
        os.sched_yield()
        log._thread.join(0.01)
    assert lost == [1]
    folder.mkdir()
    log.add(served(2))
    log.close()
    assert [row["request_id"] for row in read_predictions(folder)] == ["request-2"]


def test_several_processes_share_a_folder_and_kill_9_loses_no_written_row(tmp_path):
    program = """
import sys, time
from pathlib import Path
from workbench.serving.scorer.predictions import PredictionLog, Served, read_predictions
folder, name = Path(sys.argv[1]), sys.argv[2]
log = PredictionLog(folder, model="m:1", digest="d")
for number in range(50):
    log.add(Served(request_id=f"{name}-{number}", rows=[{"x": 1.0}], predictions=[0.5], probabilities=None))
while sum(row["request_id"].startswith(name) for row in read_predictions(folder)) < 50:
    time.sleep(0.01)
print("written", flush=True)
time.sleep(60)
"""
    workers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "written\n"
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
    assert len({row["request_id"] for row in read_predictions(tmp_path)}) == 100
    assert len(list(tmp_path.glob("*.open.jsonl"))) == 2


def test_the_folder_comes_from_the_environment_else_from_where_serving_was_started(monkeypatch):
    monkeypatch.setenv("WORKBENCH_PREDICTIONS", "elsewhere")
    assert folder_of("credit") == Path("elsewhere")
    monkeypatch.delenv("WORKBENCH_PREDICTIONS")
    monkeypatch.setenv("PWD", "started/here")
    assert folder_of("credit") == Path("started/here/predictions/credit")


@pytest.mark.parametrize("module", ["predictions", "manifest", "guard", "requests", "answers", "trusted", "model"])
def test_a_scorer_module_imports_nothing_that_a_bento_lacks(module):
    program = f"import sys, workbench.serving.scorer.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {
        "polars",
        "msgspec",
        "sqlalchemy",
        "sklearn",
        "torch",
        "skl2onnx",
        "workbench.data",
        "workbench.settings",
    }
