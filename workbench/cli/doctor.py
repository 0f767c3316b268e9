"""`workbench doctor`: checks what a journey needs on this machine, and says how to get what is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.markup import escape

from workbench.cli.output import console, print_json
from workbench.errors import ComponentMissing, NotFound, WorkbenchError
from workbench.settings import Layout, find_project

__all__ = ["Check", "check_all", "print_health"]

MODULES = {
    "jupyterlab": "JupyterLab",
    "ipywidgets": "ipywidgets",
    "papermill": "papermill",
    "metaflow": "Metaflow",
    "sklearn": "scikit-learn",
    "torch": "PyTorch",
    "fairlearn": "fairlearn",
    "evidently": "Evidently",
    "bentoml": "BentoML",
    "onnxruntime": "ONNX Runtime",
}
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
DISK_NEEDED = 1 << 30
INSTALL = "Install with the pins: pip install -c constraints.txt -e ."


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: whether it is well, what was seen, and what to do when it is not."""

    name: str
    well: bool
    seen: str
    remedy: str = ""


def check_all() -> list[Check]:
    """Every check, in the order a newcomer would meet the parts."""
    return [*_python(), *_packages(), _kernel(), _extension(), *_project()]


def print_health(*, as_json: bool) -> None:
    """Prints the checks.

    Raises:
        ComponentMissing: at least one failed.
    """
    checks = check_all()
    ill = [check for check in checks if not check.well]
    if as_json:
        print_json({"well": not ill, "checks": [asdict(check) for check in checks]})
        if ill:
            sys.exit(ComponentMissing.exit_code)
        return
    for check in checks:
        mark = "[green]✓[/]" if check.well else "[red]✗[/]"
        console.print(f"{mark} {check.name:<22} {escape(check.seen)}")
        if not check.well:
            console.print(f"  [cyan]next[/] {escape(check.remedy)}")
    if ill:
        raise ComponentMissing(f"{len(ill)} of {len(checks)} checks failed", hint="Follow the lines marked next.")


def _python() -> Iterator[Check]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Check(name="Python", well=supported, seen=version, remedy="Use Python 3.11, 3.12 or 3.13.")
    free = shutil.disk_usage(Path.cwd()).free
    yield Check(
        name="free disk", well=free > DISK_NEEDED, seen=f"{free / (1 << 30):.1f} GiB", remedy="Free at least 1 GiB on this disk."
    )


def _packages() -> Iterator[Check]:
    for module, name in MODULES.items():
        if importlib.util.find_spec(module) is None:
            yield Check(name=name, well=False, seen="not installed", remedy=INSTALL)
        else:
            version = importlib.metadata.version(DISTRIBUTIONS.get(module, module))
            yield Check(name=name, well=True, seen=version)


def _kernel() -> Check:
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError as error:
        return Check(name="Jupyter kernel", well=False, seen=str(error), remedy=INSTALL)
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        remedy = f"{sys.executable} -m ipykernel install --sys-prefix"
        return Check(name="Jupyter kernel", well=False, seen="no kernel named python3", remedy=remedy)
    return Check(name="Jupyter kernel", well=True, seen=spec.display_name)


def _extension() -> Check:
    code = "from metaflow import notebook"
    environment = {**os.environ, "METAFLOW_USER": "workbench"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)  # noqa: S603
    if done.returncode == 0:
        return Check(name="Metaflow extension", well=True, seen="from metaflow import notebook")
    said = done.stderr.strip().splitlines() or [f"importing it ended with code {done.returncode}"]
    return Check(name="Metaflow extension", well=False, seen=said[-1], remedy=INSTALL)


def _project() -> Iterator[Check]:
    try:
        layout = find_project()
    except NotFound:
        yield Check(name="project", well=True, seen="none here; make one: workbench init NAME --example credit")
        return
    yield _project_file(layout)
    database = layout.state / "control.db"
    if os.environ.get("WORKBENCH_DATABASE_URL"):
        yield _shared_database(layout)
    elif database.exists():
        yield _own_database(database)


def _own_database(file: Path) -> Check:
    """SQLite's own look at every page of the file."""
    try:
        with closing(sqlite3.connect(file)) as connection:
            seen = str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    except sqlite3.DatabaseError as error:
        seen = str(error)
    return Check(name="control database", well=seen == "ok", seen=seen, remedy=f"Restore {file} from a backup.")


def _shared_database(layout: Layout) -> Check:
    from workbench.store import open_control

    try:
        with open_control(layout) as control:
            control.runs(limit=1)
    except WorkbenchError as error:
        return Check(name="control database", well=False, seen=error.message, remedy=error.hint)
    return Check(name="control database", well=True, seen="the database of WORKBENCH_DATABASE_URL answers")


def _project_file(layout: Layout) -> Check:
    from workbench.project import read_project

    try:
        project = read_project(layout.project_file)
    except WorkbenchError as error:
        return Check(name="workbench.toml", well=False, seen=str(error), remedy=error.hint)
    source = layout.root / project.dataset.source
    if not source.exists():
        return Check(name="dataset", well=False, seen=f"{source} does not exist", remedy="Mend dataset.source in workbench.toml.")
    return Check(name="workbench.toml", well=True, seen=f"{project.name}: {project.dataset.task} on {project.dataset.source}")
