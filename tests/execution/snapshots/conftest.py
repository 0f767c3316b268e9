"""Kernels of the tests' own: one in a process for each run, and one in the process of the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

KERNEL = Path(__file__).with_name("cells.py")


@pytest.fixture
def run_cells(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs cells in a fresh process, with a snapshot after each; `resume=True` continues from the longest stored prefix."""

    def run(
        cells: list[str], *, folder: str = "project", resume: bool = False, secret: str | None = None, survives: bool = True
    ) -> dict[str, Any]:
        home = tmp_path / folder
        home.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, str(KERNEL), str(home)],
            input=json.dumps({"cells": cells, "resume": resume, "secret": secret}),
            cwd=home,
            env=os.environ | {"IPYTHONDIR": str(tmp_path / "ipython"), "MPLBACKEND": "agg"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode == 0) == survives, done.stderr
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if survives else {}
        return said

    return run


@pytest.fixture
def resumed(run_cells: Callable[..., dict[str, Any]]) -> Callable[[list[str]], tuple[dict[str, Any], dict[str, Any]]]:
    """Fails on purpose at cell 4, mends it and resumes; returns what that run said, and what a clean run says."""

    def resume(cells: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        failed = run_cells([*cells[:3], "raise RuntimeError('on purpose')", *cells[4:]])
        assert failed["ran"] == [1, 2, 3, 4]
        assert failed["refused"] == {}
        return run_cells(cells, resume=True), run_cells(cells, folder="clean")

    return resume


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell in this process, with a module of its own instead of `__main__`."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    yield InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}), user_module=ModuleType("notebook"))
    del sys.modules["notebook"]
