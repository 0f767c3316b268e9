"""A frame handed from one step to the next: saved in one process, loaded in another, to the sum of its first column."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.table import Measurement
from tests.benchmarks.timing import interleaved

ROWS = 12_500_000
ROUNDS = 3
KINDS = ("polars", "pandas", "polars with texts", "pandas with texts")


def run(rows: int = ROWS) -> list[Measurement]:
    """Measures wall time; ten columns of numbers, or eight and two of texts in a fifth of the rows."""
    return [_measured(kind, rows if "texts" not in kind else rows // 5) for kind in KINDS]


def _measured(kind: str, rows: int) -> Measurement:
    with (
        tempfile.TemporaryDirectory(prefix="wb-") as folder,
        _Step("save", kind, rows, folder) as saver,
        _Step("load", kind, rows, folder) as loader,
    ):
        grown: dict[str, float] = {}

        def hand_on(way: str) -> float:
            saved, loaded = saver.ask(way), loader.ask(way)
            grown.update({f"{way} saver": saved["grown"], f"{way} loader": loaded["grown"]})
            return saved["seconds"] + loaded["seconds"]

        ours, peer, copied = interleaved(
            lambda: hand_on("workbench"), lambda: hand_on("parquet"), lambda: saver.ask("copy")["seconds"], rounds=ROUNDS
        )
        size = saver.ask("size")["gigabytes"]
    return Measurement(
        path=f"{kind} frame, {rows:,} rows, {size:.2f} GB, from step to step: seconds",
        ours=ours,
        peer=peer,
        ratio=peer / ours,
        goal="ours below 1 s for 1 GB, and no second copy in memory (Parquet / ours)",
        limit=(
            f"copying its bytes once in memory: {copied:.2f} s. "
            f"Memory grew by {grown['workbench saver']:.0f} MB while saving and {grown['workbench loader']:.0f} MB by loading, "
            f"the peer's by {grown['parquet saver']:.0f} and {grown['parquet loader']:.0f}"
        ),
    )


class _Step:
    """The process of one step, `handing_peer`: each line it is sent names a way, each line it sends says what that cost."""

    def __init__(self, verb: str, kind: str, rows: int, folder: str) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.handing_peer", verb, kind, str(rows), folder]
        root = Path(__file__).parents[2]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=root)

    def ask(self, way: str) -> dict[str, float]:
        """Saves or loads once in a way."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{way}\n")
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a step ended with {self.process.wait()}; its own message stands above")
        costs: dict[str, float] = json.loads(answer)
        return costs

    def __enter__(self) -> _Step:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()
