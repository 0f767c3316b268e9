"""Notebook runs in warm kernels against papermill's default engine: from Python, from the shell and in JupyterLab."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import nbformat

from tests.benchmarks.engine_lab import OURS as OUR_LAB
from tests.benchmarks.engine_lab import PEER as PLAIN_LAB
from tests.benchmarks.engine_lab import WARM, Lab
from tests.benchmarks.engine_notebooks import meet_anew, write_notebook, write_notebooks, write_weighing
from tests.benchmarks.engine_runs import (
    OURS,
    PEER,
    SIDES,
    Limit,
    Side,
    by_call,
    by_command,
    check,
    cool,
    in_turn,
    own_warm_process,
    together,
)
from tests.benchmarks.engine_saving import save_cost
from tests.benchmarks.table import Measurement
from tests.benchmarks.timing import interleaved, wall_seconds
from workbench.errors import BadInput

ROUNDS = 5
FEW_ROUNDS = 3
"""Of what takes minutes."""

MILLI, MEGA = 1e3, 1e6
TEN = 10
KERNELS = 4
AT_ONCE = 2

GOALS = {
    "5 cells": 30,
    "pandas and scikit-learn": 20,
    "torch": 75,
    "200 small cells": 20,
    "101 cells, 20 MB of images": 16,
}
COMMANDS = ("5 cells", "pandas and scikit-learn", "torch")
SAVES = ("200 small cells", "101 cells, 20 MB of images")
LIBRARIES = "import pandas, sklearn, torch"


def run(rounds: int = ROUNDS, only: str = "") -> Iterator[Measurement]:
    """Measures all, or the groups of rows whose name contains `only`, with a warm process of its own.

    Rows that take minutes get at most three rounds.
    """
    few = min(rounds, FEW_ROUNDS)
    with tempfile.TemporaryDirectory(prefix="wb-") as scratch, own_warm_process(Path(scratch) / "r"):
        folder = Path(scratch)
        notebooks = write_notebooks(folder)
        fit = notebooks["pandas and scikit-learn"]
        groups: dict[str, Callable[[], Iterable[Measurement]]] = {
            **{f"call: {name}": partial(_calls, name, notebook, rounds) for name, notebook in notebooks.items()},
            **{f"command: {name}": partial(_commands, name, notebooks[name], rounds) for name in COMMANDS},
            "ten": partial(_ten, fit, few),
            **{f"save: {name}": partial(_saves, name, notebooks[name], few) for name in SAVES},
            "lab": partial(_lab, folder, rounds),
            "memory": partial(_memory, folder, few),
            **{f"cold: {name}": partial(_cold, name, notebooks[name], few) for name in COMMANDS[:2]},
        }
        wanted = {name: measure for name, measure in groups.items() if only in name}
        if not wanted:
            raise BadInput(f"no rows of engine are called {only!r}", hint=f"Known: {', '.join(groups)}")
        for measure in wanted.values():
            yield from measure()


def _warmed(notebook: Path) -> None:
    for side in SIDES:
        by_call(side, notebook)
    check(notebook)


def _calls(name: str, notebook: Path, rounds: int) -> Iterator[Measurement]:
    _warmed(notebook)
    with Limit(notebook) as least:
        ours, peer, limit = interleaved(
            lambda: wall_seconds(lambda: by_call(OURS, notebook)),
            lambda: wall_seconds(lambda: by_call(PEER, notebook)),
            least.seconds,
            rounds=rounds,
        )
    yield _row(f"{name}, called from Python", ours, peer, GOALS[name], f"{limit * MILLI:.3g} ms: fork and cells")


def _commands(name: str, notebook: Path, rounds: int) -> Iterator[Measurement]:
    _warmed(notebook)
    by_command(OURS, notebook)
    with Limit(notebook) as least:
        ours, peer, limit, python = interleaved(
            lambda: wall_seconds(lambda: by_command(OURS, notebook)),
            lambda: wall_seconds(lambda: by_command(PEER, notebook)),
            least.seconds,
            _start_python,
            rounds=rounds,
        )
    said = f"{(limit + python) * MILLI:.3g} ms: an interpreter that does nothing, fork and cells"
    yield _row(f"{name}, command line end to end", ours, peer, 25, said)


def _ten(notebook: Path, rounds: int) -> Iterator[Measurement]:
    """Ten notebooks one by one and two at a time, from the shell and from Python."""
    _warmed(notebook)
    workers = ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn"))
    with Limit(notebook) as least, workers, ThreadPoolExecutor(AT_ONCE) as terminals:
        (limit,) = interleaved(least.seconds, rounds=rounds)
        ways: dict[str, Callable[[Side], object]] = {
            "by command, one by one": lambda side: in_turn(by_command, side, notebook, TEN),
            f"by command, {AT_ONCE} at a time": lambda side: together(terminals, by_command, side, notebook, TEN),
            "from Python, one by one": lambda side: in_turn(by_call, side, notebook, TEN),
            f"from Python, {AT_ONCE} processes at a time": lambda side: together(workers, by_call, side, notebook, TEN),
        }
        together(workers, by_call, OURS, notebook, AT_ONCE)  # so that both workers have imported papermill
        for way, work in ways.items():
            at_once = AT_ONCE if str(AT_ONCE) in way else 1
            ours, peer = _pair(work, rounds)
            said = f"{TEN * limit / at_once * MILLI:.3g} ms: {TEN} forks and their cells, {at_once} at a time"
            yield _row(f"{TEN} scikit-learn notebooks, {way}", ours, peer, 18, said)


def _pair(work: Callable[[Side], object], rounds: int) -> tuple[float, float]:
    ours, peer = interleaved(lambda: wall_seconds(lambda: work(OURS)), lambda: wall_seconds(lambda: work(PEER)), rounds=rounds)
    return ours, peer


def _saves(name: str, notebook: Path, rounds: int) -> Iterator[Measurement]:
    by_call(OURS, notebook)
    yield save_cost(name, OURS.output(notebook), rounds)


def _lab(folder: Path, rounds: int) -> Iterator[Measurement]:
    notebook = write_notebook(folder / "opened.ipynb", [LIBRARIES])
    with Lab((*OUR_LAB, WARM), folder) as our_lab, Lab(PLAIN_LAB, folder) as plain_lab, Limit(notebook) as least:
        for each in (our_lab, plain_lab):
            each.kernel_seconds(notebook.name, LIBRARIES)
        ours, peer, limit = interleaved(
            lambda: our_lab.kernel_seconds(notebook.name, LIBRARIES),
            lambda: plain_lab.kernel_seconds(notebook.name, LIBRARIES),
            least.seconds,
            rounds=rounds,
        )
    said = f"{limit * MILLI:.3g} ms: fork, and the import of what is imported already"
    yield _row(f"new kernel in JupyterLab until `{LIBRARIES}` is done", ours, peer, 8, said)


def _memory(folder: Path, rounds: int) -> Iterator[Measurement]:
    notebook = write_weighing(folder / "weighed.ipynb", KERNELS)
    alone = write_weighing(folder / "alone.ipynb", 1)
    with ThreadPoolExecutor(KERNELS) as terminals, Limit(alone) as least:

        def weigh(side: Side) -> float:
            meet_anew(notebook)
            together(terminals, by_command, side, notebook, KERNELS)
            executed = [nbformat.read(side.output(notebook, number), as_version=4) for number in range(KERNELS)]
            return statistics.mean(_megabytes(each.cells[1].outputs[0].text) for each in executed)

        ours, peer, limit = interleaved(
            lambda: weigh(OURS), lambda: weigh(PEER), lambda: _megabytes(least.printed()), rounds=rounds
        )
    yield Measurement(
        path=f"private memory of each of {KERNELS} kernels that fitted a model: MB",
        ours=ours,
        peer=peer,
        ratio=peer / ours,
        goal="≥ 5 (papermill / ours)",
        limit=f"{limit:.3g} MB: what a bare fork that fits it touches",
    )


def _megabytes(printed: str) -> float:
    return int(printed.rsplit(maxsplit=1)[-1]) * 1024 / MEGA


def _cold(name: str, notebook: Path, rounds: int) -> Iterator[Measurement]:
    """The first run of the day: our side starts the warm process, and imports the notebook's modules in it."""

    def ours() -> float:
        cool()
        return wall_seconds(lambda: by_command(OURS, notebook))

    own, peer = interleaved(ours, lambda: wall_seconds(lambda: by_command(PEER, notebook)), rounds=rounds)
    said = "the imports themselves, which a cold papermill does as well"
    yield _row(f"{name}, command line, no warm process yet", own, peer, None, said)


def _row(path: str, ours: float, peer: float, goal: float | None, limit: str) -> Measurement:
    wanted = "" if goal is None else f"≥ {goal:g} "
    return Measurement(
        path=f"{path}: wall ms",
        ours=ours * MILLI,
        peer=peer * MILLI,
        ratio=peer / ours,
        goal=f"{wanted}(papermill / ours)",
        limit=limit,
    )


def _start_python() -> float:
    return wall_seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
