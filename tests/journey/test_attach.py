"""`workbench attach`: what a failed or a running notebook knows, live in JupyterLab, for a while."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from jupyter_client import BlockingKernelClient

from workbench.execution.warm.asking import ask
from workbench.execution.warm.kept import connect, kept
from workbench.execution.warm.place import attached_folder
from workbench.orchestration.projects import init_example
from workbench.settings import Layout

from .conftest import QUICK, command
from .test_resume import newest, refused, replace_cell

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run")


@pytest.fixture(scope="module")
def layout(end_warm_processes: Callable[[str], None]) -> Iterator[Layout]:
    """A project in a world of its own, whose last notebook fails with values at hand."""
    with tempfile.TemporaryDirectory(prefix="a-", ignore_cleanup_errors=True) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RUNTIME_DIR", f"{folder}/run")
        patch.setenv("JUPYTER_RUNTIME_DIR", f"{folder}/jupyter")
        made = Layout(root=init_example(Path(folder) / "credit", "credit").folder)
        replace_cell(made, "01_prepare.ipynb", "look", "answer = [6, 7, 'forty-two']\nraise ValueError('on purpose')")
        yield made
        end_warm_processes(f"{folder}/run")


@pytest.fixture(scope="module")
def lab(layout: Layout) -> Iterator[str]:
    """JupyterLab, as `workbench lab` starts it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "lab", "--no-browser", "--port", "0"],
        cwd=layout.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    folder = Path(os.environ["JUPYTER_RUNTIME_DIR"])
    while not (found := list(folder.glob("jpserver-*.json"))) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.1)
    server = json.loads(found[0].read_text())
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{server['url']}api/status?token={server['token']}").raise_for_status()
            break
        except httpx.HTTPError:
            time.sleep(0.1)
    yield f"{server['url']}?token={server['token']}"
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def failed(layout: Layout, lab: str) -> str:
    """A run that failed and left something to attach to."""
    code, said = refused(layout, "run", *QUICK)
    assert code != 0
    assert "on purpose" in said
    listed: list[dict[str, Any]] = command(layout.root, ["runs"])
    return str(listed[0]["id"])


@pytest.fixture(scope="module")
def attached(layout: Layout, failed: str) -> dict[str, Any]:
    """What `workbench attach` says of that run."""
    document: dict[str, Any] = command(layout.root, ["attach", failed, "--minutes", "5"])
    return document


def client_of(connection_file: Path) -> BlockingKernelClient:
    client = BlockingKernelClient(connection_file=str(connection_file))
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(20)
    return client


def said_by(client: BlockingKernelClient, code: str) -> str:
    """What a piece of code prints there."""
    parts: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            parts.append(message["content"]["text"])
        if message["msg_type"] == "error":
            parts.append(f"{message['content']['ename']}: {message['content']['evalue']}")

    client.execute_interactive(code, output_hook=hear, timeout=30)
    return "".join(parts)


def newest_connection() -> Path:
    return max(attached_folder().glob("*.json"), key=lambda path: path.stat().st_mtime)


def test_without_jupyterlab_or_a_kept_kernel_attach_says_what_to_do(layout: Layout) -> None:
    code, said = refused(layout, "attach")
    assert code != 0
    assert "workbench lab" in said


def test_a_failed_run_that_used_polars_is_attached_to_itself_with_its_error(layout: Layout, failed: str, attached: Any) -> None:
    assert Path(attached["notebook"]).parent == layout.root / "attached"
    assert failed in attached["url"]
    client = client_of(newest_connection())
    try:
        assert said_by(client, "print(answer, dataset.height > 100)").strip() == "[6, 7, 'forty-two'] True"
        assert said_by(client, "import sys\nprint(repr(sys.last_value))").strip() == "ValueError('on purpose')"
        assert "raise ValueError" in said_by(
            client, "print(In[-3] if 'raise' in In[-3] else [each for each in In if 'raise' in each])"
        )
    finally:
        client.stop_channels()


def test_the_same_kernel_answers_in_the_page_of_jupyterlab(layout: Layout, failed: str, lab: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium")
    server = httpx.URL(lab)
    (session,) = httpx.get(server.join("api/sessions").copy_merge_params({"token": server.params["token"]})).json()
    url = f"{server.join('lab/tree/')}{session['path']}?token={server.params['token']}"
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        try:
            page = browser.new_page(viewport={"width": 1300, "height": 1000})
            page.goto(url)
            cells = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell")
            cells.first.wait_for(timeout=60_000)
            page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(timeout=60_000)
            printed = page.locator(".jp-OutputArea-output", has_text="live [6, 7, 'forty-two']").first
            for _ in range(4):  # JupyterLab moves the focus away while it is still loading
                cells.last.click()
                page.keyboard.press("Escape")
                page.keyboard.press("b")
                page.keyboard.press("Enter")
                page.locator(".jp-Notebook.jp-mod-editMode").first.wait_for(timeout=10_000)
                page.keyboard.type("print('live', answer)")
                page.keyboard.press("Shift+Enter")
                with suppress(playwright.TimeoutError):
                    printed.wait_for(timeout=8_000)
                    break
            assert printed.is_visible()
        finally:
            browser.close()


def attach_alone(entry: Any, seconds: float) -> Path:
    """Opens the channels of a kept process without JupyterLab."""
    path = attached_folder() / f"{entry.pid}-{time.time_ns()}.json"
    order = {"kind": "attach", "connection_file": str(path), "seconds": seconds, "environment": dict(os.environ)}
    with open(os.devnull, "r+b") as null:
        ask(order, [], standard=[null.fileno()] * 3, connect_to=lambda: connect(entry)).close()
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return path


@pytest.fixture
def plain(layout: Layout, tmp_path: Path) -> Callable[[str], subprocess.Popen[bytes]]:
    """Begins a notebook that never loads polars, and keeps what it leaves."""

    def begin(last: str) -> subprocess.Popen[bytes]:
        program = (
            "import sys, nbformat, papermill\nfrom nbformat.v4 import new_code_cell, new_notebook\n"
            "from workbench.execution.resuming import Continuation\n"
            "kernel = {'name': 'python3', 'display_name': 'Python 3', 'language': 'python'}\n"
            "cells = [new_code_cell('held = [1]'), new_code_cell('held.append(2)'), new_code_cell(sys.argv[1])]\n"
            "nbformat.write(new_notebook(cells=cells, metadata={'kernelspec': kernel}), 'in.ipynb')\n"
            "papermill.execute_notebook('in.ipynb', 'out.ipynb', engine_name='workbench', progress_bar=False,\n"
            "    continuation=Continuation(snapshots='snapshots', keep_seconds=30))\n"
        )
        quiet = subprocess.DEVNULL
        return subprocess.Popen([sys.executable, "-c", program, last], cwd=tmp_path, stdout=quiet, stderr=quiet)

    return begin


def fork_points() -> dict[int, Any]:
    return {entry.pid: entry for entry in kept() if entry.kind == "fork_point"}


def test_a_copy_of_a_failed_kernel_is_as_it_was_before_the_failed_cell_and_ends_when_idle(plain) -> None:
    before = fork_points()
    plain("held.append('half')\nraise ValueError").wait(60)
    (entry,) = (each for pid, each in fork_points().items() if pid not in before)
    connection = attach_alone(entry, 3.0)
    kernel = psutil.Process(json.loads(connection.read_bytes())["pid"])
    client = client_of(connection)
    assert said_by(client, "print(held)").strip() == "[1, 2]"
    client.stop_channels()
    kernel.wait(30)
    assert not connection.exists()


def test_a_running_notebook_is_attached_to_as_a_copy_that_cannot_disturb_it(plain, tmp_path: Path) -> None:
    before = fork_points()
    process = plain("import time\nopen('begun', 'w').close()\nfor _ in range(200):\n    time.sleep(0.05)\nprint(held)")
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    found = [each for pid, each in fork_points().items() if pid not in before]
    client = client_of(attach_alone(found[-1], 3.0))
    assert said_by(client, "held.append('mine')\nprint(held)").strip() == "[1, 2, 'mine']"
    client.stop_channels()
    assert process.wait(60) == 0
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    assert "".join(cells[-1]["outputs"][0]["text"]).strip() == "[1, 2]"


def test_traces_of_killed_kernels_are_swept_by_the_next_attach(layout: Layout, failed: str) -> None:
    stale = attached_folder() / "999999-1.json"
    stale.write_text(json.dumps({"pid": 999_999_999, "shell_port": 1}))
    beside = stale.with_name("999999-1-1")
    beside.touch()
    code, _ = refused(layout, "run", *QUICK)
    assert code != 0
    command(layout.root, ["attach"])
    assert not stale.exists()
    assert not beside.exists()


def test_a_run_is_continued_with_the_cells_that_were_edited_after_attach(layout: Layout, failed: str, attached: Any) -> None:
    copy = Path(attached["notebook"])
    notebook = json.loads(copy.read_bytes())
    position, look = next((place, cell) for place, cell in enumerate(notebook["cells"]) if cell.get("id") == "look")
    look["source"] = ["answer = 42\n", "dataset.height"]
    tried = {"cell_type": "code", "id": "tried", "source": ["answer"], "metadata": {}, "outputs": [], "execution_count": None}
    notebook["cells"].insert(position, tried)
    copy.write_text(json.dumps(notebook))
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "resume", failed, "--attached", "--json"],
        cwd=layout.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == "taken over: 01_prepare: look"
    taken = json.loads((layout.notebooks / "01_prepare.ipynb").read_bytes())["cells"]
    assert ["".join(cell["source"]) for cell in taken if cell["id"] in ("look", "tried")] == ["answer = 42\ndataset.height"]
    assert not any(cell.get("outputs") for cell in taken)
    records = json.loads(done.stdout)["records"]
    (prepared,) = [each["notebook"] for each in records if each.get("notebook", {}).get("name") == "01_prepare.ipynb"]
    assert prepared["edited"] == ["look"]
    assert prepared["restored"]
    assert "look" not in prepared["restored"]
    assert newest(layout)["state"] == "succeeded"


def test_edits_of_a_run_that_nobody_attached_to_are_not_there(layout: Layout, failed: str) -> None:
    code, said = refused(layout, "resume", f"{failed}0", "--attached")
    assert code != 0
    assert f"nobody attached to {failed}0" in said
    assert f"workbench attach {failed}0" in said
