"""The least that a notebook run can cost: a fork, and its cells in plain IPython. A process of its own, started by `engine`.

It has imported what a warm kernel and the notebook import, and has made its shell. For each line read it forks a child that
runs the cells and ends, and writes as JSON how many seconds that took and what the cells printed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import ipykernel.ipkernel  # noqa: F401 - so that this process is as large as the one that forks warm kernels
import nbformat
import papermill  # noqa: F401 - likewise
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from workbench.execution.warm.imports import modules_of


def main(notebook: Path) -> None:
    """Waits for orders until its input ends."""
    sources = [cell.source for cell in nbformat.read(notebook, as_version=4).cells]
    for name in modules_of(sources):
        importlib.import_module(name)
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))  # its thread would not survive a fork
    gc.freeze()
    for _ in sys.stdin:
        with tempfile.TemporaryFile("w+") as said:
            started = time.perf_counter()
            child = os.fork()
            if not child:
                for standard in (1, 2):
                    os.dup2(said.fileno(), standard)
                succeeded = all(shell.run_cell(source, store_history=True).success for source in sources)
                sys.stdout.flush()
                os._exit(not succeeded)
            _, status = os.waitpid(child, 0)
            seconds = time.perf_counter() - started
            said.seek(0)
            printed = said.read()
        if status:
            raise RuntimeError(f"a cell of {notebook.name} failed: {printed}")
        sys.stdout.write(json.dumps({"seconds": seconds, "printed": printed}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
