"""The output of a runner that was killed is completed by itself; that of one that lives is its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import papermill
import pytest

from workbench.execution.resuming import Continuation
from workbench.execution.warm.kept import kept

WITHIN_SECONDS = 2.0

RUNNER = """
import os, sys
from pathlib import Path
from nbformat import v4
from workbench.execution.saving import NotebookFile
from workbench.execution.warm.asking import ask_cells, ask_fork_point
from workbench.execution.warm.kept import kept

output, asked = Path(sys.argv[1]), sys.argv[2]
if asked == "nest":
    process, wire = ask_cells([], folder=Path.cwd(), environment=dict(os.environ), output=output)
else:
    (entry,) = [each for each in kept() if each.kind == "fork_point" and each.pid == int(asked)]
    process, wire = ask_fork_point(entry, dict(os.environ), output)
wire.receive()
notebook = v4.new_notebook(cells=[v4.new_code_cell("began") for _ in range(3)])
file = NotebookFile(output, notebook)
file.save()
for cell in (0, 1):
    notebook.cells[cell].source = "finished"
    file.cell_ended(cell)
wire.close()
process.close()
print(process.pid, flush=True)
sys.stdin.readline()
file.finish()
print("finished", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def fork_point(runs) -> str:
    """The process of a failed run's fork point."""
    before = {entry.pid for entry in kept()}
    continuation = Continuation(snapshots=str(runs.folder / "snapshots"), keep_seconds=30)
    with pytest.raises(papermill.PapermillExecutionError):
        runs("one = 1", "one / 0", continuation=continuation)
    (entry,) = [entry for entry in kept() if entry.pid not in before and entry.notebook.startswith(str(runs.folder))]
    return str(entry.pid)


@pytest.fixture(params=["nest", "fork point"])
def begin(request, tmp_path: Path) -> Callable[[], tuple[subprocess.Popen[str], int]]:
    """Starts a runner that has saved two finished cells and let its kernel go; what forked it was asked for it."""
    asked = "nest" if request.param == "nest" else request.getfixturevalue("fork_point")

    def start() -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, "-c", RUNNER, str(tmp_path / "mended.ipynb"), asked]
        runner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert runner.stdout is not None
        return runner, int(runner.stdout.readline())

    return start


def sources(output: Path) -> list[str]:
    notebook = nbformat.read(output, as_version=4)
    nbformat.validate(notebook)
    return [cell.source for cell in notebook.cells]


def test_an_output_is_left_alone_while_its_runner_lives_and_completed_once_it_is_killed(begin, tmp_path: Path, gone) -> None:
    output, journal = tmp_path / "mended.ipynb", tmp_path / ".mended.ipynb.cells"
    runner, kernel = begin()
    with runner:
        gone(kernel)
        time.sleep(0.5)  # that nothing happens has no event
        assert sources(output) == ["began"] * 3
        assert journal.exists()
        runner.kill()
    killed = time.monotonic()
    while journal.exists() and time.monotonic() < killed + WITHIN_SECONDS:
        time.sleep(0.01)
    assert sources(output) == ["finished", "finished", "began"]
    assert not list(tmp_path.glob(".mended*"))


def test_a_runner_that_ends_its_run_itself_is_not_mended_afterwards(begin, tmp_path: Path) -> None:
    output = tmp_path / "mended.ipynb"
    runner, _ = begin()
    with runner:
        assert runner.stdin is not None
        assert runner.stdout is not None
        print(file=runner.stdin, flush=True)
        assert runner.stdout.readline() == "finished\n"
        written = output.stat()
        runner.kill()
    time.sleep(0.3)  # that nothing happens has no event
    assert output.stat() == written
