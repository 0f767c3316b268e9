"""The benchmarks say what they measured in one shape; nothing is asserted on time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

KEYS = ["path", "ours", "peer", "ratio", "goal", "limit", "machine"]


def benchmark(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.benchmarks", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)


def test_a_benchmark_prints_a_list_of_objects_with_the_agreed_keys(root: Path) -> None:
    done = benchmark(root, "fairness", "--rows", "2000", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert rows
    for row in rows:
        assert list(row) == KEYS
        assert all(isinstance(row[name], float) for name in ("ours", "peer", "ratio"))
        assert all(isinstance(row[name], str) for name in ("path", "goal", "limit", "machine"))
    assert "extrapolated" in rows[0]["limit"]


def test_without_json_a_table_with_the_same_columns_is_printed(root: Path) -> None:
    done = benchmark(root, "fairness", "--rows", "2000")
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in KEYS)


def test_an_unknown_benchmark_is_refused_with_the_known_names(root: Path) -> None:
    done = benchmark(root, "faimess")
    assert done.returncode == 2
    assert not done.stdout
    assert "there is no benchmark 'faimess'; known: drift, engine, experiment, fairness, handing, policy" in done.stderr


def test_too_few_rows_are_refused_before_anything_starts(root: Path) -> None:
    done = benchmark(root, "drift", "--rows", "10")
    assert done.returncode == 2
    assert "--rows is 10; expected at least 2,000" in done.stderr
