"""The drift decision on a large window, against Evidently's preset; both start from data frames in memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from tests.benchmarks.table import Measurement
from tests.benchmarks.timing import cpu_seconds, interleaved
from workbench.data.contract import Column, Contract
from workbench.data.examples import example
from workbench.monitoring import compare
from workbench.project import Monitoring

ROWS = 300_000
ROUNDS = 3
CATEGORIES = ("SEX", "EDUCATION", "MARRIAGE")
NUMBERS = ("LIMIT_BAL", "AGE", *(f"BILL_AMT{month}" for month in range(1, 7)), *(f"PAY_AMT{month}" for month in range(1, 5)))


def run(rows: int = ROWS) -> list[Measurement]:
    """Measures CPU. Evidently works in a process of its own, which stays: its imports count on neither side."""
    random = np.random.default_rng(0)
    credit = pl.read_parquet(example("credit").path)
    reference, current = _sample(credit, rows, random), _sample(credit, rows, random)
    contract, policy = _contract(), Monitoring()

    def ours() -> object:
        return compare(reference, current, contract, alpha=policy.alpha, floor=policy.floor)

    def read_once() -> object:
        return [frame.select(pl.col(NUMBERS).sum(), pl.col(CATEGORIES).str.len_bytes().sum()) for frame in (reference, current)]

    with tempfile.TemporaryDirectory() as folder:
        for name, frame in (("reference", reference), ("current", current)):
            frame.write_parquet(Path(folder) / f"{name}.parquet")
        with _Evidently(Path(folder)) as evidently:
            own, theirs, once = interleaved(
                lambda: cpu_seconds(ours), evidently.cpu_seconds, lambda: cpu_seconds(read_once), rounds=ROUNDS
            )
    return [
        Measurement(
            path=f"drift decision, {rows:,} rows against {rows:,}, {len(contract.features)} columns: CPU seconds",
            ours=own,
            peer=theirs,
            ratio=theirs / own,
            goal="≥ 100 (Evidently DataDriftPreset / ours), at 1,000,000 rows",
            limit=f"reading the rows once: {1000 * once:.1f} ms CPU",
        )
    ]


def _sample(credit: pl.DataFrame, rows: int, random: np.random.Generator) -> pl.DataFrame:
    """Rows drawn with replacement; a percent of noise on the numbers keeps the copies of a row apart."""
    drawn = credit[random.integers(len(credit), size=rows)]
    numbers = {name: drawn[name].to_numpy() * random.normal(1, 0.01, rows) for name in NUMBERS}
    return drawn.select(*(pl.Series(name, values) for name, values in numbers.items()), pl.col(CATEGORIES).cast(pl.String))


def _contract() -> Contract:
    numbers = (Column(name=name, kind="number", source_type="float", nullable=False) for name in NUMBERS)
    categories = (Column(name=name, kind="category", source_type="string", nullable=False) for name in CATEGORIES)
    return Contract(features=(*numbers, *categories), target="default_next_month", task="binary")


class _Evidently:
    """The process that `drift_peer` is; each line it is sent is one report, each line it sends the CPU seconds of one."""

    def __init__(self, folder: Path) -> None:
        script = Path(__file__).with_name("drift_peer.py")
        command = [sys.executable, "-P", "-W", "ignore", str(script), str(folder), ",".join(NUMBERS), ",".join(CATEGORIES)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def cpu_seconds(self) -> float:
        """Asks for one report."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("report\n")
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"Evidently's process ended with {self.process.wait()}; its own message stands above")
        return float(answer)

    def __enter__(self) -> _Evidently:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()
