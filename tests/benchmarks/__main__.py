"""Runs the benchmarks: `python -m tests.benchmarks [NAME]` at the checkout's root; `make bench` runs all."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from tests.benchmarks.table import Row, on, show
from tests.benchmarks.timing import load, machine
from workbench.errors import WorkbenchError
from workbench.settings import TELEMETRY_OFF

NAMES = ("drift", "engine", "experiment", "fairness", "handing", "policy")
FEWEST_ROWS = 2_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one benchmark or all of them and prints what they found; 2 when what was asked for does not exist."""
    names, sizes, as_json = _asked(arguments)
    os.environ.update(TELEMETRY_OFF)
    progress = Console(stderr=True, highlight=False)
    found: list[Row] = []
    for name in names:
        progress.print(f"[cyan]▸[/] {name}")
        before = load()
        benchmark = importlib.import_module(f"tests.benchmarks.{name}")  # here, so that nobody waits for frameworks not asked for
        taken = inspect.signature(benchmark.run).parameters
        if len(names) == 1 and not sizes.keys() <= taken.keys():
            progress.print(f"{name} has no such size; it takes: {', '.join(f'--{size}' for size in taken)}")
            return 2
        try:
            for each in benchmark.run(**{size: given for size, given in sizes.items() if size in taken}):
                progress.print(f"  {each.path}: {each.ratio:.3g}", markup=False)
                found.append(on(machine(before), each))
        except WorkbenchError as error:
            progress.print(f"{name}: {error}", markup=False)
            return error.exit_code
    show(found, as_json=as_json)
    return 0


def _asked(arguments: Sequence[str] | None) -> tuple[Sequence[str], dict[str, Any], bool]:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Each path against its peer, taking turns.")
    parser.add_argument("name", nargs="?", metavar="NAME", help=f"one of {', '.join(NAMES)}; all of them when left out")
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of a table")
    parser.add_argument("--rows", type=int, metavar="N", help="how many rows to work on, instead of the benchmark's own number")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often the sides of `engine` take turns")
    parser.add_argument("--only", metavar="TEXT", help="the groups of rows of `engine` whose name contains this")
    asked = parser.parse_args(arguments)
    if asked.name is not None and asked.name not in NAMES:
        parser.error(f"there is no benchmark {asked.name!r}; known: {', '.join(NAMES)}")
    if asked.rows is not None and asked.rows < FEWEST_ROWS:
        parser.error(f"--rows is {asked.rows}; expected at least {FEWEST_ROWS:,}")
    if asked.rounds is not None and asked.rounds < 1:
        parser.error(f"--rounds is {asked.rounds}; expected at least 1")
    sizes = {size: number for size in ("rows", "rounds", "only") if (number := getattr(asked, size)) is not None}
    return NAMES if asked.name is None else (asked.name,), sizes, asked.json


if __name__ == "__main__":
    sys.exit(main())
