"""What the judges need beside the checkout: the suites' sources and a separate environment; made once, under `build/`, by pip."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import site
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from workbench.errors import ComponentMissing

__all__ = ["ROOT", "Environment", "prepare"]

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "conformance"
PLUGIN = Path(__file__).parent / "plugin"
PROJECTS = ("nbclient", "papermill")

NOT_PASSED_ON = {"PYTHONHASHSEED", "PYTHONPATH", "PYTEST_CURRENT_TEST"}
"""With the last, ipykernel leaves out what is written below Python, since pytest captures that itself."""

# Beyond what the checkout's own environment has. The first two lines are what the suites declare for their tests, the last
# are the kernels of two other languages: a shell, and a compiled program that holds no Python at all.
NEEDS = (
    *("flaky", "pytest-asyncio>=1.3", "testpath", "xmltodict"),
    *("azure-datalake-store<1", "azure-identity", "azure-storage-blob", "black", "gcsfs", "moto<5.2", "pygithub", "pytest-mock"),
    *("bash_kernel==0.10.0", "deno==2.9.8"),
)
KERNELS = {
    "bash": {"argv": ["python", "-m", "bash_kernel", "-f", "{connection_file}"], "display_name": "Bash", "language": "bash"},
    "deno": {
        "argv": ["deno", "jupyter", "--kernel", "--conn", "{connection_file}"],
        "display_name": "Deno",
        "language": "typescript",
    },
}

VARIABLES = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An interpreter that sees the checkout's packages and those of `NEEDS`, and the unpacked archives of the suites."""

    python: Path
    archives: dict[str, Path]

    def unpack(self, project: str, folder: Path) -> Path:
        """Unpacks a project's sources, tests included, into `folder` and returns their root."""
        with tarfile.open(self.archives[project]) as archive:
            archive.extractall(folder, filter="data")
        return folder / f"{project}-{version(project)}"

    def call(self, command: Sequence[str], folder: Path, said: Path, seconds: float) -> int:
        """Runs a judged process; then ends whatever it left behind, its warm processes among them.

        Args:
            command: the program, which finds the programs of this environment first.
            folder: where it runs.
            said: the file for its output; a pipe would stay open as long as anything it left behind.
            seconds: how long it may take.

        Returns:
            Its exit code; that of SIGKILL when it took too long.
        """
        path = os.pathsep.join([str(self.python.parent), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        kept = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
        with tempfile.TemporaryDirectory(prefix="warm-") as runtime, said.open("wb") as output:
            data = str(Path(sys.prefix) / "share" / "jupyter")  # the checkout's kernels and templates
            variables = {**kept, **VARIABLES, "PATH": path, "JUPYTER_PATH": data, "WORKBENCH_RUNTIME_DIR": runtime}
            try:
                done = subprocess.run(
                    command, cwd=folder, env=variables, stdout=output, stderr=output, timeout=seconds, check=False
                )
            except subprocess.TimeoutExpired:
                return -signal.SIGKILL
            finally:
                _end_processes_of(runtime)
        return done.returncode


def prepare() -> Environment:
    """Downloads and installs what is missing.

    Raises:
        ComponentMissing: pip could not fetch a source archive or a package.
    """
    HOME.mkdir(parents=True, exist_ok=True)
    recipe = json.dumps([sys.version, sys.prefix, NEEDS, KERNELS, (ROOT / "constraints.txt").read_text()])
    place = HOME / f"venv-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    python = place / "bin" / "python"
    archives = {project: _archive(project) for project in PROJECTS}
    if not (place / "complete").exists():
        venv.create(place, clear=True)
        _see_the_checkouts_packages(place)
        _pip(python, "install", "--constraint", str(ROOT / "constraints.txt"), *NEEDS)
        for name, spec in KERNELS.items():
            folder = place / "share" / "jupyter" / "kernels" / name
            folder.mkdir(parents=True)
            (folder / "kernel.json").write_text(json.dumps(spec))
        (place / "complete").touch()
    return Environment(python=python, archives=archives)


def _end_processes_of(runtime: str) -> None:
    """Whatever was started with this folder, and whatever that forked, still shows it in its environment."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("WORKBENCH_RUNTIME_DIR") == runtime:
                process.kill()


def _see_the_checkouts_packages(place: Path) -> None:
    """A .pth line runs as code, so that the .pth files of editable installations beside it are followed as well."""
    (packages,) = place.glob("lib/python*/site-packages")
    lines = [f"import site; site.addsitedir({folder!r})" for folder in site.getsitepackages()]
    (packages / "checkout.pth").write_text("\n".join([str(PLUGIN), *lines]) + "\n")


def _archive(project: str) -> Path:
    """The source archive of the installed version: only it holds the tests."""
    archive = HOME / f"{project}-{version(project)}.tar.gz"
    if not archive.exists():
        wanted = f"{project}=={version(project)}"
        _pip(Path(sys.executable), "download", "--no-deps", "--no-binary", project, "--dest", str(HOME), wanted)
    return archive


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ComponentMissing(
            f"pip {arguments[0]} failed: {done.stderr.strip()[-400:]}", hint="The conformance suites need a package index."
        )
