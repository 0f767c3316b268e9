"""Hundreds of kernels, and crashes at any moment: nothing grows, nothing stays, and the next run is as good as the first."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from workbench.execution.saving import recover
from workbench.execution.warm.asking import Unavailable, ask_cells, state
from workbench.execution.warm.wire import ANSWER, ORDER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RUNNER = Path(__file__).parents[1] / "papermill_runner.py"


def family(place: Path) -> list[psutil.Process]:
    """The processes that were started with this runtime folder, but for those of the test's own session."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get("WORKBENCH_RUNTIME_DIR") == str(place) and os.getsid(process.pid) != os.getsid(0):
                found.append(process)
    return found


def settled(place: Path) -> list[psutil.Process]:
    """The family once only server, nests and spares are left."""
    deadline = time.monotonic() + 30
    while True:
        nests = {nest["pid"] for nest in (state(dict(os.environ)) or {"nests": []})["nests"]}
        found = family(place)
        with suppress(psutil.NoSuchProcess):
            if sum(process.ppid() in nests for process in found) == len(nests) == len(found) - len(nests) - 1:
                return found
        assert time.monotonic() < deadline, [process.as_dict(["pid", "ppid", "status", "cmdline"]) for process in found]
        time.sleep(0.05)


def files(process: psutil.Process) -> int:
    """How many files a process holds, without the connection of a question that it has just answered."""
    counts = []
    for _ in range(10):
        counts.append(process.num_fds())
        time.sleep(0.02)
    return min(counts)


def measured(place: Path) -> dict[str, Any]:
    """What must not grow."""
    process = psutil.Process((state(dict(os.environ)) or {})["pid"])
    nests = process.children()
    return {
        "processes": len(settled(place)),
        "server's files": files(process),
        "nests' files": sorted(map(files, nests)),
        "our files": psutil.Process().num_fds(),
        "our threads": threading.active_count(),
        "runtime folder": sorted(path.name for path in place.rglob("*")),
        "temporary files": {
            name for name in os.listdir(tempfile.gettempdir()) if name.startswith(("wb-", "tmp", "ipykernel", "w-"))
        },
        "server's memory": process.memory_full_info().uss,
        "nests' memory": sum(nest.memory_full_info().uss for nest in nests),
    }


def compare(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Nothing but memory may differ, and that by no more than a few pages per hundred kernels."""
    for name, value in before.items():
        if "memory" in name:
            assert after[name] < value + 12_000_000, name
        elif name == "temporary files":
            assert len(after[name] - value) < 5, "other tests make some"
        else:
            assert after[name] == value, name


def test_five_hundred_runs_in_a_row_leave_nothing(runs: Any, own_place: Path) -> None:
    for _ in range(5):
        runs("x = 1\nprint(x)", "x + 1")
    before = measured(own_place)
    for number in range(500):
        assert runs(f"x = {number}\nprint(x)", "x + 1") == [f"{number}\n", str(number + 1)]
    compare(before, measured(own_place))


def test_twenty_kernels_at_once_each_do_their_own_work(own_place: Path) -> None:
    def work(number: int, results: list[int]) -> None:
        process, wire = ask_cells(["numpy"], folder=own_place, environment=dict(os.environ))
        assert "ready" in wire.receive(time.monotonic() + 60).content()
        code = f"import numpy\nwith open('result-{number}', 'w') as file:\n    print(numpy.arange({number} + 1).sum(), file=file)"
        wire.send(ORDER, {"execute": {"code": code, "silent": False}, "id": "1"})
        while wire.receive(time.monotonic() + 60).kind != ANSWER:
            pass
        results.append(number)
        wire.close()
        process.close()

    def round_of_twenty() -> None:
        results: list[int] = []
        threads = [threading.Thread(target=work, args=(number, results)) for number in range(20)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(results) == list(range(20))
        for number in range(20):
            result = own_place / f"result-{number}"
            assert int(result.read_text()) == number * (number + 1) // 2
            result.unlink()

    round_of_twenty()
    before = measured(own_place)
    for _ in range(10):
        round_of_twenty()
    compare(before, measured(own_place))


class Runners:
    """Runs of one notebook, which can be killed."""

    def __init__(self, program: subprocess.Popen[str], folder: Path) -> None:
        assert program.stdin is not None
        assert program.stdout is not None
        self.tell, self.lines, self.folder = program.stdin, program.stdout, folder
        self.left = folder / "left"
        note = f"open({str(self.left)!r}, 'w').write(str(sleeper.pid))"
        cells = [f"import subprocess\nsleeper = subprocess.Popen(['sleep', '600'])\n{note}"]
        cells += [f"import os, time\nprint({number}, os.getpid(), flush=True)\ntime.sleep(0.01)" for number in range(15)]
        nodes = [nbformat.v4.new_code_cell(source) for source in cells]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=nodes, metadata=kernel), folder / "in.ipynb")

    def start(self, output: Path) -> int:
        """The process id of a run."""
        print(self.folder / "in.ipynb", output, file=self.tell, flush=True)
        return int(self.lines.readline())

    def ended(self) -> tuple[int, str]:
        """How the run ended."""
        print(file=self.tell, flush=True)
        code, _, said = self.lines.readline().strip().partition(" ")
        return int(code), said


@pytest.fixture
def runners(own_place: Path, tmp_path: Path) -> Iterator[Runners]:
    command = [sys.executable, str(RUNNER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ}) as program:
        yield Runners(program, tmp_path)
        assert program.stdin is not None
        program.stdin.close()
        assert program.wait(20) == 0


def victims(kind: str, runner: int, server: int) -> list[int]:
    """Who is to be killed, if he lives yet."""
    if kind == "runner":
        return [runner]
    if kind == "server":
        return [server]
    with suppress(psutil.NoSuchProcess):
        nests = psutil.Process(server).children()
        kernels = [child.pid for nest in nests for child in nest.children() if child.children()]
        return kernels if kind == "kernel" else [nest.pid for nest in nests]
    return []


def test_a_crash_of_anybody_at_any_moment_ends_the_run_cleanly(
    runners: Runners, own_place: Path, tmp_path: Path, gone: Callable[..., None]
) -> None:
    chance = random.Random(3)  # noqa: S311 - moments, not secrets
    ended = dict.fromkeys(("runner", "kernel", "nest", "server"), 0)
    for attempt in range(48):
        kind = list(ended)[attempt % 4]
        output = tmp_path / f"{attempt}.ipynb"
        runners.left.unlink(missing_ok=True)
        runner = runners.start(output)
        while attempt % 8 >= 4 and not runners.left.exists():  # half of the moments lie in the cells
            time.sleep(0.005)
        time.sleep(chance.random() * 0.3)  # the moment is what is random
        server = state(dict(os.environ))
        killed = victims(kind, runner, server["pid"] if server else 0)
        for pid in killed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        code, said = runners.ended()
        if output.exists():
            nbformat.validate(json.loads(output.read_bytes()))
            states = [cell.metadata.papermill.status for cell in nbformat.read(output, as_version=4).cells]
            completed = states.index("completed") if "completed" in states else 0
            finished = sum(each == "completed" for each in states)
            assert states[completed : completed + finished] == ["completed"] * finished
            if code == 0 and said:
                assert "failed" in states, (kind, said, states)
            if code == 0 and not said:
                assert states == ["completed"] * 16
        assert code == (-signal.SIGKILL if kind == "runner" and killed and code else 0), (kind, code, said)
        assert not said or said.startswith("DeadKernelError: Kernel died"), (kind, said)
        ended[kind] += bool(said) or code != 0
        if runners.left.exists():
            gone(int(runners.left.read_text() or 0))
    assert all(ended.values()), ended
    runners.start(tmp_path / "last.ipynb")
    assert runners.ended() == (0, "")
    settled(own_place)
    assert not [path for path in tmp_path.glob("*.ipynb") if recover(path)], "nobody has to complete what a killed runner left"
    assert not list(tmp_path.glob(".*.saving-*"))


def test_imports_that_never_end_lead_the_standard_way(own_place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "never_ends.py").write_text("import threading\nthreading.Event().wait()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    environment = dict(os.environ)
    with pytest.raises(Unavailable, match="imports take more than 50 s"):
        ask_cells(["never_ends"], folder=own_place, environment=environment)
    process, wire = ask_cells(["never_ends"], folder=own_place, environment=environment)
    assert "ready" in wire.receive(time.monotonic() + 20).content(), "the next run does that import by itself"
    wire.close()
    process.close()
