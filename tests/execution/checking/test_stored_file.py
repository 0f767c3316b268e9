from __future__ import annotations

import json

import pytest

from workbench.errors import NotebookInvalid
from workbench.execution.checking import check_notebook

from .conftest import PYTHON, Judge, Write, cell, only, printed, prose, rules, shown

WIDGETS = "application/vnd.jupyter.widget-state+json"
HOME = "/".join(["", "home", "ann", "data.csv"])


def test_the_notebooks_of_the_templates_get_the_full_score(root) -> None:
    paths = sorted((root / "notebooks").glob("*.ipynb"))
    assert len(paths) >= 8
    for path in paths:
        report = check_notebook(path)
        assert (report.score, report.findings) == (100, ()), path.name


def test_missing_and_double_ids_are_told(judge: Judge) -> None:
    report = judge({**cell("x = 1"), "id": "a"}, {**cell("y = 1"), "id": "a"})
    assert rules(report) == ["cell-ids"]
    without = {key: value for key, value in cell("x = 1").items() if key != "id"}
    assert rules(judge({**without, "id": ""}, {**without, "id": "a b"})) == ["cell-ids"]


def test_an_older_format_without_ids_is_no_fault(judge: Judge) -> None:
    assert judge("x = 1", minor=4).findings == ()


def test_what_breaks_the_format_is_told_with_its_place_and_without_its_value(judge: Judge) -> None:
    broken = {**cell("x = 1"), "outputs": [{"output_type": "stream", "name": 5, "text": "hunter2"}]}
    report = judge(prose("fine"), broken)
    found = only(report, "invalid-format")
    assert (found.severity, found.cell) == ("error", 2)
    assert "hunter2" not in found.message


def test_a_second_parameters_cell_is_an_error(judge: Judge) -> None:
    found = only(judge(*(cell(f"x{n} = 1", tags=("parameters",)) for n in (1, 2))), "parameters-cells")
    assert (found.cell, found.severity) == (2, "error")


def test_a_kernel_that_is_not_named_not_installed_or_of_another_language_is_told(judge: Judge) -> None:
    assert rules(judge("x = 1", metadata={})) == ["kernel"]
    nowhere = {"kernelspec": {"name": "no-such-kernel", "display_name": "?", "language": "python"}}
    assert "not installed here" in only(judge("x = 1", metadata=nowhere), "kernel").message
    torn = {**PYTHON, "language_info": {"name": "julia", "version": "1.9"}}
    assert "for python, but was last run in julia" in only(judge("x = 1", metadata=torn), "kernel").message


def test_outputs_of_another_version_of_python_cost_nothing(judge: Judge) -> None:
    old = {**PYTHON, "language_info": {"name": "python", "version": "3.6.9"}}
    report = judge(cell("print(1)", 1, printed("1")), metadata=old)
    assert (rules(report), report.score) == (["other-version"], 100)
    assert judge("print(1)", metadata=old).findings == ()


def test_a_path_of_one_machine_is_told_once_for_sources_and_once_for_outputs(judge: Judge) -> None:
    report = judge(cell(f"open('{HOME}')", 1, printed(HOME)), cell(f"open('{HOME}')", 2, printed("C:\\Users\\ann\\x")))
    assert rules(report) == ["machine-path", "machine-path"]
    assert all("ann" not in found.message and "1 more places" in found.message for found in report.findings)
    container = HOME.replace("ann", "jovyan")
    assert judge(cell("1", 1, printed(f"{container} https://example.com{HOME} ~{HOME}"))).findings == ()


def test_metadata_of_a_run_that_the_file_does_not_show_is_stale(judge: Judge) -> None:
    ran = {**PYTHON, "papermill": {"output_path": "results/notebook.ipynb", "parameters": {}}}
    other = {**PYTHON, "papermill": {"output_path": "results/other.ipynb", "parameters": {}}}
    executed = cell("print(1)", 1, printed("1"))
    assert judge(executed, metadata=ran).findings == ()
    assert rules(judge(executed, metadata=other)) == ["foreign-run"]
    assert rules(judge("print(1)", metadata=ran)) == ["foreign-run"]


def test_widget_state_without_a_widget_is_stale(judge: Judge) -> None:
    metadata = {**PYTHON, "widgets": {WIDGETS: {"state": {"a": {}}, "version_major": 2, "version_minor": 0}}}
    assert rules(judge(cell("1", 1), metadata=metadata)) == ["widget-state"]
    view = shown(1, text_plain="IntSlider()")
    view["data"]["application/vnd.jupyter.widget-view+json"] = {"model_id": "a"}
    assert judge(cell("slider", 1, view, tags=("raises-exception",)), metadata=metadata).findings == ()


def test_outputs_above_a_megabyte_and_empty_cells_at_the_end_are_told(judge: Judge) -> None:
    report = judge(cell("print(1)", 1, printed("x " * 600_000)), cell("", None), prose(" "))
    assert rules(report) == ["large-output", "empty-cells"]
    assert "1.2 MB" in report.findings[0].message
    assert "2 empty cells" in report.findings[1].message


def test_what_is_no_notebook_is_refused_with_what_to_do(write: Write, tmp_path) -> None:
    write("x = 1")
    with pytest.raises(NotebookInvalid, match="no notebook") as caught:
        check_notebook(tmp_path / "notebok.ipynb")
    assert caught.value.hint == "Did you mean 'notebook.ipynb'?"
    for content in ("", "[]", "{}", '{"cells": 3, "nbformat": 4}', json.dumps({"cells": [], "nbformat": 3}), "\udcff"):
        path = tmp_path / "broken.ipynb"
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
        with pytest.raises(NotebookInvalid, match=r"broken\.ipynb"):
            check_notebook(path)


@pytest.mark.parametrize(
    "damage",
    [
        {"cells": [None, 3, "x", []]},
        {"cells": [{"cell_type": "code", "source": {"a": 1}, "outputs": "x", "metadata": None}]},
        {"cells": [{"cell_type": "code", "source": ["x", 5], "outputs": [None, {"data": 3}], "metadata": {"tags": 4}}]},
        {"metadata": None},
        {"metadata": {"kernelspec": 3, "language_info": [], "papermill": "x", "widgets": 1}},
        {"nbformat_minor": "x"},
        {"nbformat_minor": 99},
    ],
    ids=str,
)
def test_a_damaged_notebook_is_judged_and_never_ends_in_a_fault(damage: dict[str, object], write: Write) -> None:
    path = write("x = 1")
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    report = check_notebook(path)
    assert not report.trusted() or damage == {"nbformat_minor": 99}
