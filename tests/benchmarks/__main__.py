"""Runs the benchmarks: `python -m tests.benchmarks [NAME] [--json] [--rows N]` at the checkout's root; `make bench` runs all."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from rich.console import Console

from tests.benchmarks.table import Row, on, show
from tests.benchmarks.timing import load, machine
from workbench.errors import WorkbenchError
from workbench.settings import TELEMETRY_OFF

NAMES = ("drift", "experiment", "fairness")
FEWEST_ROWS = 2_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one benchmark or all of them and prints what they found; 2 when what was asked for does not exist."""
    names, rows, as_json = _asked(arguments)
    os.environ.update(TELEMETRY_OFF)
    progress = Console(stderr=True, highlight=False)
    found: list[Row] = []
    for name in names:
        progress.print(f"[cyan]▸[/] {name}")
        before = load()
        benchmark = importlib.import_module(f"tests.benchmarks.{name}")  # here, so that nobody waits for frameworks not asked for
        try:
            measured = benchmark.run() if rows is None else benchmark.run(rows)
        except WorkbenchError as error:
            progress.print(f"{name}: {error}", markup=False)
            return error.exit_code
        found += [on(machine(before), each) for each in measured]
    show(found, as_json=as_json)
    return 0


def _asked(arguments: Sequence[str] | None) -> tuple[Sequence[str], int | None, bool]:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Each path against its peer, taking turns.")
    parser.add_argument("name", nargs="?", metavar="NAME", help=f"one of {', '.join(NAMES)}; all of them when left out")
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of a table")
    parser.add_argument("--rows", type=int, metavar="N", help="how many rows to work on, instead of the benchmark's own number")
    asked = parser.parse_args(arguments)
    if asked.name is not None and asked.name not in NAMES:
        parser.error(f"there is no benchmark {asked.name!r}; known: {', '.join(NAMES)}")
    if asked.rows is not None and asked.rows < FEWEST_ROWS:
        parser.error(f"--rows is {asked.rows}; expected at least {FEWEST_ROWS:,}")
    return NAMES if asked.name is None else (asked.name,), asked.rows, asked.json


if __name__ == "__main__":
    sys.exit(main())
