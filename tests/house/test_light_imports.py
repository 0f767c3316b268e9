"""Start-up stays light: a person who asks for help or lists runs waits for no framework."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.orchestration.projects import init_example

# Everything that the two commands below may load beside the standard library. A longer list is a decision, not an accident.
LIGHT = {
    "annotated_doc",
    "annotated_types",
    "attr",  # rich looks for it
    "click",
    "cython_runtime",
    "greenlet",
    "linkify_it",  # markdown_it looks for it
    "markdown_it",
    "mdurl",
    "msgspec",
    "psutil",
    "pydantic",
    "pydantic_core",
    "pygments",
    "rich",
    "shellingham",
    "sqlalchemy",
    "typer",
    "typing_extensions",
    "typing_inspection",
    "workbench",
}

LISTING = """
import json, sys
before = set(sys.modules)
sys.argv = ["workbench", *sys.argv[2:]]
try:
    exec(CODE)
except SystemExit as end:
    assert not end.code, end.code
loaded = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
with open(REPORT, "w") as report:
    json.dump(sorted(name for name in loaded if not name.startswith("_")), report)
"""


def loaded_by(code: str, *arguments: str, folder: Path) -> set[str]:
    report = folder / "loaded.json"
    script = LISTING.replace("CODE", repr(code)).replace("REPORT", repr(str(report)))
    done = subprocess.run(
        [sys.executable, "-c", script, "--", *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(json.loads(report.read_text()))


def test_importing_the_package_loads_nothing_but_itself(tmp_path: Path) -> None:
    assert loaded_by("import workbench", folder=tmp_path) == {"workbench"}


@pytest.mark.parametrize("arguments", [("--help",), ("runs",), ("runs", "--json")], ids=" ".join)
def test_help_and_the_list_of_runs_load_no_framework(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "workbench.toml").touch()
    assert loaded_by("from workbench.__main__ import main; main()", *arguments, folder=tmp_path) <= LIGHT


FRAMEWORKS = {
    *(
        "bentoml",
        "evidently",
        "fairlearn",
        "jsonschema",
        "jupyter_client",
        "lark",
        "matplotlib",
        "nbclient",
        "nbconvert",
        "nbformat",
    ),
    *("numpy", "onnx", "pandas", "pandera", "papermill", "polars", "pyarrow", "scipy", "sklearn", "skops", "torch"),
}

FLOW = "import runpy; runpy.run_path('flows/experiment.py', run_name='__main__')"


def test_the_process_that_starts_a_flow_loads_no_framework_and_no_database(tmp_path: Path) -> None:
    folder = init_example(tmp_path / "credit", "credit").folder
    loaded = loaded_by(FLOW, "--no-pylint", "check", folder=folder)
    assert "metaflow" in loaded
    assert not loaded & {*FRAMEWORKS, "sqlalchemy"}


def test_a_step_loads_no_framework_until_its_notebook_runs(tmp_path: Path) -> None:
    loaded = loaded_by("from metaflow import notebook; import workbench.orchestration.hops", folder=tmp_path)
    assert not loaded & FRAMEWORKS


def test_what_a_command_prints_after_a_run_loads_no_framework(tmp_path: Path) -> None:
    loaded = loaded_by("import workbench.cli.journey, workbench.orchestration.projects", folder=tmp_path)
    assert not loaded & FRAMEWORKS


@pytest.mark.parametrize("module", ["lazy_grammar", "lab"])
def test_what_runs_before_jupyter_loads_nothing(module: str, tmp_path: Path) -> None:
    assert loaded_by(f"import workbench.execution.{module}", folder=tmp_path) == {"workbench"}


def test_jupyterlab_starts_without_the_grammar_of_addresses(tmp_path: Path) -> None:
    loaded = loaded_by("from workbench.execution.lab import main; main()", "--version", folder=tmp_path)
    assert "jupyterlab" in loaded
    assert "lark" not in loaded


def test_importing_the_package_takes_less_than_50_milliseconds() -> None:
    timings = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", "import workbench"], capture_output=True, text=True, timeout=60, check=True
        )
        found = re.search(r"\|\s+(\d+) \| workbench$", done.stderr, re.MULTILINE)
        assert found is not None, done.stderr
        timings.append(int(found[1]) / 1000)
    assert min(timings) < 50
