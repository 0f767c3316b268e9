from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import psutil
import pytest

from workbench.errors import ComponentMissing, NotebookFailed, NotebookInvalid, ParametersInvalid
from workbench.execution.notebook_run import run_notebook
from workbench.execution.step import STEP_VARIABLE, Step
from workbench.session.values import read_value, write_value
from workbench.store import Objects
from workbench.store.objects import digest_of

RUNNER = Path(__file__).with_name("runner.py")


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    return Objects(tmp_path_factory.mktemp("project") / ".workbench" / "objects")


@pytest.fixture(scope="module")
def step(objects):
    def make(notebook: Path, **changes: object) -> Step:
        project = str(objects.root.parents[1])
        return Step(**{"hop": "train", "project": project, "notebook": str(notebook), "run": "experiment-1", **changes})

    return make


@pytest.fixture(scope="module")
def meeting(tmp_path_factory):
    """Two notebooks can only pass this point together: one opens the pipe for writing, the other for reading."""
    pipe = tmp_path_factory.mktemp("meeting") / "pipe"
    os.mkfifo(pipe)
    return pipe


def start(step, folder, objects):
    folder.mkdir()
    (folder / "given.json").write_bytes(msgspec.json.encode(step))
    command = [sys.executable, str(RUNNER), str(folder / "given.json"), str(folder / "run"), str(objects.root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process):
    """What a runner said: its cells, and its result or error."""
    output, log = process.communicate(timeout=100)
    said = [json.loads(line) for line in output.splitlines()]
    ends = {kind: value for line in said for kind, value in line.items() if kind != "cell"}
    return SimpleNamespace(cells=[line["cell"] for line in said if "cell" in line], log=log, **ends)


@pytest.fixture(scope="module")
def both(write_notebook, step, objects, meeting, tmp_path_factory):
    """A notebook that succeeds and one that fails, run at the same moment from one folder."""
    good = write_notebook(
        "good",
        prose="# Two runs at once",
        parameters='rounds: int = 1  # how many\nlabel: str = "none"\nkept: list[int] = [1]',
        meet=f"open({str(meeting)!r}, 'w').close()",
        empty="",
        save="from workbench import session\n"
        "found = vars(session.parameters())\n"
        "session.save(found=found, upstream_again=session.load('upstream'))",
        record="session.record(metrics={'accuracy': {'value': 0.5}}, cross_validation={})",
    )
    bad = write_notebook(
        "bad",
        meet=f"open({str(meeting)!r}).close()",
        save="from workbench import session\nsession.save(before='kept')",
        boom="numbers = [1, 2]\nnumbers[5]",
        after="session.save(after='never')",
    )
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (good, bad)}
    upstream = write_value(objects, "upstream", {"rows": 3})
    folder = tmp_path_factory.mktemp("steps")
    steps = [step(good, parameters={"rounds": 3, "label": 'a "quoted" \n{label}'}, saved={"upstream": upstream}), step(bad)]
    processes = [start(each, folder / Path(each.notebook).stem, objects) for each in steps]
    ended = SimpleNamespace(good=finished(processes[0]), bad=finished(processes[1]), folder=folder, sources=before)
    assert hasattr(ended.good, "result"), ended.good.log
    return ended


def test_parameters_reach_the_notebook_and_its_saved_values_come_back(both, objects):
    saved = msgspec.convert(both.good.result, type=dict)["saved"]
    values = {name: read_value(objects, SimpleNamespace(**value)) for name, value in saved.items()}
    assert values == {
        "found": {"rounds": 3, "label": 'a "quoted" \n{label}', "kept": [1]},
        "upstream_again": {"rows": 3},
    }


def test_the_outcome_comes_back(both):
    assert both.good.result["outcome"] == {
        "metrics": {"accuracy": {"value": 0.5, "low": None, "high": None}},
        "cross_validation": {},
    }


def test_progress_counts_the_code_cells_and_the_one_that_brings_the_parameters(both):
    assert [(event["cell"], event["cells"]) for event in both.good.cells] == [(number, 6) for number in range(1, 7)]
    ids = [event["cell_id"] for event in both.good.cells]
    assert (ids[0], ids[2:]) == ("parameters", ["meet", "empty", "save", "record"])
    assert {event["notebook"] for event in both.good.cells} == {"good.ipynb"}


def test_the_source_is_untouched_byte_for_byte(both):
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in both.sources} == both.sources
    folders = {path.parent for path in both.sources}
    assert {path.name for folder in folders for path in folder.iterdir()} >= {"good.ipynb", "bad.ipynb"}
    assert not [path for folder in folders for path in folder.iterdir() if path.suffix != ".ipynb"], "nothing lands beside it"


def test_the_evidence_is_the_source_and_the_executed_notebook(both, objects):
    evidence = both.good.result["notebook"]
    executed = both.folder / "good" / "run" / "good.ipynb"
    assert evidence["name"] == "good.ipynb"
    assert evidence["source"] == digest_of(next(path for path in both.sources if path.name == "good.ipynb"))
    assert objects.path(evidence["executed"]).read_bytes() == executed.read_bytes()
    assert evidence["seconds"] > 0


def test_a_failing_cell_is_named_with_the_executed_notebook(both):
    executed = both.folder / "bad" / "run" / "bad.ipynb"
    assert both.bad.error == {
        "error": "NotebookFailed",
        "message": "bad.ipynb failed: IndexError: list index out of range",
        "problems": ["cell [3]: numbers = [1, 2]"],
        "hint": f"The executed notebook shows where: {executed}",
    }
    assert [event["cell_id"] for event in both.bad.cells] == ["meet", "save", "boom"]


def test_the_evidence_of_a_failure_is_kept_before_it_is_told(both, objects):
    executed = both.folder / "bad" / "run" / "bad.ipynb"
    kept = json.loads(objects.path(digest_of(executed)).read_text())
    outputs = [output for cell in kept["cells"] if cell["cell_type"] == "code" for output in cell["outputs"]]
    assert [output["ename"] for output in outputs if output["output_type"] == "error"] == ["IndexError"]


def test_runs_at_the_same_time_in_one_folder_do_not_disturb_each_other(both):
    """They met half-way; each ended in its own way, with its own values."""
    assert sorted(both.good.result["saved"]) == ["found", "upstream_again"]
    assert list(json.loads((both.folder / "bad" / "run" / "saved.json").read_bytes())) == ["before"]
    assert not (both.folder / "bad" / "run" / "outcome.json").exists()


@pytest.mark.parametrize(
    ("last_words", "minor"),
    [("os._exit(3)", 4), ("import signal\nos.kill(os.getpid(), signal.SIGKILL)", 5)],
    ids=["exit in a notebook without cell ids", "kill"],
)
@pytest.mark.filterwarnings("ignore:Cell is missing an id field")
def test_a_kernel_that_dies_fails_the_notebook_at_once(write_notebook, step, objects, tmp_path, monkeypatch, last_words, minor):
    monkeypatch.delenv(STEP_VARIABLE, raising=False)
    notebook = write_notebook("dying", minor=minor, first="import os\nprint('alive')", last=last_words, never="1")
    with pytest.raises(NotebookFailed, match=r"dying\.ipynb failed: DeadKernelError") as caught:
        run_notebook(step(notebook), folder=tmp_path / "{step}", objects=objects)
    assert caught.value.problems == (f"cell 2 of 3: {last_words.partition(chr(10))[0]}",)
    executed = tmp_path / "{step}" / "dying.ipynb"
    assert str(executed) in caught.value.hint
    assert "alive" in objects.path(digest_of(executed)).read_text()
    assert STEP_VARIABLE not in os.environ
    assert not [child for child in psutil.Process().children(recursive=True) if "ipykernel_launcher" in " ".join(child.cmdline())]


@pytest.mark.parametrize("parameters", [{"rouns": 3}, {"rounds": "three"}, {"rounds": 0}])
def test_bad_parameters_start_nothing(write_notebook, step, objects, tmp_path, parameters):
    contract = "from annotated_types import Ge\nfrom typing import Annotated\nrounds: Annotated[int, Ge(1)] = 1"
    notebook = write_notebook("strict", parameters=contract, boom="1 / 0")
    with pytest.raises(ParametersInvalid, match=r"strict\.ipynb: 1 parameter cannot be used"):
        run_notebook(step(notebook, parameters=parameters), folder=tmp_path / "run", objects=objects)
    assert not (tmp_path / "run").exists()


def test_the_source_is_never_the_output(write_notebook, step, objects):
    notebook = write_notebook("own", boom="1 / 0")
    content = notebook.read_bytes()
    with pytest.raises(NotebookInvalid, match="is the source itself"):
        run_notebook(step(notebook), folder=notebook.parent, objects=objects)
    assert notebook.read_bytes() == content


def test_a_kernel_that_is_not_installed_is_named(write_notebook, step, objects, tmp_path):
    with pytest.raises(ComponentMissing, match="kernel 'cobol' is not installed") as caught:
        run_notebook(step(write_notebook("cobol", one="1")), folder=tmp_path / "run", objects=objects, kernel="cobol")
    assert "kernelspec list" in caught.value.hint


def test_a_notebook_of_an_unknown_format_is_refused(step, objects, tmp_path):
    notebook = tmp_path / "n.ipynb"
    notebook.write_text('{"cells": [], "nbformat": 99, "nbformat_minor": 0, "metadata": {}}')
    with pytest.raises(NotebookInvalid, match=r"n\.ipynb is not a notebook"):
        run_notebook(step(notebook), folder=tmp_path / "run", objects=objects)
    assert not (tmp_path / "run" / "n.ipynb").exists()


def test_a_kernel_that_is_not_installed_leaves_an_older_output_alone(tmp_path, write_notebook):
    notebook = write_notebook("asks", work="1")
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "execute", str(notebook), "out.ipynb", "--kernel", "nope"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert done.returncode == 6
    assert "the Jupyter kernel 'nope' is not installed" in done.stderr
    assert not (tmp_path / "out.ipynb").exists()


@pytest.mark.parametrize("output", ["folder", "folder.ipynb", "out.txt"])
def test_an_output_that_is_no_notebook_file_is_refused(tmp_path, write_notebook, output):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.ipynb").mkdir()
    notebook = write_notebook("asks", work="1")
    command = [sys.executable, "-m", "workbench", "execute", str(notebook), output]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 2
    assert output in done.stderr
