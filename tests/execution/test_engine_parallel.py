"""What notebooks start beside themselves works in a forked kernel: threads, tasks, processes, parallel libraries."""

from __future__ import annotations

import pytest


def test_programs_threads_and_tasks(runs):
    said = runs(
        "import subprocess\nprint(subprocess.run(['echo', 'run'], capture_output=True, text=True).stdout, end='')",
        "!echo shell",
        "%%bash\necho bash\necho error >&2",
        "import os\n_ = os.system('echo system')\n_ = os.write(1, b'below Python\\n')",
        "import threading\nthread = threading.Thread(target=print, args=('thread',))\nthread.start()\nthread.join()",
        "import asyncio\nasync def later():\n    await asyncio.sleep(0.05)\n    return 'task'",
        "task = asyncio.create_task(later())",
        "print(await task)",
    )
    assert said[0] == "run\n"
    assert said[1].split() == ["shell"]
    assert sorted(said[2].split()) == ["bash", "error"]
    assert sorted(said[3].splitlines()) == ["below Python", "system"]
    assert said[4:] == ["thread\n", "", "", "task\n"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_process_pools_of_each_kind(runs, method):
    pool = f"with multiprocessing.get_context({method!r}).Pool(2) as pool:\n    print(pool.map(math.sqrt, [1, 4]))"
    assert runs("import math, multiprocessing", pool)[1] == "[1.0, 2.0]\n"


def test_a_pool_runs_functions_of_the_notebook(runs):
    from_cell = "from concurrent.futures import ProcessPoolExecutor\ndef double(x):\n    return 2 * x"
    assert runs(from_cell, "with ProcessPoolExecutor(2) as pool:\n    print(list(pool.map(double, [1, 2])))")[1] == "[2, 4]\n"


def test_what_forked_children_print_arrives_whole(runs):
    children = "for _ in range(4):\n    if not os.fork():\n        print('x' * 50_000)\n        os._exit(0)"
    quiet = (
        "import os, warnings\nwarnings.simplefilter('ignore', DeprecationWarning)"  # Python 3.12 warns that kernels have threads
    )
    said = runs(quiet, children, "for _ in range(4):\n    _ = os.wait()")
    assert "".join(said).replace("\n", "") == "x" * 200_000


def test_joblib_ends_with_the_run(runs):
    cells = (
        "from joblib import Parallel, delayed\ndef square(x):\n    return x * x",
        "print(Parallel(n_jobs=2)(delayed(square)(x) for x in [2, 3]))",
    )
    assert runs(*cells)[1] == "[4, 9]\n"


def test_openmp_of_scikit_learn_and_of_torch_in_one_notebook(runs):
    said = runs(
        "import numpy, torch\nfrom sklearn.cluster import KMeans\nfrom sklearn.ensemble import HistGradientBoostingClassifier",
        "rows = numpy.random.default_rng(0).random((500, 4))\ntarget = rows[:, 0] > 0.5",
        "print(HistGradientBoostingClassifier(max_iter=5).fit(rows, target).score(rows, target) > 0.9)",
        "layer = torch.nn.Linear(4, 1)\nlayer(torch.tensor(rows).float()).sum().backward()\nprint(layer.weight.grad.shape)",
        "from torch.utils.data import DataLoader, TensorDataset\n"
        "print(len(list(DataLoader(TensorDataset(torch.tensor(rows)), batch_size=100, num_workers=1))))",
        "print(KMeans(2, n_init=1).fit(rows).n_iter_ > 0)",
    )
    assert said[2:] == ["True\n", "torch.Size([1, 4])\n", "5\n", "True\n"]
    assert runs.notebook.metadata.workbench.kernel == "warm"


def test_polars_computes_with_threads_of_its_own(runs):
    """It starts some when it is imported, and a fork does not copy them."""
    frame = "rows = polars.DataFrame({'group': list(range(100)) * 1000})"
    grouped = "rows.lazy().group_by('group').len().collect().height"
    assert runs("import polars", frame, grouped)[2] == "100"
    assert runs.notebook.metadata.workbench.kernel == "warm"
