"""One notebook run, by papermill's default engine or by the workbench's, from Python or from the shell. Used by `engine`."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill

from workbench.errors import RunFailed
from workbench.execution.warm.asking import stop

PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two that take turns."""

    name: str
    engine: str | None
    command: tuple[str, ...]

    def output(self, notebook: Path, number: int = 0) -> Path:
        """Where this side's executed notebook goes."""
        return notebook.with_name(f"{notebook.stem}.{self.name}{number}.out.ipynb")


OURS = Side(name="ours", engine="workbench", command=(str(PROGRAMS / "workbench"), "execute"))
PEER = Side(name="peer", engine=None, command=(str(PROGRAMS / "papermill"),))
SIDES = (OURS, PEER)


def by_call(side: Side, notebook: Path, number: int = 0) -> None:
    """Runs the notebook from a process that has imported papermill."""
    papermill.execute_notebook(notebook, side.output(notebook, number), engine_name=side.engine, progress_bar=False)


def by_command(side: Side, notebook: Path, number: int = 0) -> None:
    """Runs the notebook as a person does in a terminal.

    Raises:
        RunFailed: the command failed; its last lines are in the message.
    """
    command = [*side.command, notebook.name, side.output(notebook, number).name]
    done = subprocess.run(command, cwd=notebook.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunFailed(f"{' '.join(command)} failed", problems=done.stderr.splitlines()[-12:])


def in_turn(run: Any, side: Side, notebook: Path, times: int) -> None:
    """Runs a notebook so many times, one after another."""
    for number in range(times):
        run(side, notebook, number)


def together(workers: Executor, run: Any, side: Side, notebook: Path, times: int) -> None:
    """Runs a notebook so many times, as many at once as there are workers."""
    list(workers.map(run, [side] * times, [notebook] * times, range(times)))


def check(notebook: Path) -> None:
    """What was timed must be the same work: a warm kernel on our side, and the same outputs on both.

    Raises:
        RunFailed: it was not.
    """
    ours, theirs = (nbformat.read(side.output(notebook), as_version=4) for side in SIDES)
    used = ours.metadata.get("workbench", {})
    if used.get("kernel") != "warm":
        raise RunFailed(f"{notebook.name} did not run in a warm kernel", problems=[str(used)])
    if _outputs(ours) != _outputs(theirs):
        raise RunFailed(f"{notebook.name} has other outputs than papermill gives it")


def _outputs(executed: Any) -> Sequence[object]:
    return [(cell.execution_count, cell.outputs) for cell in executed.cells]


@contextmanager
def own_warm_process(folder: Path) -> Iterator[None]:
    """A runtime folder of the benchmark's own, so that it neither uses nor ends anybody's warm process."""
    folder.mkdir(mode=0o700)
    os.environ["WORKBENCH_RUNTIME_DIR"] = str(folder)
    try:
        yield
    finally:
        cool()


def cool() -> None:
    """Ends the warm process, if there is one, and waits until it is gone."""
    state = stop(os.environ)
    if state is None:
        return
    try:
        process = os.pidfd_open(state["pid"])
    except ProcessLookupError:
        return
    select.select([process], [], [], 30)
    os.close(process)


class Limit:
    """A process of `engine_limit` for one notebook; ends with its `with` block."""

    def __init__(self, notebook: Path) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.engine_limit", str(notebook)]
        root = Path(__file__).parents[2]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=root)

    def seconds(self) -> float:
        """Forks once; how long that and the cells took."""
        return float(self._fork()["seconds"])

    def printed(self) -> str:
        """Forks once; what the cells printed."""
        return str(self._fork()["printed"])

    def _fork(self) -> dict[str, object]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("fork\n")
        answer = self.process.stdout.readline()
        if not answer:
            raise RunFailed(f"the process that measures the limit ended with {self.process.wait()}")
        told: dict[str, object] = json.loads(answer)
        return told

    def __enter__(self) -> Limit:
        self.seconds()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()
