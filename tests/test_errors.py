from __future__ import annotations

import ast
import copy
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench.errors
from workbench.errors import NotFound, ParametersInvalid, WorkbenchError, bounded, did_you_mean


def tree(kind: type[WorkbenchError] = WorkbenchError) -> list[type[WorkbenchError]]:
    """Every error class of the module, parents before children."""
    children = [child for child in kind.__subclasses__() if child.__module__ == workbench.errors.__name__]
    return [kind, *(found for child in children for found in tree(child))]


def depth(kind: type[WorkbenchError]) -> int:
    return len(kind.__mro__) - len(WorkbenchError.__mro__)


def test_the_docstring_draws_the_tree_as_it_is():
    drawn = re.findall(r"^    ([│├└─ ]*)(\w+)", workbench.errors.__doc__ or "", re.MULTILINE)
    assert {(name, len(branch) // 4) for branch, name in drawn} == {(kind.__name__, depth(kind)) for kind in tree()}
    assert len(drawn) == len(tree())


def test_every_error_is_exported_and_documented():
    assert {kind.__name__ for kind in tree()} <= set(workbench.errors.__all__)
    assert all(kind.__doc__ for kind in tree())


def test_the_exit_codes_are_those_that_the_command_line_documents(root):
    source = (root / "workbench/cli/__init__.py").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"\b(\d+) [a-z]", ast.get_docstring(ast.parse(source)) or "")}
    own = {kind.exit_code for kind in tree()}
    assert documented == own | {0, 130}


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("WorkbenchError", 1, 500),
        ("BadInput", 2, 422),
        ("NotFound", 3, 404),
        ("WaitsForPerson", 4, 409),
        ("RunFailed", 5, 500),
        ("ComponentMissing", 6, 503),
    ],
)
def test_every_kind_of_error_ends_a_command_and_a_request_in_its_own_way(kind, code, status):
    family = [leaf for leaf in tree(getattr(workbench.errors, kind)) if kind != "WorkbenchError" or leaf is WorkbenchError]
    assert {(leaf.exit_code, leaf.status) for leaf in family} == {(code, status)}


def test_an_error_reads_as_message_problems_and_what_to_do_next():
    error = ParametersInvalid("two parameters cannot be used", problems=["a: unknown", "b: too large"], hint="See --help.")
    assert str(error) == "two parameters cannot be used\n  - a: unknown\n  - b: too large\nSee --help."
    assert str(NotFound("no record")) == "no record"


def test_programs_get_one_shape():
    error = ParametersInvalid("given", problems=["one"], hint="next")
    assert error.as_json() == {"error": "ParametersInvalid", "message": "given", "problems": ["one"], "hint": "next"}
    assert list(NotFound("x").as_json()) == ["error", "message", "problems", "hint"]


def test_no_error_floods_a_terminal():
    error = NotFound("m" * 10_000, hint="h" * 10_000, problems=["p" * 10_000] * 500)
    assert len(str(error)) < 8000
    assert len(str(error.as_json())) < 8000
    assert "… and 480 more" in str(error)
    assert error.message.endswith("…")


@pytest.mark.parametrize("kind", tree())
@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy], ids=["pickle", "copy"])  # noqa: S301
def test_an_error_comes_whole_out_of_another_process(kind, again):
    error = kind("message", hint="hint", problems=[str(number) for number in range(25)])
    found = again(error)
    assert type(found) is kind
    assert str(found) == str(error)
    assert found.as_json() == error.as_json()
    assert found.left_out == 5


@given(text=st.text(), limit=st.integers(1, 50))
def test_bounded_text_is_cut_only_when_it_is_too_long(text, limit):
    assert len(bounded(text, limit)) <= limit
    assert (bounded(text, limit) == text) == (len(text) <= limit) or text.endswith("…")


def test_a_slip_of_the_fingers_is_answered_with_the_word_that_was_meant():
    assert did_you_mean("epcohs", ["epochs", "rounds"]) == "Did you mean 'epochs'?"
    assert did_you_mean("something else", ["epochs", "rounds"]) == "Known: epochs, rounds."
    assert did_you_mean("epochs", []) == "None exist yet."
