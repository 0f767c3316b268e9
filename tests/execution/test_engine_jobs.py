"""A run in a job of the warm process ends as clearly as one in the caller's own process, whoever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import nbformat
import psutil
import pytest

from workbench.errors import NotebookFailed
from workbench.execution.notebook_run import run_notebook
from workbench.execution.step import Step
from workbench.execution.warm.asking import state
from workbench.store import Objects

RUNNER = Path(__file__).with_name("runner.py")


class Stepped:
    """A step whose second cell tells its process ids and then waits."""

    def __init__(self, folder: Path, runs) -> None:
        self.begun, self.folder = folder / "begun", folder / "run"
        os.mkfifo(self.begun)
        tell = (
            f"import os, time\nwith open({str(self.begun)!r}, 'w') as begun:\n    print(os.getpid(), file=begun)\ntime.sleep(600)"
        )
        self.step = Step(hop="train", project=str(folder), notebook=str(runs.write("print('kept')", tell, "1")), run="r-1")
        self.objects = Objects(folder / "objects")
        self.output = self.folder / "in.ipynb"

    def kernel(self) -> int:
        """The kernel's process id, once the second cell runs."""
        with self.begun.open() as begun:
            return int(begun.read())

    def statuses(self) -> list[str]:
        notebook = nbformat.read(self.output, as_version=4)
        nbformat.validate(notebook)
        return [cell.metadata.papermill.status for cell in notebook.cells]


@pytest.fixture
def stepped(tmp_path, runs):
    return Stepped(tmp_path, runs)


def jobs() -> list[int]:
    """The children of the warm process that are no nests."""
    found = state(dict(os.environ))
    nests = {nest["pid"] for nest in found["nests"]}
    return [child.pid for child in psutil.Process(found["pid"]).children() if child.pid not in nests]


def test_the_death_of_a_job_is_told_and_loses_no_finished_cell(stepped, gone):
    kernels = []

    def kill(event):
        if event.cell == 2:
            kernels.append(stepped.kernel())
            for pid in jobs():
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(NotebookFailed, match=r"in\.ipynb failed: its runner died \(SIGKILL\)") as caught:
        run_notebook(stepped.step, folder=stepped.folder, objects=stepped.objects, on_cell=kill)
    assert str(stepped.output) in caught.value.hint
    assert stepped.statuses()[0] == "completed"
    gone(*kernels)


def test_the_death_of_the_warm_process_itself_is_told_too(stepped, own_place, gone):
    kernels = []

    def kill(event):
        if event.cell == 2:
            kernels.append(stepped.kernel())
            os.kill(state(dict(os.environ))["pid"], signal.SIGKILL)

    with pytest.raises(NotebookFailed, match="its runner died"):
        run_notebook(stepped.step, folder=stepped.folder, objects=stepped.objects, on_cell=kill)
    assert stepped.statuses()[0] == "completed"
    gone(*kernels)


def test_a_cancelled_run_is_saved_before_it_is_over(stepped, gone):
    kernels = []

    def cancel(event):
        if event.cell == 2:
            kernels.append(stepped.kernel())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_notebook(stepped.step, folder=stepped.folder, objects=stepped.objects, on_cell=cancel)
    assert stepped.statuses() == ["completed", "failed", "pending"]
    assert not jobs()
    gone(*kernels)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_whose_caller_is_gone_saves_its_notebook_and_ends(stepped, tmp_path, gone, number):
    (tmp_path / "given.json").write_bytes(msgspec.json.encode(stepped.step))
    command = [sys.executable, str(RUNNER), str(tmp_path / "given.json"), str(stepped.folder), str(tmp_path / "objects")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as caller:
        kernel = stepped.kernel()
        running = jobs()
        caller.send_signal(number)
        caller.wait(20)
    gone(*running, kernel)
    assert stepped.statuses() == ["completed", "failed", "pending"]


def test_jobs_side_by_side_do_not_know_of_each_other(tmp_path, runs):
    notebook = runs.write("import os\nprint(os.getpid())")
    step = Step(hop="train", project=str(tmp_path), notebook=str(notebook), run="r-1")
    results = [run_notebook(step, folder=tmp_path / name, objects=Objects(tmp_path / "objects")) for name in ("a", "b")]
    assert len({result.notebook.executed for result in results}) == 2
