"""`@notebook` in a real flow: a failing notebook fails its step, and leaves its evidence behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.orchestration.projects import init_example
from workbench.settings import Layout, environment
from workbench.store import Objects, open_control
from workbench.store.objects import digest_of

FAILING = """
from metaflow import FlowSpec, JSONType, Parameter, notebook, retry, step

class ExperimentFlow(FlowSpec):
    parameters = Parameter("parameters", type=JSONType, default="{}")

    @retry(times=1, minutes_between_retries=0)
    @notebook("01_prepare.ipynb")
    @step(start=True)
    def prepare(self):
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    ExperimentFlow()
"""

CARD = """
import sys
from metaflow import Flow, namespace
from metaflow.cards import get_cards
namespace(None)
task = Flow("ExperimentFlow").latest_run["prepare"].task
cards = get_cards(task, type="workbench_notebook")
assert len(cards) == 1, "a step that was tried again has one card"
sys.stdout.write(cards[0].get())
"""


def replaced(notebook: Path, cell_id: str, source: str) -> None:
    document = json.loads(notebook.read_text(encoding="utf-8"))
    cell = next(cell for cell in document["cells"] if cell["id"] == cell_id)
    cell["source"] = source
    notebook.write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, subprocess.CompletedProcess[str]]:
    layout = Layout(root=init_example(tmp_path_factory.mktemp("failing") / "credit", "credit").folder)
    replaced(layout.notebooks / "01_prepare.ipynb", "look", 'print("seen before")\nraise ValueError("the bank is closed")')
    (layout.flows / "experiment.py").write_text(FAILING, encoding="utf-8")
    command = [sys.executable, "flows/experiment.py", "--no-pylint", "run"]
    done = subprocess.run(command, cwd=layout.root, env=environment(layout), capture_output=True, text=True, check=False)
    return layout, done


def test_a_failing_notebook_fails_its_step_with_the_reason_and_no_traceback(
    failed: tuple[Layout, subprocess.CompletedProcess[str]],
) -> None:
    _, done = failed
    assert done.returncode != 0
    assert "01_prepare.ipynb failed: ValueError: the bank is closed" in done.stdout + done.stderr
    assert "Internal error" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_run_is_recorded_as_failed_with_the_reason(failed: tuple[Layout, subprocess.CompletedProcess[str]]) -> None:
    control = open_control(failed[0])
    run = control.runs()[0]
    assert run.state == "failed"
    assert "the bank is closed" in str(run.reason)
    assert control.all(run=run.id) == []
    control.close()


def test_the_executed_notebook_is_the_steps_card_also_after_a_failure(
    failed: tuple[Layout, subprocess.CompletedProcess[str]],
) -> None:
    layout, _ = failed
    done = subprocess.run(
        [sys.executable, "-c", CARD], cwd=layout.root, env=environment(layout), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Card Render Failed" not in done.stdout
    assert "seen before" in done.stdout
    assert "the bank is closed" in done.stdout


def test_the_page_lies_beside_the_executed_notebook(failed: tuple[Layout, subprocess.CompletedProcess[str]]) -> None:
    layout, _ = failed
    pages = [path.with_suffix(".html") for path in layout.runs.rglob("01_prepare.ipynb")]
    assert len(pages) == 2  # one for each attempt
    assert all("the bank is closed" in page.read_text(encoding="utf-8") for page in pages)


def test_the_executed_notebook_is_kept_in_the_object_store(failed: tuple[Layout, subprocess.CompletedProcess[str]]) -> None:
    layout, _ = failed
    executed = next(layout.runs.rglob("01_prepare.ipynb"))
    assert b"the bank is closed" in executed.read_bytes()
    assert digest_of(Objects(layout.objects).path(digest_of(executed))) == digest_of(executed)
