"""A continued run gives the results of a clean one: data frames, models, training that goes on, random numbers, a gigabyte."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from .attempts import Attempts, training

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FAIL = "\nraise ValueError('on purpose')"

PANDAS = (
    "import numpy as np, pandas as pd",
    "frame = pd.DataFrame({'a': np.arange(2000), 'g': pd.Categorical(['x', 'y'] * 1000), 's': ['é', None] * 1000})",
    "frame['t'] = pd.date_range('2024-01-01', periods=2000, tz='Europe/Berlin')\n"
    "view = frame.groupby('g', observed=True)['a'].cumsum()",
    "frame.loc[0, 'a'] = -1\ndel frame['s']",
    "frame['v'] = view\nprint(frame.dtypes.to_json(default_handler=str))",
    "print(pd.util.hash_pandas_object(frame).sum())",
)
SCIKIT = (
    "import numpy as np\nfrom sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier",
    "draw = np.random.default_rng(5)\nX = draw.normal(size=(600, 6))\ny = (X[:, 0] + X[:, 1] ** 2 > 1).astype(int)",
    "forest = RandomForestClassifier(20, warm_start=True, random_state=np.random.RandomState(1), n_jobs=2).fit(X, y)\n"
    "boosted = HistGradientBoostingClassifier(max_iter=20, warm_start=True, random_state=1).fit(X, y)",
    "X += draw.normal(size=X.shape)\n_ = forest.set_params(n_estimators=30).fit(X, y)",
    "_ = forest.set_params(n_estimators=40).fit(X, y)\n_ = boosted.set_params(max_iter=40).fit(X, y)",
    "print(forest.predict_proba(X).tobytes().hex()[:4000])\nprint(boosted.predict_proba(X).round(12).tolist())",
)
POLARS = (
    "import polars as pl",
    "frame = pl.DataFrame({'a': range(5000), 'g': ['x', 'y'] * 2500, 'n': [[1, 2], None] * 2500})\n"
    "frame = frame.with_columns(d=pl.col('a').cast(pl.Date))",
    "grouped = frame.group_by('g', maintain_order=True).agg(pl.col('a').sum())\nlazy = frame.lazy().filter(pl.col('a') > 10)",
    "frame = frame.with_columns(b=pl.col('a') * 2)",
    "frame = frame.join(grouped, on='g')",
    "print(frame.hash_rows(1).sum(), lazy.collect().height, frame.schema)",
)
RANDOM = (
    "import random, numpy as np, torch",
    "random.seed(1)\nnp.random.seed(2)\nown = np.random.default_rng(3)\n"
    "_ = torch.manual_seed(4)\nother = torch.Generator().manual_seed(5)",
    "def draw():\n    return [random.gauss(0, 1), np.random.normal(), own.normal(), "
    "torch.randn(1).item(), torch.rand(1, generator=other).item()]\n"
    "before = [draw() for _ in range(7)]",
    "during = [draw() for _ in range(3)]",
    "after = [draw() for _ in range(5)]",
    "print(before, during, after)",
)
NOTEBOOKS = {"pandas": PANDAS, "scikit-learn": SCIKIT, "torch": training("cpu"), "polars": POLARS, "random generators": RANDOM}
CASES = [
    (library, state)
    for library in NOTEBOOKS
    for state in ("fork point", "durable snapshot")
    if (library, state) != ("polars", "fork point")  # a process in which polars runs threads cannot be forked
]


@pytest.fixture
def attempts(tmp_path: Path):
    made = Attempts(tmp_path)
    yield made
    made.forget()


@pytest.mark.parametrize(("library", "state"), CASES)
def test_a_continued_run_gives_what_a_clean_one_gives(attempts, library, state):
    cells = NOTEBOOKS[library]
    clean = attempts(*cells)
    assert clean.error is None
    for file in attempts.snapshots.glob("*"):
        file.unlink()
    attempts.executed()
    failed = attempts(*cells[:3], cells[3] + FAIL, *cells[4:])
    assert attempts.executed() == [0, 1, 2, 3]
    if state == "fork point":
        assert [entry.kind for entry in attempts.kept()] == ["fork_point"]
        for file in attempts.snapshots.glob("*"):
            file.unlink()
    else:
        attempts.forget()
    continued = attempts(*cells, previous=failed)
    assert continued.error is None
    assert attempts.executed() == [3, 4, 5], continued.facts
    assert [continued.said(each) for each in range(6)] == [clean.said(each) for each in range(6)]


GIGABYTE = (
    "import numpy as np, pandas as pd",
    "frame = pd.DataFrame(np.ones((12_500_000, 10)))",
    "raise ValueError('on purpose')",
)


def test_a_gigabyte_is_continued_in_seconds_without_doubling_memory(attempts):
    failed = attempts(*GIGABYTE)
    (entry,) = attempts.kept()
    attempts.executed()
    began, free = time.monotonic(), psutil.virtual_memory().available
    done = attempts(*GIGABYTE[:2], "print(frame.iloc[:, 0].sum())", previous=failed)
    took, used = time.monotonic() - began, free - psutil.virtual_memory().available
    assert attempts.executed() == [2]
    assert done.said(2) == "12500000.0\n"
    assert took < 5, took
    assert used < 500_000_000
    assert psutil.Process(entry.pid).is_running()


def test_a_process_of_a_gigabyte_ends_with_its_time(attempts):
    attempts(*GIGABYTE, keep_seconds=1.0)
    (entry,) = attempts.kept()
    psutil.Process(entry.pid).wait(20)
