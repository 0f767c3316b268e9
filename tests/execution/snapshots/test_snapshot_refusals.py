from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., dict[str, Any]]


def refusals(said: dict[str, Any], cell: int = 1) -> dict[str, tuple[str, str]]:
    """Type and reason by name, of what a cell's snapshot refused."""
    return {name: (kind, why) for name, kind, why in said["refused"].get(str(cell), [])}


def test_what_belongs_to_one_process_is_named_with_its_type_and_a_reason(run_cells: Run) -> None:
    definition = """
import asyncio, concurrent.futures, ipywidgets, multiprocessing, numpy as np, socket, sqlite3, tempfile, threading
opened = open('x.txt', 'w'); sock = socket.socket(); lock = threading.Lock(); inside = {'deep': [lock]}
thread = threading.Thread(); generator = (i for i in [1]); database = sqlite3.connect(':memory:')
pool = concurrent.futures.ThreadPoolExecutor()
async def later(): await event.wait()
event = asyncio.Event(); task = asyncio.ensure_future(later()); await asyncio.sleep(0)
folder = tempfile.TemporaryDirectory(); mapped = np.memmap('mm', dtype='u1', mode='w+', shape=3); view = memoryview(b'abc')
class Bad:
    def __reduce__(self): raise OSError('nothing doing')
class Holder: pass
bad = Bad(); holder = Holder(); holder.connection = database; queue = multiprocessing.Queue(); slider = ipywidgets.IntSlider()
fine = 1
"""
    said = refusals(run_cells([definition]))
    assert {name: kind.rpartition(".")[2] for name, (kind, _) in said.items() if name not in ("later", "event")} == {
        "opened": "TextIOWrapper",
        "sock": "socket",
        "lock": "lock",
        "inside": "dict",
        "thread": "Thread",
        "generator": "generator",
        "database": "Connection",
        "pool": "ThreadPoolExecutor",
        "task": "Task",
        "folder": "TemporaryDirectory",
        "mapped": "memmap",
        "view": "memoryview",
        "bad": "Bad",
        "holder": "Holder",
        "queue": "Queue",
        "slider": "IntSlider",
    }
    assert said["opened"][1] == "it is an open file"
    assert "it holds a _thread.lock" in said["inside"][1]
    assert "it holds a sqlite3.Connection" in said["holder"][1]
    assert "nothing doing" in said["bad"][1]


def test_resume_goes_back_to_the_last_boundary_that_can_be_restored(run_cells: Run) -> None:
    cells = ["a = 1", "gen = (i for i in [1, 2])", "b = next(gen)", "raise ValueError", "report = [a, b, next(gen)]"]
    failed = run_cells(cells)
    assert set(failed["refused"]) == {"2", "3"}
    again = run_cells([*cells[:3], "c = 1", cells[4]], resume=True)
    assert (again["ran"], again["report"]) == ([2, 3, 4, 5], [1, 1, 2])


def test_a_name_that_was_deleted_no_longer_stands_in_the_way(run_cells: Run) -> None:
    said = run_cells(["f = open('x', 'w')", "f.close()", "lock = __import__('threading').Lock()", "del lock"])
    assert set(said["refused"]) == {"1", "3"}


def test_a_gradient_graph_is_refused_until_backward_has_been_through_it(run_cells: Run) -> None:
    cells = [
        "import torch; w = torch.ones(2, requires_grad=True)",
        "loss = (w * 2).pow(2).sum()",
        "loss.backward()",
        "raise ValueError",
    ]
    said = run_cells(cells)
    assert set(said["refused"]) == {"2"}
    assert "gradient graph" in refusals(said, 2)["loss"][1]
    again = """
try: loss.backward(); raised = ''
except Exception as error: raised = str(error)
report = [loss.item(), w.grad.tolist(), 'restored from a snapshot' in raised]
"""
    after = run_cells([*cells[:3], again], resume=True)
    assert (after["ran"], after["report"], after["refused"]) == ([4], [8.0, [8.0, 8.0], True], {})


def test_a_polars_plan_with_a_function_of_the_notebook_is_refused(run_cells: Run) -> None:
    said = run_cells(
        [
            "import polars as pl\nf = lambda v: v * k\n"
            "plan = pl.DataFrame({'a': [1]}).lazy().with_columns(pl.col('a').map_elements(f, return_dtype=pl.Int64))"
        ]
    )
    assert "the notebook's own function" in refusals(said)["plan"][1]


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("token = ''.join(['hush', '-', '4711'])", "token"),
        ("import numpy as np\nmany = np.frombuffer(b'x' * (3 << 20) + b'hush' + b'-4711', dtype='u1').copy()", "many"),
        ("import os; os.environ['T'] = '-'.join(['hush', '4711'])", "process: variables"),
        ("'-'.join(['hush', '4711'])", "_"),
    ],
)
def test_a_secret_is_named_and_written_nowhere(run_cells: Run, tmp_path: Path, cell: str, name: str) -> None:
    said = run_cells([cell, "fine = 1"], secret="hush-4711")
    assert refusals(said)[name][1] == "holds secret token"
    assert name in refusals(said, 2)
    files = [file for file in (tmp_path / "project").rglob("*") if file.is_file()]
    assert len(files) == 3  # the key, and the two refusals
    assert not any(b"hush-4711" in file.read_bytes() for file in files)


def test_a_full_disk_refuses_the_boundary_and_the_run_goes_on(run_cells: Run, tmp_path: Path) -> None:
    cells = [
        "import os, resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))",
        "x = os.urandom(100_000)",
        "del x; report = 'went on'",
    ]
    said = run_cells(cells)
    assert set(said["refused"]) == {"2"}
    assert "File too large" in refusals(said, 2)["snapshot"][1]
    assert said["report"] == "went on"
    assert not list((tmp_path / "project" / "snapshots").glob(".writing-*"))


def test_a_kill_while_a_snapshot_is_written_leaves_no_snapshot(run_cells: Run, tmp_path: Path) -> None:
    deadly = "class Deadly:\n    def __reduce__(self): os.kill(os.getpid(), signal.SIGKILL)\ndeadly = Deadly()"
    run_cells(["import os, signal; x = os.urandom(10**6)", deadly], survives=False)
    assert len(list((tmp_path / "project" / "snapshots").glob("*.snapshot"))) == 1
    after = run_cells(["import os, signal; x = os.urandom(10**6)", "report = len(x)"], resume=True)
    assert (after["ran"], after["report"]) == ([2], 10**6)


def test_own_code_that_changed_is_not_continued_with(run_cells: Run, tmp_path: Path) -> None:
    module = tmp_path / "project" / "own_code.py"
    module.parent.mkdir()
    module.write_text("def f(): return 1\n")
    cells = [
        "import sys; sys.path.insert(0, '.')\nx = 0",
        "from own_code import f\nx = f()",
        "raise ValueError",
        "report = [x, f()]",
    ]
    assert run_cells(cells)["ran"] == [1, 2, 3]
    assert run_cells([*cells[:2], cells[3]], resume=True)["ran"] == [3]
    module.write_text("def f():\n    return 2\n")  # of another size: Python's own cache knows files by second and size
    after = run_cells([*cells[:2], cells[3]], resume=True)
    assert (after["ran"], after["report"]) == ([2, 3], [2, 2])
