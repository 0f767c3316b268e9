"""Where a project keeps its files, who acts, and the environment every entry point must set. Every other package asks here."""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from workbench.errors import NotFound

__all__ = [
    "CREDENTIALS",
    "PROJECT_FILE",
    "TELEMETRY_OFF",
    "Layout",
    "actor",
    "environment",
    "find_project",
    "revision",
    "templates",
]

PROJECT_FILE = "workbench.toml"

TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "BENTOML_DO_NOT_TRACK": "1",
    "METAFLOW_DISABLE_TELEMETRY": "1",
    "ITERATIVE_DO_NOT_TRACK": "1",
    "EVIDENTLY_DISABLE_TELEMETRY": "1",
}

CREDENTIALS = frozenset({"WORKBENCH_TOKEN", "WORKBENCH_OIDC_SECRET"})
"""What a person or a server acts with, and nothing that is started for a project may inherit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The files of one project: what people edit at the root, what the workbench writes under `.workbench`."""

    root: Path

    @property
    def project_file(self) -> Path:
        """What is learned from which data, and under which rules: a person's to edit."""
        return self.root / PROJECT_FILE

    @property
    def notebooks(self) -> Path:
        """The notebooks: a person's to edit."""
        return self.root / "notebooks"

    @property
    def flows(self) -> Path:
        """The flows: which notebook runs, and in which order."""
        return self.root / "flows"

    @property
    def state(self) -> Path:
        """Everything the workbench writes; not for version control."""
        return self.root / ".workbench"

    @property
    def objects(self) -> Path:
        """What notebooks saved and data sets held, by digest."""
        return self.state / "objects"

    @property
    def runs(self) -> Path:
        """One folder for each run: executed notebooks and progress."""
        return self.state / "runs"

    @property
    def drafts(self) -> Path:
        """What a person saved while working interactively."""
        return self.state / "drafts"

    @property
    def predictions(self) -> Path:
        """The log of served predictions."""
        return self.state / "predictions"

    @property
    def reports(self) -> Path:
        """Monitoring reports as pages."""
        return self.state / "reports"

    @property
    def keys(self) -> Path:
        """The project's signing key, readable by its owner only, and the public half of it."""
        return self.state / "keys"

    @property
    def heads(self) -> Path:
        """Signed heads of the audit, one on each line; copy them to where nobody can change them."""
        return self.state / "audit-heads.jsonl"

    @property
    def database_url(self) -> str:
        """`WORKBENCH_DATABASE_URL` (a team's PostgreSQL), else the project's own SQLite file."""
        return os.environ.get("WORKBENCH_DATABASE_URL") or f"sqlite:///{quote(str(self.state / 'control.db'))}"


def find_project(start: Path | None = None) -> Layout:
    """The project that holds `start` (default: the working directory), found by walking up to workbench.toml.

    Raises:
        NotFound: no parent folder holds a workbench.toml.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / PROJECT_FILE).is_file():
            return Layout(root=folder)
    raise NotFound(
        f"no {PROJECT_FILE} in {here} or above it",
        hint="Change into a project, or make one: workbench init NAME --example credit",
    )


def actor() -> str:
    """The name under which records are written: `WORKBENCH_ACTOR`, else the operating system's user."""
    try:
        return os.environ.get("WORKBENCH_ACTOR") or getpass.getuser()
    except (KeyError, OSError):  # containers often run under a number that has no name
        return f"uid-{os.getuid()}"


def environment(layout: Layout) -> dict[str, str]:
    """Environment variables for every process started for a project.

    No credential is among them, telemetry is off, this interpreter comes first, and Metaflow's store and nbconvert's templates
    are where they belong.
    """
    scripts = str(Path(sys.executable).parent)
    inherited = {name: value for name, value in os.environ.items() if name not in CREDENTIALS}
    user = re.sub(r"[^a-z0-9-]", "-", actor().lower())
    return {
        **inherited,
        **TELEMETRY_OFF,
        "PATH": os.pathsep.join(filter(None, [scripts, inherited.get("PATH")])),
        "WORKBENCH_ACTOR": actor(),  # Metaflow calls its steps' user by its own name for them, and does not take every name
        "METAFLOW_USER": inherited.get("METAFLOW_USER") or ("workbench" if user == "root" else user),
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(layout.root),
        "METAFLOW_DEFAULT_DATASTORE": inherited.get("METAFLOW_DEFAULT_DATASTORE", "local"),
        "METAFLOW_DEFAULT_METADATA": inherited.get("METAFLOW_DEFAULT_METADATA", "local"),
        "METAFLOW_HOME": inherited.get("METAFLOW_HOME", str(layout.state / "metaflow")),
        "JUPYTER_PATH": os.pathsep.join(
            filter(None, [str(Path(sys.prefix) / "share" / "jupyter"), inherited.get("JUPYTER_PATH")])
        ),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        # idle OpenMP threads that spin make parallel fits on few cores many times slower
        "OMP_WAIT_POLICY": inherited.get("OMP_WAIT_POLICY", "PASSIVE"),
    }


def revision(folder: Path) -> str:
    """The git commit that holds `folder`, with `+` when files differ from it, or `unversioned`."""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return "unversioned"
    return done.stdout.strip() if done.returncode == 0 else "unversioned"


def templates(name: str) -> Path:
    """The folder of templates `name` (notebooks, flows, bentos): beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parent
    shipped = package / "templates" / name
    return shipped if shipped.is_dir() else package.parent / name
