"""kill -9 at any moment: the output is a valid notebook with every finished cell, and continuing runs only what was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import nbformat
import psutil
import pytest

from workbench.execution.step import Step

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RUNNER = Path(__file__).with_name("killed_runner.py")
CELLS = 12
AFTER_SECONDS = 2.0


@dataclass(slots=True)
class Scene:
    """One notebook, whose cells tell in a file when they begin and end, and its runs."""

    folder: Path
    runs: int = 0

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def told(self, word: str) -> list[int]:
        """The cells that began or ended, in order."""
        lines = [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [int(number) for said, number in lines if said == word]

    def write(self) -> Path:
        """The notebook; its cells build on each other."""
        say = f"def say(word):\n    with open({str(self.log)!r}, 'a') as log:\n        log.write(word + '\\n')\n"
        sources = [say + "import os, time\nsay(f'kernel {os.getpid()}')\nnumbers = []"]
        sources += [
            f"say('began {number}')\ntime.sleep(0.05)\nnumbers.append({number})\nprint(numbers)\nsay('ended {number}')"
            for number in range(1, CELLS)
        ]
        cells = [nbformat.v4.new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(sources)]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        path = self.folder / "work.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
        step = Step(hop="train", project=str(self.folder), notebook=str(path), run="experiment-1")
        (self.folder / "given.json").write_bytes(msgspec.json.encode(step))
        return path

    def step(self, previous: Path | None = None) -> tuple[subprocess.Popen[str], Path]:
        """Begins a step."""
        self.runs += 1
        folder = self.folder / f"run{self.runs}"
        given = (self.folder / "given.json", folder, self.folder / "objects", self.folder / "snapshots")
        command = [sys.executable, RUNNER, *given, *([previous] if previous else [])]
        return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True), folder / "work.ipynb"

    def command(self, *words: str) -> tuple[subprocess.Popen[str], Path]:
        """Begins a command that runs the notebook."""
        self.runs += 1
        output = self.folder / f"out{self.runs}.ipynb"
        command = [sys.executable, "-m", *words, str(self.folder / "work.ipynb"), str(output)]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(command, stdout=quiet, stderr=quiet, text=True, cwd=self.folder), output


@pytest.fixture(scope="module")
def scene(end_warm_processes: Callable[[str], None]) -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="k-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RUNTIME_DIR", f"{folder}/run")
        made = Scene(folder=Path(folder))
        made.write()
        process, _ = made.step()  # starts the warm process
        process.communicate(timeout=100)
        assert process.returncode == 0
        yield made
        end_warm_processes(f"{folder}/run")


def kill_at(scene: Scene, begin: Callable[[], tuple[subprocess.Popen[str], Path]], chance: random.Random, who: str) -> Path:
    """Begins a run and kills its runner, or the process that works for it, at a random moment; returns the output."""
    scene.log.unlink(missing_ok=True)
    process, output = begin()
    victim = process.pid
    if who == "job":
        assert process.stdout is not None
        victim = int(process.stdout.readline())
        time.sleep(chance.uniform(0, 0.9))
    else:
        cell = chance.randrange(CELLS)
        deadline = time.monotonic() + 30
        while cell and cell not in scene.told("began") and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.3 if cell == 0 else 0.07))
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        assert len(scene.told("ended")) == CELLS - 1
    if output.exists():
        nbformat.validate(nbformat.read(output, as_version=4))
    process.wait(30)
    if process.stdout is not None:
        process.stdout.close()
    return output


def held(output: Path) -> list[int]:
    """The cells that the output holds as finished."""
    if not output.exists():
        return []
    found: Any = nbformat.read(output, as_version=4)
    nbformat.validate(found)
    cells = [cell for cell in found.cells if cell.cell_type == "code"]
    done = [number for number, cell in enumerate(cells) if cell.metadata.papermill.status == "completed"]
    for number in [number for number in done if number]:
        texts = [each.text for each in cells[number].outputs if each.output_type == "stream"]
        assert texts == [f"{list(range(1, number + 1))}\n"]
    return done


def held_soon(output: Path, finished: list[int]) -> list[int]:
    """The cells that the output holds within two seconds of the kill, with nobody's help.

    Of those that finished only the last may be missing: it may have ended while nobody was there to hear it.
    """
    deadline = time.monotonic() + AFTER_SECONDS
    while not set(finished[:-1]) <= set(done := held(output)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert set(finished[:-1]) <= set(done)
    return done


def settle(scene: Scene, kernels: list[int]) -> None:
    """Within two seconds of the kill the kernel is gone, and what worked for the run has saved."""
    deadline = time.monotonic() + AFTER_SECONDS
    while any(map(alive, kernels)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(alive, kernels))


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("words", [("workbench", "execute"), ("papermill", "--engine", "workbench")])
def test_a_command_killed_anywhere_leaves_every_finished_cell_and_no_kernel(scene: Scene, words: tuple[str, ...]) -> None:
    chance = random.Random(words[0])  # noqa: S311 - moments, not secrets
    for _ in range(10):
        output = kill_at(scene, lambda: scene.command(*words), chance, "runner")
        settle(scene, scene.told("kernel"))
        held_soon(output, scene.told("ended"))


@pytest.mark.parametrize("who", ["runner", "job"])
def test_a_step_killed_anywhere_is_continued_with_what_had_not_finished(scene: Scene, who: str) -> None:
    chance = random.Random(who)  # noqa: S311 - moments, not secrets
    again = []
    for _ in range(10):
        for stale in (scene.folder / "snapshots").glob("*"):
            stale.unlink()
        output = kill_at(scene, scene.step, chance, who)
        settle(scene, scene.told("kernel"))
        done = held_soon(output, scene.told("ended"))
        scene.log.unlink(missing_ok=True)
        process, last = scene.step(output if output.exists() else None)
        process.communicate(timeout=60)
        assert process.returncode == 0
        again.append(len(set(scene.told("began")) & set(done)))
        assert held(last) == list(range(CELLS))
    # a cell that ended just before the kill has no copy of its state yet; copies are left out where they would cost too much
    assert sum(count > 1 for count in again) <= 1, again
    assert sum(again) <= 5, again
