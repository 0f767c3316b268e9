from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys, threading, time
from pathlib import Path
import numpy as np, pandas as pd, polars as pl, pyarrow
from workbench.records import Saved
from workbench.session.values import read_value, write_value
from workbench.store import Objects

def own():
    "Megabytes that no other process shares and no file backs."
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Anonymous")).split()[1]) / 1024

def watch():
    while not done.is_set():
        seen.append(own())
        done.wait(0.005)

MAKE = {
    "polars": lambda numbers: pl.DataFrame(numbers, schema=[f"x{i}" for i in range(10)]),
    "pandas by rows": lambda numbers: pd.DataFrame(numbers).add_prefix("x"),
    "pandas by columns": lambda numbers: pd.DataFrame({f"x{i}": numbers[:, i] for i in range(10)}),
    "numpy": lambda numbers: numbers,
}
verb, kind, folder = sys.argv[1:4]
objects, done, seen = Objects(Path(folder)), threading.Event(), []
if verb == "save":
    value = MAKE[kind](np.random.default_rng(0).random((1_250_000, 10)))
    write_value(objects, "small", value[:10])
    before, watcher = own(), threading.Thread(target=watch)
    watcher.start()
    saved = write_value(objects, "value", value)
    done.set()
    watcher.join()
    print(json.dumps([max(seen) - before, [saved.name, saved.format, saved.digest, saved.size]]))
else:
    name, format_name, digest, size = json.loads(sys.argv[4])
    before = own()
    value = read_value(objects, Saved(name=name, format=format_name, digest=digest, size=size))
    total = float(value[:, 0].sum() if kind == "numpy" else value["x0"].sum())
    print(json.dumps([own() - before, total]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
@pytest.mark.parametrize("kind", ["polars", "pandas by rows", "pandas by columns", "numpy"])
def test_a_value_of_100_megabytes_is_copied_by_neither_side(tmp_path, kind):
    def side(*arguments: str) -> list[object]:
        command = [sys.executable, "-c", PROGRAM, arguments[0], kind, str(tmp_path), *arguments[1:]]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    grown_by_saving, saved = side("save")
    grown_by_loading, total = side("load", json.dumps(saved))
    assert saved[-1] > 100_000_000
    assert total == pytest.approx(625_000, rel=0.01)
    assert grown_by_saving < 40, "one column at a time, and what the libraries load"
    assert grown_by_loading < 20
