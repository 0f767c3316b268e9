from __future__ import annotations

import pytest
from ipywidgets import Checkbox, Dropdown, FloatSlider, IntSlider, Label, Text

from workbench.errors import ParametersInvalid
from workbench.execution.parameters import parse_parameters
from workbench.widgets import ParametersForm

CELL = """\
epochs: Annotated[int, Ge(1), Le(100)] = 20  # passes over the rows
fold: Annotated[int, Gt(1), Lt(10), MultipleOf(2)] = 4
share: Annotated[float, Gt(0), Lt(1)] = 0.25
rate: Annotated[float, Gt(0)] = 0.003
solver: Literal["lbfgs", "saga"] = "lbfgs"
level: Literal[1, 2] = 2
shuffle: bool = True
hidden: list[int] = [64, 32]
name: str = "null"  # shown <b>in</b> pictures
seed: int | None = None
note: str | None = None
token: Secret = "secret://api-token"
other: Secret | None = None
"""
DEFAULTS = {
    **{"epochs": 20, "fold": 4, "share": 0.25, "rate": 0.003, "solver": "lbfgs", "level": 2, "shuffle": True},
    **{"hidden": [64, 32], "name": "null", "seed": None, "note": None, "token": "secret://api-token", "other": None},
}


@pytest.fixture
def form():
    return ParametersForm(parse_parameters(CELL, "n.ipynb"))


def widgets(box):
    for child in getattr(box, "children", ()):
        yield child
        yield from widgets(child)


def control(form, name):
    (found,) = [widget for widget in widgets(form) if getattr(widget, "description", None) == name]
    return found


def message(form, name):
    (row,) = [row for row in form.children if any(getattr(widget, "description", None) == name for widget in widgets(row))]
    return row.children[-1].value


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[("epochs", IntSlider), ("fold", IntSlider), ("share", FloatSlider), ("rate", Text), ("solver", Dropdown)],
        *[("level", Dropdown), ("shuffle", Checkbox), ("hidden", Text), ("name", Text), ("seed", Text), ("token", Text)],
    ],
)
def test_each_parameter_has_the_control_that_suits_it(form, name, kind):
    assert type(control(form, name)) is kind


def test_an_untouched_form_holds_the_defaults(form):
    assert form.values == DEFAULTS


def test_bounds_and_choices_are_those_of_the_contract(form):
    epochs, fold, share = (control(form, name) for name in ("epochs", "fold", "share"))
    assert (epochs.min, epochs.max, epochs.step) == (1, 100, 1)
    assert (fold.min, fold.max, fold.step) == (2, 9, 2)
    assert (share.min, share.max) == (0, 1)
    assert [value for _, value in control(form, "level").options] == [1, 2]


def test_the_help_stands_beside_its_control_as_plain_text(form):
    labels = [widget.value for widget in widgets(form) if isinstance(widget, Label)]
    assert "passes over the rows" in labels
    assert "shown <b>in</b> pictures" in labels, "a Label is text, not HTML"


@pytest.mark.parametrize(
    ("name", "shown", "value"),
    [
        *[("epochs", 30, 30), ("share", 0.5, 0.5), ("rate", "1e-2", 0.01), ("solver", "saga", "saga"), ("level", 1, 1)],
        *[("shuffle", False, False), ("hidden", "[8]", [8]), ("name", "[8]", "[8]"), ("seed", "7", 7), ("note", "x", "x")],
        *[("token", "secret://mine", "secret://mine"), ("other", "secret://mine", "secret://mine")],
    ],
)
def test_what_is_chosen_comes_back_as_the_parameters_type(form, name, shown, value):
    control(form, name).value = shown
    assert form.values == {**DEFAULTS, name: value}
    assert type(form.values[name]) is type(value)
    assert message(form, name) == ""


@pytest.mark.parametrize(
    ("name", "shown", "says"),
    [
        ("rate", "fast", "rate: given 'fast', input should be a valid number"),
        ("rate", "-1", "rate: given '-1', input should be greater than 0"),
        ("share", 0.0, "share: given 0.0, input should be greater than 0"),
        ("hidden", "[8, a]", "hidden: given '[8, a]', input should be a valid list"),
    ],
)
def test_what_cannot_be_used_is_said_in_its_row_and_mends(form, name, shown, says):
    before = control(form, name).value
    control(form, name).value = shown
    assert message(form, name).startswith(says)
    assert message(form, "epochs") == ""
    with pytest.raises(ParametersInvalid, match=r"n\.ipynb: the form holds what cannot be used") as caught:
        _ = form.values
    assert caught.value.problems[0].startswith(says)
    control(form, name).value = before
    assert message(form, name) == ""
    assert form.values == DEFAULTS


@pytest.mark.parametrize("name", ["token", "other"])
def test_a_secret_typed_into_the_form_does_not_stay_in_it(form, name):
    control(form, name).value = "hunter2-hunter2"
    assert "hunter2" not in control(form, name).value
    assert message(form, name).startswith(f"{name}: expected a reference such as secret://api-token")
    assert "hunter2" not in repr([widget.get_state() for widget in widgets(form)])
    assert form.values == DEFAULTS


def test_a_notebook_without_parameters_has_an_empty_form():
    form = ParametersForm(parse_parameters("", "n.ipynb"))
    assert (form.children, form.values) == ((), {})
