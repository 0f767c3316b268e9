"""One step of the benchmark `handing`, in a process of its own: saves or loads a frame as it is told, and says what that cost."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from workbench.records import Saved
from workbench.session.values import read_value, write_value
from workbench.store import Objects

GIGA, MEGA = 1e9, 1e6
TEXTS = 2
COLUMNS = 10


def main(verb: str, kind: str, rows: str, folder: str) -> None:
    """Answers each line with one of JSON, until there is none."""
    place, read = Path(folder), pl.read_parquet if kind.startswith("polars") else pd.read_parquet
    frame = _frame(kind, int(rows) if verb == "save" else 0)
    size = int(frame.estimated_size() if isinstance(frame, pl.DataFrame) else pa.Table.from_pandas(frame).nbytes)
    copied = np.ones(size, dtype=np.uint8)

    def load() -> object:
        return _load(place)["x0"].sum()

    def load_parquet() -> object:
        return read(place / "parquet")["x0"].sum()

    ways: dict[str, Callable[[], object]] = {"workbench": load, "parquet": load_parquet}
    if verb == "save":
        ways = {"workbench": lambda: _save(frame, place), "parquet": lambda: _write_parquet(frame, place), "copy": copied.copy}
    for line in sys.stdin:
        answer = {"gigabytes": size / GIGA} if line.strip() == "size" else _cost(ways[line.strip()])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _frame(kind: str, rows: int) -> Any:
    random = np.random.default_rng(0)
    texts = TEXTS if "texts" in kind else 0
    names = [f"x{number}" for number in range(COLUMNS - texts)]
    frame = pl.DataFrame({name: random.random(rows) for name in names})
    if texts:
        number = pl.Series("t0", random.integers(0, 10**9, rows)).cast(pl.String)
        frame = frame.with_columns(number, ("a customer with number " + number).alias("t1"))
    if kind.startswith("polars"):
        return frame
    return frame.to_pandas() if texts else pd.DataFrame(frame.to_numpy(order="c"), columns=names)


def _save(frame: Any, place: Path) -> None:
    saved = write_value(Objects(place / "objects"), "frame", frame)
    (place / "saved.json").write_text(json.dumps([saved.name, saved.format, saved.digest, saved.size]))


def _load(place: Path) -> Any:
    name, kind, digest, size = json.loads((place / "saved.json").read_text())
    return read_value(Objects(place / "objects"), Saved(name=name, format=kind, digest=digest, size=size))


def _write_parquet(frame: Any, place: Path) -> None:
    write = frame.write_parquet if isinstance(frame, pl.DataFrame) else frame.to_parquet
    write(place / "parquet")


def _own() -> float:
    """Bytes that no file backs."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * float(next(line for line in lines if line.startswith("Anonymous")).split()[1])


def _cost(work: Callable[[], object]) -> dict[str, float]:
    """Wall seconds, and the megabytes that the process's own memory grew by at most."""
    seen, done = [_own()], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            seen.append(_own())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    return {"seconds": seconds, "grown": (max(seen) - seen[0]) / MEGA}


if __name__ == "__main__":
    main(*sys.argv[1:])
