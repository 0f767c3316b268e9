"""The command line as a process of its own, in a project of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from workbench.orchestration.projects import init_example

Workbench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def workbench() -> Workbench:
    """Runs one command in a folder; `answers` are typed in, `changes` are environment variables."""

    def run(folder: Path, arguments: Sequence[str], *, answers: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "workbench", *arguments]
        environment = {**os.environ, **changes}
        return subprocess.run(
            command, cwd=folder, env=environment, input=answers, capture_output=True, text=True, check=False, timeout=120
        )

    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh project on the credit example."""
    return init_example(tmp_path / "credit", "credit").folder
