"""The notebook templates keep to the contract that lets one file run in JupyterLab, under papermill and in a flow."""

from __future__ import annotations

import ast
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from workbench.execution.parameters import read_parameters
from workbench.records import HOPS, outcome_of
from workbench.settings import templates

NOTEBOOKS = sorted(templates("notebooks").glob("*.ipynb"))
HOP_OF = {"01": "prepare", "02": "train", "03": "review", "04": "choose", "05": "watch"}
LONGEST_CELL = 20
LONGEST_LINE = 100


def cells(path: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return listed


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_every_hop_of_the_journey_has_its_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "00_explore",
        "01_prepare",
        "02_train_boosted",
        "02_train_linear",
        "02_train_network",
        "03_review_fairness",
        "04_choose",
        "05_watch",
    ]


def test_it_opens_with_what_goes_in_and_what_comes_out(notebook: Path) -> None:
    first = cells(notebook)[0]
    assert first["cell_type"] == "markdown"
    assert source(first).startswith("# ")
    assert "**Goes in:**" in source(first)
    assert "**Comes out:**" in source(first)


def test_its_second_cell_is_the_only_parameters_cell_and_each_parameter_has_help(notebook: Path) -> None:
    tagged = [number for number, cell in enumerate(cells(notebook)) if "parameters" in cell["metadata"].get("tags", ())]
    assert tagged == [1]
    contract = read_parameters(notebook)
    assert contract.names
    assert all(field.description for field in contract.model.model_fields.values())


def test_its_cell_ids_are_words_and_unique(notebook: Path) -> None:
    ids = [cell["id"] for cell in cells(notebook)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", each) for each in ids)


def test_it_is_committed_without_outputs_and_without_a_python_version(notebook: Path) -> None:
    document = json.loads(notebook.read_text(encoding="utf-8"))
    assert "language_info" not in document["metadata"]
    code = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_its_cells_are_short_and_hold_no_functions(notebook: Path) -> None:
    for cell in cells(notebook):
        if cell["cell_type"] != "code":
            continue
        assert source(cell).count("\n") < LONGEST_CELL, cell["id"]
        assert max(map(len, source(cell).split("\n"))) <= LONGEST_LINE, cell["id"]
        defined = [node for node in ast.walk(ast.parse(source(cell))) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        assert not defined, cell["id"]


def test_a_heading_stands_before_each_step(notebook: Path) -> None:
    listed = cells(notebook)[3:]
    for before, cell in itertools.pairwise(listed):
        if cell["cell_type"] == "code":
            assert before["cell_type"] == "markdown", cell["id"]
            assert source(before).startswith("## "), before["id"]


def test_it_names_no_absolute_path_and_no_address(notebook: Path) -> None:
    code = "\n".join(source(cell) for cell in cells(notebook) if cell["cell_type"] == "code")
    strings = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert not [text for text in strings if text.startswith("/") or "://" in text]


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.stem[:2] in HOP_OF], ids=lambda path: path.stem)
def test_its_last_cell_records_every_field_of_its_hops_record(path: Path) -> None:
    last = cells(path)[-1]
    assert last["metadata"]["tags"] == ["results"]
    calls = [node for node in ast.walk(ast.parse(source(last))) if isinstance(node, ast.Call)]
    recorded = next(call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "record")
    assert {word.arg for word in recorded.keywords} == set(outcome_of(HOPS[HOP_OF[path.stem[:2]]]))
