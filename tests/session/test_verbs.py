from __future__ import annotations

import json
import sys
import types
from typing import Annotated, Literal

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest
from annotated_types import Ge
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from workbench import session
from workbench.errors import BadInput, ParametersInvalid
from workbench.execution.step import read_outcome
from workbench.records import Estimate, GroupAssessment
from workbench.session.outcome import MIME

GROUP = GroupAssessment(
    attribute="sex",
    group="f",
    rows=20,
    rate=Estimate(value=0.5),
    ratio=Estimate(value=0.9, low=0.7, high=1.1),
    verdict="INCONCLUSIVE",
    rows_needed=300,
)


def test_a_step_leaves_its_outcome_for_its_runner(step):
    folder = step()
    outcome = session.record(metrics={"auc": Estimate(value=np.float64(0.8), low=0.7)}, cross_validation={})
    assert outcome.hop == "train"
    assert read_outcome(folder) == {"metrics": {"auc": {"value": 0.8, "low": 0.7, "high": None}}, "cross_validation": {}}


def test_an_undefined_number_is_recorded_as_none(step):
    folder = step()
    outcome = session.record(metrics={"auc": Estimate(value=float("nan"))}, cross_validation={})
    assert read_outcome(folder)["metrics"]["auc"]["value"] is None
    assert outcome.values["metrics"]["auc"]["value"] is None, "what is shown is what is stored"


@pytest.mark.parametrize(
    ("hop", "fields"),
    [
        ("prepare", {"contract": {"rows": 3}, "rows": {"training": 2}}),
        ("train", {"metrics": {}, "cross_validation": {}}),
        ("review", {"metric": "selection_rate", "verdict": "PASS", "reasons": ("one",), "groups": (GROUP,)}),
        ("choose", {"state": "none", "candidate": None, "metric": "auc", "reasons": (), "ranking": ({"rank": 1},)}),
        ("watch", {"window": {}, "schema": (), "drifted": ("age",), "features": ()}),
    ],
)
def test_the_fields_tell_the_hop_where_a_person_tries_things(layout, step, hop, fields):
    assert session.record(**fields).hop == hop
    step(hop)
    assert session.record(**fields).hop == hop


def test_a_misspelt_field_is_answered_with_the_one_that_was_meant(layout):
    with pytest.raises(BadInput, match=r"session\.record was given metrcs, which no hop records together") as caught:
        session.record(metrcs={})
    assert caught.value.hint == "Did you mean 'metrics'?"


def test_fields_of_two_hops_are_not_one_outcome(layout):
    with pytest.raises(BadInput, match="metrics, verdict, which no hop records together") as caught:
        session.record(metrics={}, verdict="PASS")
    assert caught.value.hint == "Record the fields of one hop only."


def test_a_step_may_only_record_what_its_hop_records(step):
    folder = step("train")
    with pytest.raises(BadInput, match="verdict, which train does not record") as caught:
        session.record(verdict="PASS")
    assert caught.value.hint == "Known: cross_validation, metrics."
    assert read_outcome(folder) == {}


def test_a_field_that_two_hops_know_belongs_to_the_one_of_the_step(step):
    step("choose")
    assert session.record(metric="auc", reasons=["one"]).hop == "choose"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"metrics": [0.8]}, "session.record(metrics=…): Expected `object`, got `array`"),
        ({"metrics": {"auc": "high"}}, "session.record(metrics=…): Expected `object`, got `str`"),
        ({"metrics": {"auc": {"value": "high"}}}, "session.record(metrics=…): Expected `float | null`, got `str`"),
        ({"verdict": "MAYBE"}, "session.record(verdict=…): Invalid enum value 'MAYBE'"),
        ({"rows": {"training": 1.5}}, "session.record(rows=…): Expected `int`, got `float`"),
        ({"reasons": "one"}, "session.record(reasons=…): Expected `array`, got `str`"),
        ({"window": {"model": object()}}, "session.record(window=…): object has no JSON form"),
    ],
)
def test_a_value_of_another_shape_is_named_with_what_was_expected(layout, fields, says):
    with pytest.raises(BadInput) as caught:
        session.record(**fields)
    assert caught.value.message.startswith(says)
    assert caught.value.hint.startswith("Expected ")


def test_an_outcome_is_shown_to_people_and_programs(layout):
    shown = session.record(
        metric="selection_rate", verdict="INCONCLUSIVE", reasons=("a <b>reason</b>", "& another"), groups=(GROUP,)
    )._repr_mimebundle_()
    assert json.loads(json.dumps(shown[MIME], allow_nan=False))["hop"] == "review"
    assert "recorded by review" in shown["text/plain"]
    assert "a <b>reason</b>" in shown["text/plain"]
    assert "a &lt;b&gt;reason&lt;/b&gt;<br>&amp; another" in shown["text/html"]
    assert "<b style='color:#9a6700'>? INCONCLUSIVE</b>" in shown["text/html"]
    assert "ratio 0.9 (0.7 to 1.1)" in shown["text/plain"]


@pytest.mark.parametrize("attack", ["<script>alert(1)</script>", "'><img src=x onerror=alert(1)>", "&lt;script&gt;"])
def test_nothing_that_was_recorded_becomes_html(step, attack):
    step("review")
    values = {"metric": attack, "reasons": [attack], "groups": []}
    shown = [session.record(**values)._repr_mimebundle_()["text/html"]]
    step("watch")
    shown.append(session.record(window={attack: {attack: [attack]}}, schema=[attack])._repr_mimebundle_()["text/html"])
    for html in shown:
        assert attack not in html
        assert "<script" not in html
        assert "<img" not in html


def test_estimates_read_as_a_number_with_its_interval(layout):
    metrics = {"auc": Estimate(value=0.81234, low=0.7, high=0.9), "rmse": Estimate(value=2.0), "lift": Estimate(value=None)}
    text = repr(session.record(metrics=metrics))
    assert text == "recorded by train\nmetrics: auc 0.8123 (0.7 to 0.9); rmse 2; lift undefined"


@pytest.fixture
def notebook(monkeypatch):
    """Runs source as the cells of a notebook do, in a `__main__` of its own."""

    def run(source: str) -> None:
        module = types.ModuleType("__main__")
        names = {"Annotated": Annotated, "Literal": Literal, "Ge": Ge, "pl": pl}
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, "__main__", module)
        exec(compile(source, "<cell>", "exec", dont_inherit=True), vars(module))  # noqa: S102 - as a kernel does

    return run


CELL = "epochs: Annotated[int, Ge(1)] = 20\nrate: float = 1\nhidden: list[int] = [64]\nsolver: Literal['a', 'b'] = 'a'\n"


def test_parameters_are_attributes_with_validated_values(layout, notebook):
    notebook(f"{CELL}epochs = 3")
    params = session.parameters()
    assert vars(params) == {"epochs": 3, "rate": 1.0, "hidden": [64], "solver": "a"}
    assert isinstance(params.rate, float)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("epochs = 0", "epochs: given 0, Input should be greater than or equal to 1"),
        ("epochs = '3'", "epochs: given '3', Input should be a valid integer"),
        ("hidden = ['a']", "hidden: given 'a', Input should be a valid integer"),
        ("solver = 'c'", "solver: given 'c', Input should be 'a' or 'b'"),
    ],
)
def test_a_value_set_by_hand_is_held_to_its_declaration(layout, notebook, change, problem):
    notebook(CELL + change)
    with pytest.raises(ParametersInvalid, match="does not fit its declaration") as caught:
        session.parameters()
    assert caught.value.problems == (problem,)


def test_other_annotated_variables_of_a_notebook_do_no_harm(layout, notebook):
    notebook(f"from __future__ import annotations\n{CELL}frame: pl.DataFrame = pl.DataFrame()\nlater: int")
    assert session.parameters().epochs == 20


def test_in_a_step_only_the_parameters_cell_counts(layout, step, notebook):
    path = layout.notebooks / "n.ipynb"
    cell = {"cell_type": "code", "source": "epochs: int = 20", "metadata": {"tags": ["parameters"]}}
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    step(notebook=str(path))
    notebook(f"{CELL}epochs = 7")
    assert vars(session.parameters()) == {"epochs": 7}


def test_a_notebook_without_parameters_has_none(layout, notebook):
    notebook("x = 1")
    assert vars(session.parameters()) == {}


def test_a_widget_is_shown_to_people_and_its_picture_where_nobody_looks(layout, step, capsys):
    session.show("the widget", static=lambda: "its picture")
    step()
    session.show("the widget", static=lambda: "its picture")
    session.show("a table")
    assert capsys.readouterr().out.splitlines() == ["the widget", "its picture", "a table"]


def test_a_figure_that_was_drawn_without_pyplot_is_a_picture_in_its_notebook():
    source = (
        "import sys; from matplotlib.figure import Figure; from workbench import session; "
        "figure = Figure(); figure.subplots(); session.show(figure); assert 'matplotlib.pyplot' not in sys.modules"
    )
    notebook = new_notebook(cells=[new_code_cell(source)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    assert "image/png" in notebook.cells[0].outputs[0].data


def test_a_figure_is_shown_once(layout, capsys):
    figure = plt.figure()
    session.show(figure)
    assert not plt.fignum_exists(figure.number)
    assert capsys.readouterr().out.count("Figure") == 1
