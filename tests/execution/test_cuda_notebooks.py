"""Notebooks that use a GPU: warm processes never do, nothing stays on it, and a failed run continues with what lived there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from .attempts import Attempts, training
from .test_engine_ends import Command

pytestmark = [pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch sees"), pytest.mark.timeout(300)]

USES = "import os\nprint(torch.ones(1000, device='cuda').sum().item(), os.getpid())"
LOOPS = "import torch\nmatrix = torch.ones(500, 500, device='cuda')\nwhile True:\n    (matrix @ matrix)[0, 0].item()"


def on_gpu() -> set[int]:
    """The processes, but for this one, that hold a GPU: memory there belongs to a process with the device open."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if any(os.readlink(file).startswith("/dev/nvidia") for file in process.glob("fd/*")):
                found.add(int(process.name))
    return found - {os.getpid()}


@pytest.fixture
def nothing_stays():
    """Processes hold a GPU after the test only if they did before."""
    before = on_gpu()
    yield
    deadline = time.monotonic() + 20
    while (left := on_gpu() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


@pytest.mark.usefixtures("nothing_stays")
def test_many_kernels_in_a_row_use_the_gpu_and_no_warm_process_does(runs):
    for _ in range(8):
        assert runs("import torch", USES)[1].startswith("1000.0 ")
        assert runs.notebook.metadata.workbench.kernel == "warm"


@pytest.mark.usefixtures("nothing_stays")
def test_two_kernels_use_the_gpu_at_the_same_time(tmp_path, write_notebook):
    waits = (
        "from pathlib import Path\nimport time\nPath({own!r}).touch()\n"
        "while not Path({other!r}).exists():\n    time.sleep(0.05)\nprint(tensor.sum().item())"
    )
    places = [str(tmp_path / "first"), str(tmp_path / "second")]
    started = []
    for own, other in (places, reversed(places)):
        cells = {"load": "import torch\ntensor = torch.ones(1000, device='cuda')", "wait": waits.format(own=own, other=other)}
        notebook = write_notebook(Path(own).name, **cells)
        command = [sys.executable, "-m", "papermill", "--engine", "workbench", str(notebook), f"{own}.ipynb"]
        started.append(subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL))
    assert [process.wait(120) for process in started] == [0, 0]
    assert all("1000.0" in Path(f"{place}.ipynb").read_text() for place in places)


@pytest.mark.usefixtures("nothing_stays")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_while_the_gpu_works_leaves_nothing_there(tmp_path, gone, number):
    run = Command(tmp_path, LOOPS)
    deadline = time.monotonic() + 60
    while run.kernel not in on_gpu() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run.kernel in on_gpu()
    run.process.send_signal(number)
    run.ended()
    gone(run.kernel, run.left)


PROGRAM = """
import json, sys
from workbench.execution.warm.gpu import driver_started
from workbench.execution.warm.imports import import_all
print(json.dumps([import_all(sys.argv[1:]), driver_started()]))
"""


@pytest.mark.parametrize("module", ["import torch\ntorch.cuda.is_available()", "import torch\ntorch.cuda.init()"])
def test_a_module_that_starts_the_driver_when_imported_is_left_to_the_notebook(tmp_path, module):
    (tmp_path / "tried.py").write_text(module)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM, "torch", "tried"]
    assert json.loads(subprocess.check_output(command, env=environment)) == [["tried"], True]


@pytest.fixture
def attempts(tmp_path: Path):
    made = Attempts(tmp_path)
    yield made
    made.forget()


SEEDED = ("import torch\n_ = torch.manual_seed(3)", "size = 3", "print(torch.randn(size, device='cuda').tolist())")
ASKED = ("import torch", "device = 'cuda' if torch.cuda.is_available() else 'cpu'", "print(torch.ones(3, device=device).sum())")


@pytest.mark.parametrize("cells", [training("cuda"), SEEDED, ASKED], ids=["in training", "seeded before", "only asked for"])
@pytest.mark.parametrize("state", ["what is left", "durable snapshot"])
def test_a_continued_run_gives_what_a_clean_one_gives_on_the_gpu(attempts, cells, state):
    """The cell that fails is the fourth of the long notebook, the last of the short ones."""
    clean = attempts(*cells)
    assert clean.error is None
    for file in attempts.snapshots.glob("*"):
        file.unlink()
    failing = min(3, len(cells) - 1)
    failed = attempts(*cells[:failing], cells[failing] + "\nraise ValueError('on purpose')", *cells[failing + 1 :])
    assert failed.error is not None
    attempts.executed()
    if state == "durable snapshot":
        attempts.forget()
    continued = attempts(*cells, previous=failed)
    assert continued.error is None
    assert attempts.executed() == list(range(failing, len(cells))), continued.facts
    for position in range(failing, len(cells)):
        assert continued.said(position) == clean.said(position)


@pytest.mark.parametrize("starts", ["torch.ones(3, device='cuda')", "torch.cuda.is_available()"])
def test_once_the_driver_has_started_no_copy_of_the_kernel_is_kept(attempts, starts):
    attempts("import torch", f"_ = {starts}", "raise ValueError('on purpose')")
    assert [entry.kind for entry in attempts.kept()] == ["kernel"]
