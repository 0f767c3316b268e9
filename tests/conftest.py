"""What holds for every test: nothing leaves the machine, nothing is written outside a temporary folder, plots need no screen."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from workbench.settings import TELEMETRY_OFF

ROOT = Path(__file__).parents[1]
HOMES = ("BENTOML_HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "METAFLOW_HOME", "MPLCONFIGDIR")

RUNTIME = "WORKBENCH_RUNTIME_DIR"

scratch = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Sets the environment before any test module is collected, since frameworks read theirs when they are imported."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would their children
    config.stash[scratch] = tempfile.TemporaryDirectory(prefix="workbench-tests-", ignore_cleanup_errors=True)
    folder = Path(config.stash[scratch].name)
    os.environ.update(TELEMETRY_OFF)
    os.environ.update({name: str(folder / name.lower()) for name in HOMES})
    os.environ[RUNTIME] = str(folder / "run")
    os.environ.update(WORKBENCH_ACTOR="tester", METAFLOW_USER="tester", MPLBACKEND="Agg", PYDEVD_DISABLE_FILE_VALIDATION="1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads make parallel tests many times slower
    os.environ.pop("WORKBENCH_DATABASE_URL", None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the warm processes, and removes what the frameworks wrote."""
    end_warm_processes(f"{config.stash[scratch].name}/run")
    config.stash[scratch].cleanup()


def end_warm_processes(folder: str) -> None:
    """Kills what was started with this runtime folder, and what that forked: it leads sessions of its own."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(RUNTIME) == folder and os.getsid(process.pid) != os.getsid(0):
                process.kill()


@pytest.fixture(scope="session", name="end_warm_processes")
def _end_warm_processes() -> Callable[[str], None]:
    """For tests with a runtime folder of their own."""
    return end_warm_processes


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT
