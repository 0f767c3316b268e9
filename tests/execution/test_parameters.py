from __future__ import annotations

import json
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import NotebookInvalid, ParametersInvalid
from workbench.execution.parameters import parse_parameters, read_parameters

CELL = """\
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MaxLen, MinLen

epochs: Annotated[int, Ge(1), Le(100)] = 20  # passes over the rows, at most
learning_rate: Annotated[float, Gt(0)] = 0.003  # größer lernt schneller # and forgets sooner
hidden: list[int] = [64, 32]  # units in each layer
columns: Annotated[list[str], MaxLen(3)] = []
solver: Literal["lbfgs", "saga"] = "lbfgs"
level: Literal[1, 2] = 1
shuffle: bool = True
name: Annotated[str, MinLen(1)] = "日本語 # no comment"  # shown in pictures
seed: int | None = None
weights: list[float] | None = [
    1.0,  # the first
    2,
]  # one for each class
"""


@pytest.fixture(scope="module")
def contract():
    return parse_parameters(CELL, "02_train.ipynb")


def refusal(call, *arguments):
    with pytest.raises(ParametersInvalid) as caught:
        call(*arguments)
    assert caught.value.hint == "No kernel was started."
    return caught.value.problems


def test_names_and_defaults_are_those_of_the_cell(contract):
    assert contract.names == (
        *("epochs", "learning_rate", "hidden", "columns", "solver", "level", "shuffle", "name", "seed", "weights"),
    )
    defaults = contract.defaults()
    assert (defaults["epochs"], defaults["hidden"], defaults["seed"], defaults["weights"]) == (20, [64, 32], None, [1.0, 2.0])


def test_the_comment_behind_a_line_is_its_help(contract):
    helps = {name: field.description for name, field in contract.model.model_fields.items()}
    assert helps["epochs"] == "passes over the rows, at most"
    assert helps["learning_rate"] == "größer lernt schneller # and forgets sooner"
    assert helps["name"] == "shown in pictures"
    assert helps["weights"] == "one for each class"
    assert helps["solver"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("epochs", 1), ("epochs", 100), ("learning_rate", 0.5), ("hidden", []), ("hidden", [1]), ("columns", ["a"])],
        *[("solver", "saga"), ("level", 2), ("shuffle", False), ("name", "x"), ("seed", 7), ("seed", None), ("weights", None)],
    ],
)
def test_a_value_that_fits_comes_back_as_it_is(contract, name, value):
    assert contract.validate({name: value}) == {name: value}


def test_a_whole_number_is_a_number(contract):
    assert contract.validate({"learning_rate": 1}) == {"learning_rate": 1.0}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("epochs", 0, "epochs: given 0, input should be greater than or equal to 1"),
        ("epochs", 101, "epochs: given 101, input should be less than or equal to 100"),
        ("epochs", 1.5, "epochs: given 1.5, input should be a valid integer"),
        ("epochs", "10", "epochs: given '10', input should be a valid integer"),
        ("epochs", True, "epochs: given True, input should be a valid integer"),
        ("learning_rate", 0.0, "learning_rate: given 0.0, input should be greater than 0"),
        ("learning_rate", float("nan"), "learning_rate: given nan, input should be a finite number"),
        ("learning_rate", float("inf"), "learning_rate: given inf, input should be a finite number"),
        ("hidden", [1, "a"], "hidden: given 'a', input should be a valid integer"),
        ("columns", ["a"] * 4, "columns: given ['a', 'a', 'a', 'a'], list should have at most 3 items"),
        ("solver", "newton", "solver: given 'newton', input should be 'lbfgs' or 'saga'"),
        ("shuffle", "yes", "shuffle: given 'yes', input should be a valid boolean"),
        ("name", "", "name: given '', string should have at least 1 character"),
        ("epochs", None, "epochs: given None, input should be a valid integer"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_was_expected(contract, name, value, says):
    (problem,) = refusal(contract.validate, {name: value})
    assert problem.startswith(says)


def test_a_misspelt_name_is_answered_with_the_one_that_was_meant(contract):
    problems = refusal(contract.parse, {"epcohs": "10", "learning_rate": "fast"})
    assert problems[-1] == "epcohs: unknown parameter. Did you mean 'epochs'?"
    assert problems[0].startswith("learning_rate: given 'fast', input should be a valid number")


def test_each_parameter_counts_once_whatever_it_might_have_been(contract):
    with pytest.raises(ParametersInvalid, match=r"02_train\.ipynb: 1 parameter cannot be used"):
        contract.validate({"seed": "x"})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        *[("epochs", "10", 10), ("learning_rate", "1e-3", 0.001), ("learning_rate", "1", 1.0), ("shuffle", "false", False)],
        *[("hidden", "[8, 4]", [8, 4]), ("hidden", " []", []), ("columns", '["a", "b"]', ["a", "b"]), ("solver", "saga", "saga")],
        *[("level", "2", 2), ("name", "[1]", "[1]"), ("name", "null", "null"), ("name", "10", "10"), ("seed", "null", None)],
        *[("seed", "7", 7), ("weights", "[1, 2]", [1.0, 2.0]), ("weights", "null", None)],
    ],
)
def test_text_from_a_command_line_is_read_as_the_parameters_type(contract, name, text, value):
    found = contract.parse({name: text})
    assert found == {name: value}
    assert type(found[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("epochs", "ten"),
        ("epochs", "0"),
        ("epochs", "1.5"),
        ("epochs", "[1]"),
        ("hidden", "8,4"),
        ("hidden", "[8,"),
        ("level", "3"),
    ],
)
def test_text_that_says_nothing_of_the_kind_is_shown(contract, name, text):
    assert refusal(contract.parse, {name: text})[0].startswith(f"{name}: given '{text}', input should be")


def test_a_notebook_without_the_cell_takes_no_parameters():
    contract = parse_parameters("", "n.ipynb")
    assert contract.names == ()
    assert refusal(contract.parse, {"epochs": "1"}) == ("epochs: unknown parameter. None exist yet.",)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("import os", "expected `name: type = literal  # help`"),
        ("from os import system", "expected `name: type = literal  # help`"),
        ("epochs = 10", "expected `name: type = literal  # help`"),
        ("epochs: int", "expected `name: type = literal  # help`"),
        ("self.epochs: int = 1", "expected `name: type = literal  # help`"),
        ("print('hello')", "expected `name: type = literal  # help`"),
        ("%matplotlib inline", "invalid syntax"),
        ("a: int = open('x', 'w')", "expected a literal"),
        ("a: str = f'{1}'", "expected a literal"),
        ("a: list[int] = [x for x in (1,)]", "expected a literal"),
        ("a: open('x', 'w') = 1", "this type is not allowed"),
        ("a: dict[str, int] = {}", "this type is not allowed"),
        ("a: 'int' = 1", "this type is not allowed"),
        ("a: Literal[open('x', 'w')] = 1", "expected a literal"),
        ("a: Annotated[int, print('x')] = 1", "expected Ge, Gt, Le, Lt or MultipleOf of a number"),
        ("a: Annotated[str, Ge(1)] = 'x'", "or MinLen or MaxLen of a text or list"),
        ("a: Annotated[int | None, Ge(1)] = 1", "expected Ge, Gt, Le, Lt or MultipleOf of a number"),
        ("a: Annotated[int, Ge(open('x', 'w'))] = 1", "expected a literal"),
        ("a: int = 1\na: int = 2", "this name is taken"),
        ("_a: int = 1", "this name is taken"),
        ("copy: int = 1", "this name is taken"),
        ("model_dump: int = 1", "this name is taken"),
    ],
)
def test_a_line_of_another_form_is_refused_and_shown(line, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotebookInvalid, match=r"n\.ipynb, parameters cell") as caught:
        parse_parameters(f"first: int = 1\n{line}", "n.ipynb")
    assert says in caught.value.message
    assert "line" in caught.value.message
    assert list(tmp_path.iterdir()) == [], "nothing in the cell was run"


@pytest.mark.parametrize(
    "line",
    ["a: int = 'x'", "a: int = '5'", "a: int = True", "a: list[int] = (1,)", "a: Annotated[int, Ge(1)] = 0", "a: Literal[1] = 2"],
)
def test_a_default_that_breaks_its_own_declaration_is_refused(line):
    with pytest.raises(NotebookInvalid, match="a default does not fit its type") as caught:
        parse_parameters(line, "n.ipynb")
    assert caught.value.problems[0].startswith("a: given ")


EVIL = "(globals().__setitem__('ran', 1))"
NAMES = st.sampled_from(["a", "b", "é", "model_config", "json", "_x", "__base__", "self", "True", "schema", "class"])
TYPES = st.recursive(
    st.sampled_from(
        [
            *("int", "float", "str", "bool", "None", "list", "Literal", "Literal[1, 'a']", "Literal[()]", "Literal[[1]]", EVIL),
            *("Annotated[int, Ge(1)]", "Annotated[str, MinLen(-1)]", "Annotated[int, MultipleOf(0)]", "Annotated[int, Ge('x')]"),
            *("Annotated[int, Ge(1.5)]", "Annotated[str, MinLen(1.5)]", f"Annotated[int, {EVIL}]", f"Literal[{EVIL}]"),
        ]
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(" | ".join), inner.map("list[{}]".format), inner.map("Annotated[{}, Ge(1)]".format)
    ),
    max_leaves=4,
)
VALUES = st.sampled_from(
    ["1", "-1", "1.5", "'a'", "None", "[]", "[1]", "{}", "True", "b'x'", "1+2j", "...", "1e999", "'\\ud800'", EVIL]
)
SOURCES = (
    st.text(max_size=40)
    | st.lists(st.builds("{}: {} = {}  # {}".format, NAMES, TYPES, VALUES, st.text(max_size=5)), max_size=3).map("\n".join)
    | st.lists(st.sampled_from([*"ab:=[]()#'\"\\\n\r\x0c \t1.|,{}", "int", "lambda", EVIL]), max_size=25).map("".join)
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(source=SOURCES, text=st.text(max_size=5))
def test_whatever_stands_in_the_cell_is_never_run_and_at_worst_refused(source, text):
    try:
        contract = parse_parameters(source, "n.ipynb")
    except NotebookInvalid as error:
        assert error.hint
    else:
        contract.defaults()
        for name in contract.names:
            try:
                contract.parse({name: text})
            except ParametersInvalid as error:
                assert error.problems
    assert not any("ran" in vars(module) for module in (sys.modules[__name__], sys.modules["workbench.execution.parameters"]))


@pytest.mark.parametrize(
    "source",
    [
        "(" * 300,
        "a: int = " + "-" * 20_000 + "1",
        "a: int = " + "9" * 6000,
        "a: int = 1\0",
        "a: " + " | ".join(["int"] * 3000) + " = 1",
    ],
    ids=["nested", "signs", "digits", "null", "union"],
)
def test_absurd_cells_are_refused(source):
    with pytest.raises(NotebookInvalid):
        parse_parameters(source, "n.ipynb")


def write(path, *cells):
    listed = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {"tags": tags}, "source": source}
        for i, (source, tags) in enumerate(cells)
    ]
    path.write_text(json.dumps({"cells": listed, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")
    return path


def test_the_contract_is_read_from_the_tagged_cell(tmp_path):
    path = write(
        tmp_path / "n.ipynb", ("other: int = 1", []), (["rows: int = 5  # how many\n", "name: str = 'x'"], ["parameters"])
    )
    assert read_parameters(path).names == ("rows", "name")
    assert read_parameters(write(path, ("x = 1", []))).names == ()


def test_two_parameters_cells_are_one_too_many(tmp_path):
    path = write(tmp_path / "n.ipynb", ("a: int = 1", ["parameters"]), ("b: int = 1", ["parameters"]))
    with pytest.raises(NotebookInvalid, match="2 cells tagged 'parameters', expected one"):
        read_parameters(path)


def test_a_missing_notebook_is_answered_with_the_one_that_was_meant(tmp_path):
    write(tmp_path / "02_train_boosted.ipynb")
    with pytest.raises(NotebookInvalid, match="no notebook") as caught:
        read_parameters(tmp_path / "02_train_bosted.ipynb")
    assert caught.value.hint == "Did you mean '02_train_boosted.ipynb'?"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"not json",
        b"[]",
        b"3",
        b'{"cells": 3}',
        b'{"cells": [3]}',
        b'{"cells": [{"source": 3, "metadata": {"tags": ["parameters"]}}]}',
        b"[" * 100_000,
    ],
    ids=["empty", "binary", "text", "list", "number", "cells", "cell", "source", "deep"],
)
def test_a_file_that_is_no_notebook_is_refused(tmp_path, content):
    path = tmp_path / "n.ipynb"
    path.write_bytes(content)
    with pytest.raises(NotebookInvalid, match=r"n\.ipynb is not a notebook"):
        read_parameters(path)


def test_the_templates_keep_their_own_contract(root):
    """Each parameter of a notebook that ships is explained."""
    notebooks = sorted((root / "notebooks").glob("*.ipynb"))
    assert len(notebooks) >= 8
    for notebook in notebooks:
        fields = read_parameters(notebook).model.model_fields
        assert all(field.description for field in fields.values()), notebook.name
