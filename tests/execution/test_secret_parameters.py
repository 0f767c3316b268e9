from __future__ import annotations

import json
import logging
import traceback

import pytest
from jsonschema import Draft202012Validator

from workbench.errors import BadInput, NotebookInvalid, NotFound, ParametersInvalid
from workbench.execution.parameters import parse_parameters
from workbench.execution.secrets import scrubber_for, secrets_of

CELL = """\
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MaxLen
from workbench.session import Secret

epochs: Annotated[int, Ge(1), Le(100)] = 20  # passes over the rows
rate: Annotated[float, Gt(0)] = 0.003
tags: Annotated[list[str], MaxLen(3)] = []
solver: Literal["lbfgs", "saga"] = "lbfgs"
token: Secret = "secret://api-token"  # for the data service
password: Secret | None = None
"""
SECRET = "hunter2-hunter2"


@pytest.fixture
def contract():
    return parse_parameters(CELL, "n.ipynb")


def everything_about(error):
    """What a log, a traceback with its causes, or a debugger that walks them could show of an error."""
    shown = [str(error), repr(error), json.dumps(error.as_json()), "".join(traceback.format_exception(error))]
    seen = error
    while seen is not None:
        shown += [str(seen), repr(seen), repr(vars(seen)), repr(getattr(seen, "errors", list)())]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(shown)


def test_a_reference_is_accepted_and_stays_a_reference(contract):
    assert contract.secrets == ("token", "password")
    assert contract.defaults()["token"] == "secret://api-token"
    assert contract.validate({"token": "secret://other_one.2"}) == {"token": "secret://other_one.2"}
    assert contract.parse({"token": "secret://x", "password": "secret://y"}) == {"token": "secret://x", "password": "secret://y"}


@pytest.mark.parametrize("name", ["token", "password"])
@pytest.mark.parametrize(
    "value", [SECRET, f"secret://{SECRET}/x", f"secret://..{SECRET}", "secret://" + SECRET * 20, [SECRET], b"hunter2"]
)
def test_what_is_no_reference_is_refused_and_never_repeated(contract, name, value, caplog):
    with pytest.raises(ParametersInvalid, match="1 parameter cannot be used") as caught:
        contract.validate({name: value, "epochs": 3})
    assert caught.value.problems == (
        f"{name}: expected a reference such as secret://api-token; what was given may be a secret itself and is not shown",
    )
    logging.getLogger("test").exception("refused", exc_info=caught.value)
    assert "hunter2" not in everything_about(caught.value) + caplog.text


def test_a_text_from_the_command_line_that_is_no_reference_is_never_repeated(contract):
    with pytest.raises(ParametersInvalid) as caught:
        contract.parse({"token": SECRET, "epochs": "many"})
    assert "hunter2" not in everything_about(caught.value)
    assert any("given 'many'" in problem for problem in caught.value.problems), "others are still shown"


def test_a_misspelt_secret_is_answered_with_the_one_that_was_meant(contract):
    with pytest.raises(ParametersInvalid) as caught:
        contract.validate({"tokn": SECRET})
    assert caught.value.problems == ("tokn: unknown parameter. Did you mean 'token'?",)
    assert "hunter2" not in everything_about(caught.value)


@pytest.mark.parametrize(
    "line",
    [f"t: Secret = '{SECRET}'", f"t: Secret | None = '{SECRET}'", f"t: Secret = f'{SECRET}'", f"t: Secret = open('{SECRET}')"],
)
def test_a_secret_written_into_the_cell_is_refused_and_never_repeated(line):
    with pytest.raises(NotebookInvalid) as caught:
        parse_parameters(line, "n.ipynb")
    assert "secret://api-token" in str(caught.value)
    assert "hunter2" not in everything_about(caught.value)


@pytest.mark.parametrize("kind", ["list[Secret]", "Secret | int", "Annotated[Secret, MinLen(3)]"])
def test_no_more_is_made_of_a_secret(kind):
    with pytest.raises(NotebookInvalid):
        parse_parameters(f"t: {kind} = 'secret://x'", "n.ipynb")


@pytest.mark.parametrize("line", ["from workbench.session import save", "from workbench.session import Secret as S"])
def test_only_the_type_itself_is_imported_from_the_session(line):
    with pytest.raises(NotebookInvalid, match="expected `name: type = literal"):
        parse_parameters(line, "n.ipynb")


def test_the_schema_is_valid_and_holds_limits_help_and_the_mark_of_a_secret(contract):
    schema = contract.schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (schema["title"], schema["additionalProperties"]) == ("n.ipynb", False)
    fields = schema["properties"]
    assert (fields["epochs"]["minimum"], fields["epochs"]["maximum"], fields["epochs"]["default"]) == (1, 100, 20)
    assert (fields["rate"]["exclusiveMinimum"], fields["tags"]["maxItems"]) == (0, 3)
    assert fields["solver"]["enum"] == ["lbfgs", "saga"]
    assert fields["epochs"]["description"] == "passes over the rows"
    assert fields["token"]["format"] == "secret-reference"
    assert {kind.get("format") for kind in fields["password"]["anyOf"]} == {"secret-reference", None}


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ({"epochs": 5, "token": "secret://a"}, True),
        *[({"epochs": 0}, False), ({"epochs": "5"}, False), ({"rate": 0}, False), ({"tags": ["a"] * 4}, False)],
        *[({"token": "plain"}, False), ({"password": None}, True), ({"other": 1}, False), ({"solver": "newton"}, False)],
    ],
)
def test_the_schema_accepts_what_the_contract_accepts(contract, given, fits):
    assert Draft202012Validator(contract.schema()).is_valid(given) is fits
    if fits:
        contract.validate(given)
    else:
        with pytest.raises(ParametersInvalid):
            contract.validate(given)


def test_the_help_says_type_and_default_as_they_are_written(contract):
    first, *_, last = contract.rows()
    assert (first.name, first.type, first.default) == ("epochs", "Annotated[int, Ge(1), Le(100)]", "20")
    assert (first.help, last.help) == ("passes over the rows", "")
    assert contract.help().splitlines()[:4] == [
        "n.ipynb takes:",
        "  epochs    Annotated[int, Ge(1), Le(100)] = 20",
        "            passes over the rows",
        "  rate      Annotated[float, Gt(0)] = 0.003",
    ]
    assert "token     Secret = 'secret://api-token'" in contract.help()
    assert parse_parameters("", "m.ipynb").help() == "m.ipynb takes no parameters."


def test_a_run_knows_the_secrets_of_its_given_and_default_references(contract, monkeypatch):
    monkeypatch.setenv("WORKBENCH_SECRET_API_TOKEN", "the default one")
    monkeypatch.setenv("WORKBENCH_SECRET_MINE", SECRET)
    assert secrets_of(contract, {}) == {"api-token": "the default one"}
    values = contract.validate({"token": "secret://mine", "password": "secret://mine"})
    assert secrets_of(contract, values) == {"mine": SECRET}
    scrubber = scrubber_for(contract, values)
    assert scrubber.text(f"{SECRET}; the default one") == "[secret://mine]; [secret://api_token]", "the environment's, too"


def test_a_reference_that_cannot_be_resolved_is_refused_before_the_run(contract, monkeypatch):
    with pytest.raises(NotFound, match="no place knows the secret secret://api-token"):
        scrubber_for(contract, {})
    monkeypatch.setenv("WORKBENCH_SECRET_API_TOKEN", "abc")
    with pytest.raises(BadInput, match="has 3 characters, expected 4 to 65,536"):
        scrubber_for(contract, {})


def test_a_notebook_without_secrets_has_a_scrubber_that_does_nothing():
    assert not scrubber_for(parse_parameters("a: int = 1", "n.ipynb"), {})
