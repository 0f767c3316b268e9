"""A planted secret is found nowhere: in no file that a run makes and in nothing it says, however it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import pytest

from workbench.execution.secrets import Scrubber
from workbench.orchestration.projects import init_example

from .conftest import QUICK

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SECRETS = {"api-token": "tok_9aZ-8kQ.71mXl'Pq2W", "file-token": 'p%ss/w+rd=="geheim" äöü 77'}
PARAMETERS = """
from workbench.session import Secret
token: Secret = "secret://api-token"
other: Secret = "secret://file-token"
"""
LEAKS = """\
import base64, json, logging, os, subprocess, sys, time, traceback, urllib.parse, warnings
import ipywidgets, pandas
from IPython.display import HTML, JSON, display
from workbench import session

given = session.parameters()

def inner(word):
    raise KeyError(word)

def outer(word):
    held = {"word": word}
    try:
        inner(word)
    except KeyError as error:
        raise RuntimeError(f"{held} {error!r}") from error

for secret in (given.token, given.other):
    print(secret, repr(secret), json.dumps(secret), [secret], secret[::-1], secret.upper(), " ".join(secret))
    print(base64.b64encode(secret.encode()).decode(), base64.b64encode(f"user:{secret}".encode()).decode())
    print(base64.b32encode(secret.encode()), secret.encode().hex(), secret.encode(), list(secret.encode()))
    print("https://user:" + urllib.parse.quote(secret, safe="") + "@example.org/?" + urllib.parse.urlencode({"t": secret}))
    for letter in secret:
        print(letter, end="", flush=True)
        time.sleep(0.02)
    for start in range(0, len(secret), 6):
        sys.stderr.write(secret[start : start + 6])
        sys.stderr.flush()
        time.sleep(0.3)
    os.write(2, secret.encode() + b"\\n")
    os.write(1, secret.encode() + b"\\n")
    subprocess.run([sys.executable, "-c", "import sys; print(sys.argv[1]); print(sys.argv[1], file=sys.stderr)", secret])
    logging.getLogger("mine").warning("the secret is %s", secret)
    warnings.warn(f"do not tell {secret}")
    display(pandas.DataFrame({secret: [secret], "n": [1]}), {"raw": secret}, metadata={secret: secret})
    display(HTML(f"<b>{secret}</b>"), JSON({"secret": secret}))
    display(ipywidgets.Text(value=secret, description=secret))
    captured = ipywidgets.Output()
    display(captured)
    with captured:
        print(secret)
    try:
        outer(secret)
    except RuntimeError:
        traceback.print_exc()
    for leak in (lambda: session.save(stolen=secret), lambda: session.save(stolen=pandas.DataFrame({"a": [secret]}))):
        try:
            leak()
        except Exception as error:
            print(type(error).__name__, error)
print(os.environ)
given.token
"""
ENDS = {
    "success": "1 + 1",
    "failure": "outer(str(Out)[-40:] + given.token + given.other)",
    "killed": "print(given.token, flush=True)\nprint(given.other[:-2], end='', flush=True)\ntime.sleep(600)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A user's whole world: home, temporary files, warm processes, secrets, one project."""

    root: Path

    @property
    def project(self) -> Path:
        """The project's folder."""
        return self.root / "credit"

    def environment(self) -> dict[str, str]:
        """Everything that is written goes into this place."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("WORKBENCH_", "METAFLOW_"))}
        folders = {"HOME": "home", "TMPDIR": "tmp", "IPYTHONDIR": "home/ipython", "MPLCONFIGDIR": "home/mpl"}
        folders |= {"JUPYTER_CONFIG_DIR": "home/jc", "JUPYTER_RUNTIME_DIR": "home/jr", "BENTOML_HOME": "home/bento"}
        own |= {name: str(self.root / folder) for name, folder in folders.items()}
        own |= {"WORKBENCH_RUNTIME_DIR": str(self.root / "run"), "WORKBENCH_ACTOR": "tester", "METAFLOW_USER": "tester"}
        return own | {
            "WORKBENCH_SECRET_API_TOKEN": SECRETS["api-token"],
            "WORKBENCH_SECRETS_DIR": str(self.root / "secrets"),
        }

    def plant(self, end: str) -> Path:
        """The first notebook of the flow leaks wherever it can, then ends in this way."""
        path = self.project / "notebooks" / "01_prepare.ipynb"
        notebook = nbformat.read(path, as_version=4)
        (tagged,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
        tagged.source += PARAMETERS
        notebook.cells += [nbformat.v4.new_code_cell(source, id=name) for name, source in (("leaks", LEAKS), ("end", ENDS[end]))]
        nbformat.write(notebook, path)
        return path

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Begins a command; what it says goes to a file, which is searched like all others."""
        with (self.root / "said.log").open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", *command], cwd=self.project, env=self.environment(), stdout=said, stderr=said
            )

    def found(self) -> list[str]:
        """Every file that holds a secret in any spelling, compressed or not."""
        scrubber = Scrubber(SECRETS)
        files = [path for path in self.root.rglob("*") if path.is_file() and path.parent.name != "secrets"]
        assert len(files) > 5
        found = [(path, scrubber.find_in_file(path) or scrubber.find(path.name)) for path in files]
        return [f"{path.relative_to(self.root)}: {name}" for path, name in found if name]


@pytest.fixture
def place(end_warm_processes: Callable[[str], None]) -> Iterator[Place]:
    root = Path(tempfile.mkdtemp(prefix="s-"))
    for folder in ("home", "tmp", "run", "secrets"):
        (root / folder).mkdir(mode=0o700)
    secret = root / "secrets" / "file-token"
    secret.touch(0o600)
    secret.write_text(SECRETS["file-token"] + "\n")
    init_example(root / "credit", "credit")
    yield Place(root=root)
    end_warm_processes(str(root / "run"))
    shutil.rmtree(root, ignore_errors=True)


def executed(place: Place) -> str:
    """The leaking cell as the run left it."""
    (path,) = place.project.rglob("runs/*/*/01_prepare.ipynb")
    cells = {cell.get("id"): cell for cell in nbformat.read(path, as_version=4).cells}
    return json.dumps(cells["leaks"].outputs)


def test_nothing_of_a_secret_is_left_by_a_flow_that_succeeds(place: Place) -> None:
    place.plant("success")
    assert place.start("workbench", "run", *QUICK).wait(600) == 0, (place.root / "said.log").read_text()[-3000:]
    assert executed(place).count("[secret://api-token]") > 20
    assert place.found() == []


def test_nothing_of_a_secret_is_left_by_a_flow_that_fails_nor_by_continuing_it(place: Place) -> None:
    place.plant("failure")
    assert place.start("workbench", "run", *QUICK).wait(300) != 0
    assert executed(place).count("[secret://api-token]") > 20
    assert place.found() == []
    (run,) = (path.name for path in (place.project / ".workbench" / "runs").glob("experiment-*") if path.is_dir())
    assert place.start("workbench", "resume", run).wait(300) != 0
    assert place.found() == []


def test_nothing_of_a_secret_is_left_by_a_flow_that_is_killed(place: Place) -> None:
    place.plant("killed")
    process = place.start("workbench", "run", *QUICK)
    wait_for(place, "end")
    time.sleep(2)  # so that what the last cell has put out so far is saved
    tree = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for member in tree:
        member.kill()
    process.wait()
    assert place.found() == []
    assert executed(place).count("[secret://api-token]") > 20


def test_nothing_of_a_secret_is_left_by_a_kernel_and_a_runner_that_are_killed(place: Place) -> None:
    source = place.plant("killed")
    process = place.start("papermill", "--engine", "workbench", "--log-output", str(source), "out.ipynb", "--cwd", "notebooks")
    deadline = time.monotonic() + 120
    while (place.root / "said.log").read_text(errors="replace").count("[secret://") < 20 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.2)
    process.kill()
    process.wait()
    assert place.found() == []


def test_nothing_of_a_secret_is_left_by_a_notebook_that_takes_too_long(place: Place) -> None:
    source = place.plant("killed")
    limit = ("--execution-timeout", "20")
    process = place.start(
        "papermill", "--engine", "workbench", "--log-output", *limit, str(source), "out.ipynb", "--cwd", "notebooks"
    )
    assert process.wait(200) != 0
    assert "TimeoutError" in (place.root / "said.log").read_text()
    assert place.found() == []


def wait_for(place: Place, cell: str) -> None:
    """Until a cell of the flow has begun."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        for path in place.project.rglob("runs/*/*/01_prepare.ipynb"):
            cells = {each.get("id"): each for each in json.loads(path.read_bytes())["cells"]}
            if cells[cell]["metadata"].get("papermill", {}).get("status") == "running":
                return
        time.sleep(0.2)
    raise AssertionError((place.root / "said.log").read_text()[-2000:])
