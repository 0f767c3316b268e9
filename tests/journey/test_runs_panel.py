"""The panel of runs continues a real run that failed, tells how it goes, and leaves nothing behind when its kernel is killed."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from workbench.orchestration.progress import PROGRESS_FILE
from workbench.orchestration.projects import init_example
from workbench.settings import Layout
from workbench.store import open_control
from workbench.widgets import RunsPanel

from .conftest import QUICK
from .test_resume import BROKEN, hops, newest, refused, replace_cell

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KERNEL = """
from workbench.widgets import RunsPanel
panel = RunsPanel()
panel._run.value, panel._cell.value = {run!r}, "look"
panel._resume.click()
panel.wait()
"""


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return Layout(root=init_example(tmp_path_factory.mktemp("panel") / "credit", "credit").folder)


@pytest.fixture(scope="module")
def failed(layout: Layout) -> str:
    """A run whose last notebook failed after a cell that notes each of its executions; the notebook is corrected by now."""
    before = replace_cell(layout, "04_choose.ipynb", "compare", "")
    replace_cell(layout, "04_choose.ipynb", "compare", f"{before}\nwith open({str(ran(layout))!r}, 'a') as f: f.write('x')\n")
    source = replace_cell(layout, "04_choose.ipynb", "choice", BROKEN)
    code, _ = refused(layout, "run", *QUICK)
    assert code != 0
    replace_cell(layout, "04_choose.ipynb", "choice", source)
    return str(newest(layout)["id"])


def ran(layout: Layout) -> Path:
    return layout.root / "ran.txt"


@pytest.fixture(scope="module")
def shown(layout: Layout, failed: str) -> list[str]:
    """All that the panel said while it continued that run: as it began, to a second click, and on the way to its end."""
    panel = RunsPanel(layout.root)
    assert panel._run.value == failed
    said: list[str] = []
    for part in (panel._outcome, panel._notice):
        part.observe(lambda change: said.append(change["new"]), names="value")
    began = time.monotonic()
    panel._resume.click()
    panel._resume.click()
    assert time.monotonic() - began < 2
    assert panel.wait(300)
    return [*said, panel._listed.value]


def test_the_failed_run_goes_on_and_its_record_is_complete(layout: Layout, failed: str, shown: list[str]) -> None:
    run = newest(layout)
    assert run["id"] != failed
    assert run["state"] == "succeeded"
    assert hops(layout, run["id"]) == {"choose", "package"}
    with open_control(layout) as control:
        records: dict[str, Any] = {record.kind: record for record in control.all(run=run["id"])}
    assert set(records) == {"model", "bento"}
    assert records["model"].notebook.restored[-2:] == ("imports", "compare")
    assert records["model"].notebook.edited == ("choice",)


def test_cells_before_the_failure_did_not_run_again(layout: Layout, shown: list[str]) -> None:
    assert ran(layout).read_text() == "x"


def test_the_panel_tells_the_cell_that_runs_and_what_was_restored(layout: Layout, shown: list[str]) -> None:
    assert any("<code>choice</code>" in said and "04_choose.ipynb" in said for said in shown[:-2])
    assert f"<code>{newest(layout)['id']}</code> continues" in shown[-2]
    assert "restored, not run again" in shown[-2]
    assert "<code>compare</code>" in shown[-2]
    assert newest(layout)["id"] in shown[-1]


def test_a_second_click_is_refused_in_words(shown: list[str]) -> None:
    assert "wait for its end" in shown[1]


def test_a_killed_kernel_takes_the_run_with_it(layout: Layout, failed: str, shown: list[str]) -> None:
    before = set(layout.runs.glob("experiment-*"))
    kernel = subprocess.Popen([sys.executable, "-c", KERNEL.format(run=failed)], cwd=layout.root)
    deadline = time.monotonic() + 120
    while not (new := [each for each in set(layout.runs.glob("experiment-*")) - before if (each / PROGRESS_FILE).exists()]):
        assert kernel.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    family = psutil.Process(kernel.pid).children(recursive=True)
    assert len(family) > 1
    kernel.kill()
    kernel.wait()
    gone, alive = psutil.wait_procs(family, timeout=40)
    with suppress(psutil.Error):
        assert [each.cmdline() for each in alive] == []
    assert len(gone) == len(family)
    with open_control(layout) as control:
        run = control.find_run(new[0].name)
    assert run is not None
    assert run.state in ("failed", "interrupted")
