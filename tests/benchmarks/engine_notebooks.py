"""The notebooks that the benchmark `engine` runs, written into its folder; `engine_limit` runs their cells without Jupyter."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from nbformat import v4, write

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}

FIT = """import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
x = np.random.default_rng(0).normal(size=(500, 4)); y = x[:, 0] > 0
LogisticRegression().fit(x, y).score(x, y)"""

PICTURE = """import random
from IPython.display import Image
picture = b"\\x89PNG\\r\\n\\x1a\\n" + random.Random(0).randbytes(150_000)"""

WEIGH = """import os, time
from pathlib import Path

def meet(name, together):
    place = Path(name)
    place.mkdir(exist_ok=True, parents=True)
    (place / str(os.getpid())).touch()
    for _ in range(1200):
        if len(list(place.iterdir())) >= together:
            return
        time.sleep(0.05)
    raise TimeoutError(f"fewer than {together} kernels came")

meet({folder!r} + "/fitted", {together})
lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
print(sum(int(line.split()[1]) for line in lines if line.startswith("Private_")))
meet({folder!r} + "/weighed", {together})"""
"""Prints how many kB of memory the kernel shares with nobody, while it and the others have their models."""

NOTEBOOKS: Mapping[str, Sequence[str]] = {
    "5 cells": ("a = 1", "print(a)", "a + 1", "import sys; print('err', file=sys.stderr)", "[a] * 3"),
    "pandas and scikit-learn": (FIT, "pd.DataFrame(x).describe().round(2)"),
    "torch": ("import torch", "torch.ones(3, 3) @ torch.ones(3)"),
    "200 small cells": tuple(f"v{number} = {number}; v{number}" for number in range(200)),
    "101 cells, 20 MB of images": (PICTURE, *["Image(data=picture, format='png')"] * 100),
}


def write_notebook(path: Path, cells: Sequence[str]) -> Path:
    """A notebook of code cells for the kernel `python3`."""
    write(v4.new_notebook(cells=[v4.new_code_cell(source) for source in cells], metadata={"kernelspec": KERNEL}), path)
    return path


def write_weighing(path: Path, together: int) -> Path:
    """A notebook that fits a model and weighs its kernel once as many kernels as `together` have come to that point.

    They meet in folders beside it; `meet_anew` makes room for the next round.
    """
    weigh = WEIGH.replace("{folder!r}", repr(str(path.with_suffix("")))).replace("{together}", str(together))
    return write_notebook(path, [FIT, weigh])


def meet_anew(notebook: Path) -> None:
    """Forgets the kernels that met at a notebook of `write_weighing`."""
    shutil.rmtree(notebook.with_suffix(""), ignore_errors=True)


def write_notebooks(folder: Path) -> dict[str, Path]:
    """Writes them all; returns where each is."""
    return {name: write_notebook(folder / f"{name.replace(' ', '_')}.ipynb", cells) for name, cells in NOTEBOOKS.items()}
