"""However a run ends, the notebook is valid, the cell is marked, the exit code says so, and nothing lives on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import papermill
import psutil
import pytest
from nbclient.exceptions import DeadKernelError

COLOURS = re.compile(r"\x1b\[[0-9;]*m")

PARTLY = "import os, subprocess\nleft = subprocess.Popen(['sleep', '600'])\nprint('partly', left.pid, flush=True)\n"
# A signal that lands just before Python's one long sleep is seen after it only: rare, but a busy machine meets it.
NAPS = "import time\nwhile True:\n    time.sleep(0.05)"


def statuses(runs):
    return [cell.metadata.papermill.status for cell in runs.code]


def left_pid(cell):
    """The process that the cell started."""
    return int(cell.outputs[0].text.split()[1])


@pytest.mark.parametrize(
    ("last_words", "cause"),
    [
        ("os._exit(3)", "with exit code 3"),
        ("os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
        ("os.abort()", "killed by SIGABRT"),
    ],
)
def test_a_kernel_that_dies_is_told_at_once_with_its_cause(runs, gone, last_words, cause):
    began = time.monotonic()
    with pytest.raises(DeadKernelError, match=f"Kernel died:? {cause}"):
        runs("print('kept')", PARTLY + last_words, "1")
    assert time.monotonic() - began < 10
    assert statuses(runs) == ["completed", "failed", "pending"]
    partly = runs.code[1]
    assert partly.outputs[0].text.startswith("partly")
    assert partly.outputs[1].ename == "DeadKernelError"
    gone(left_pid(partly))


def test_a_kernel_that_dies_is_noticed_although_a_process_of_its_own_lives_on(runs):
    """One that leads a session of its own is left alone, as under a stock kernel, but must not hold the run up."""
    fork = "import os, time\nif not (pid := os.fork()):\n    os.setsid()\n    os.closerange(0, 3)\n    time.sleep(600)\n"
    with pytest.raises(DeadKernelError, match="killed by SIGKILL"):
        runs(f"{fork}print('partly', pid, flush=True)\ntime.sleep(0.3)\nos.kill(os.getpid(), 9)")
    psutil.Process(left_pid(runs.code[0])).kill()


def test_memory_beyond_a_limit_is_an_error_of_the_cell(runs):
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))"
    with pytest.raises(papermill.PapermillExecutionError, match="MemoryError"):
        runs(limit, "too_much = bytearray(8 << 30)", "1")
    assert statuses(runs) == ["completed", "failed", "pending"]


def test_a_failing_cell_leaves_the_rest_pending_and_nothing_running(runs, gone):
    with pytest.raises(papermill.PapermillExecutionError, match="ZeroDivisionError"):
        runs("print('kept')", PARTLY + "1 / 0", "1")
    assert statuses(runs) == ["completed", "failed", "pending"]
    gone(left_pid(runs.code[1]))
    assert papermill.iorw.load_notebook_node(str(runs.output)).metadata.papermill.exception


def test_after_a_good_run_nothing_that_it_started_lives_on(runs, gone):
    runs(PARTLY)
    gone(left_pid(runs.code[0]))


def test_exit_hooks_run_after_a_good_run(runs, tmp_path):
    runs(f"import atexit\natexit.register(open({str(tmp_path / 'hooked')!r}, 'w').close)\nNone")
    assert (tmp_path / "hooked").exists()


class Command:
    """`papermill --engine workbench` in a process of its own, at the moment when its second cell has begun."""

    def __init__(self, folder: Path, cell: str, **environment: str) -> None:
        self.begun = folder / "begun"
        os.mkfifo(self.begun)
        tell = f"with open({str(self.begun)!r}, 'w') as begun:\n    print(os.getpid(), left.pid, file=begun)\n"
        self.output = folder / "out.ipynb"
        cells = [nbformat.v4.new_code_cell(source) for source in ("print('kept')", PARTLY + tell + cell, "1")]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "in.ipynb")
        command = [sys.executable, "-m", "papermill", "--engine", "workbench", "-k", "python3", "in.ipynb", "out.ipynb"]
        self.process = subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True)
        with self.begun.open() as begun:
            self.kernel, self.left = map(int, begun.read().split())

    def ended(self) -> tuple[int, str]:
        """The exit code, and what was said on stderr."""
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said

    def statuses(self) -> list[str]:
        notebook = nbformat.read(self.output, as_version=4)
        nbformat.validate(notebook)
        return [cell.metadata.papermill.status for cell in notebook.cells]


@pytest.mark.parametrize("warm", ["1", "0"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, 143)])
def test_an_interrupted_command_leaves_a_valid_notebook_and_nothing_else(tmp_path, gone, number, code, warm):
    run = Command(tmp_path, NAPS, WORKBENCH_WARM=warm)
    run.process.send_signal(number)
    assert run.ended()[0] == code
    assert run.statuses() == ["completed", "failed", "pending"]
    cell = nbformat.read(run.output, as_version=4).cells[1]
    assert [output.ename for output in cell.outputs if output.output_type == "error"] in (["KeyboardInterrupt"], ["Terminated"])
    if warm == "1":  # a standard kernel's last words are lost, as under papermill
        assert cell.outputs[0].text.startswith("partly")
        assert re.search(r"-> (7 while True|8     time.sleep)", COLOURS.sub("", "".join(cell.outputs[1].traceback)))
    gone(run.kernel, run.left)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "in.ipynb", "out.ipynb"]


def test_a_cell_that_takes_no_notice_is_ended_all_the_same(tmp_path, gone):
    run = Command(tmp_path, "import time\nwhile True:\n    try:\n        time.sleep(1)\n    except BaseException:\n        pass")
    run.process.send_signal(signal.SIGINT)
    assert run.ended()[0] == 1
    assert run.statuses() == ["completed", "failed", "pending"]
    gone(run.kernel, run.left)


def test_a_dead_kernel_has_papermills_exit_code(tmp_path, gone):
    run = Command(tmp_path, "os.kill(os.getpid(), 9)")
    code, said = run.ended()
    assert code == 138
    assert "Kernel died: killed by SIGKILL" in said
    gone(run.left)


def test_a_killed_command_loses_no_finished_cell_and_leaves_no_process(tmp_path, gone):
    run = Command(tmp_path, "import time\ntime.sleep(600)")
    run.process.kill()
    run.process.wait(10)
    deadline = time.monotonic() + 10
    while run.statuses() != ["completed", "running", "pending"] and time.monotonic() < deadline:
        time.sleep(0.01)
    run.ended()
    assert run.statuses() == ["completed", "running", "pending"]
    gone(run.kernel, run.left)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "in.ipynb", "out.ipynb"]
