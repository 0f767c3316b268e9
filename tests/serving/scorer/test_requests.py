"""What a request may hold, and how precisely a refusal says what it may not."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import RequestInvalid
from workbench.serving.scorer.manifest import Feature, Manifest
from workbench.serving.scorer.requests import RequestReader

GOOD = {"age": 40, "limit bal": 1.5, "SEX": 1, "copy": "a", "_own": True}


def problems(reader: RequestReader, *rows: object) -> list[str]:
    with pytest.raises(RequestInvalid) as caught:
        reader.read({"rows": list(rows)})
    return list(caught.value.problems) or [caught.value.message]


@pytest.fixture
def reader(manifest) -> RequestReader:
    return RequestReader(manifest)


def test_a_good_row_is_normalised_to_what_training_saw(reader):
    request = reader.read({"rows": [GOOD, {**GOOD, "limit bal": None, "copy": None, "SEX": "2", "_own": False}]})
    assert request.rows == [
        {"age": 40.0, "limit bal": 1.5, "SEX": "1", "copy": "a", "_own": "true"},
        {"age": 40.0, "limit bal": None, "SEX": "2", "copy": "(missing)", "_own": "false"},
    ]
    assert request.warnings == []


def test_an_unseen_category_is_answered_and_named_once(reader):
    request = reader.read({"rows": [GOOD, {**GOOD, "copy": "z"}, {**GOOD, "copy": "z"}]})
    assert request.warnings == ["row 1, field 'copy': the category 'z' was not seen at training"]


@pytest.mark.parametrize(
    ("field", "value", "given_", "expected"),
    [
        ("age", "40", "the string '40'", "a finite number within ±3.4e38"),
        ("age", True, "the boolean true", "a finite number within ±3.4e38"),
        ("age", None, "null", "a finite number within ±3.4e38"),
        ("age", [40], "an array", "a finite number within ±3.4e38"),
        ("age", float("inf"), "a number too large for JSON", "a finite number within ±3.4e38"),
        ("age", 1e39, "the number 1e+39", "a finite number within ±3.4e38"),
        ("age", 10**400, "the number 1000", "a finite number within ±3.4e38"),
        ("limit bal", {}, "an object", "a finite number within ±3.4e38 or null"),
        ("SEX", 1.5, "the number 1.5", "a category as text or integer"),
        ("SEX", True, "the boolean true", "a category as text or integer"),
        ("SEX", None, "null", "a category as text or integer"),
        ("copy", 3, "the number 3", "a category as text or null"),
        ("_own", 1, "the number 1", "a category as text or boolean"),
    ],
)
def test_a_wrong_value_is_named_with_row_field_given_and_expected(reader, field, value, given_, expected):
    (problem,) = problems(reader, GOOD, {**GOOD, field: value})
    assert problem.startswith(f"row 1, field '{field}': given {given_}")
    assert problem.endswith(f"expected {expected}")


def test_a_missing_and_an_extra_field_are_named(reader):
    without = {name: value for name, value in GOOD.items() if name != "age"}
    assert problems(reader, without) == ["row 0, field 'age': missing, expected a finite number within ±3.4e38"]
    assert problems(reader, {**GOOD, "agee": 1}) == ["row 0, field 'agee': unknown field; Did you mean 'age'?"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "'rows' is missing, expected a list of 1 to 3 objects"),
        ({"rows": GOOD}, "'rows' is an object, expected a list of 1 to 3 objects"),
        ({"rows": []}, "'rows' holds 0 rows, expected 1 to 3"),
        ({"rows": [GOOD] * 4}, "'rows' holds 4 rows, expected 1 to 3"),
        ({"rows": [GOOD], "extra": 1}, "the body has the unknown key 'extra', expected only 'rows'"),
    ],
)
def test_a_wrong_envelope_is_named(reader, body, message):
    with pytest.raises(RequestInvalid) as caught:
        reader.read(body)
    assert caught.value.message == message


def test_a_row_that_is_no_object_is_named(reader):
    assert problems(reader, GOOD, [1]) == ["row 1: given an array, expected an object with one value per field"]


def test_a_row_with_a_hundred_thousand_fields_is_refused_quickly(reader):
    row = {str(number): 1 for number in range(100_000)}
    started = time.perf_counter()
    assert problems(reader, row) == ["row 0 holds 100000 fields, expected the 5 of the model"]
    assert time.perf_counter() - started < 0.2


def test_the_schema_describes_every_field_and_accepts_its_own_example(reader, manifest):
    schema = reader.schema()
    row = schema["properties"]["rows"]["items"]
    assert set(row["properties"]) == set(GOOD) == set(row["required"])
    assert row["additionalProperties"] is False
    assert schema["properties"]["rows"]["maxItems"] == 3
    assert row["properties"]["limit bal"] == {"type": "number", "nullable": True}
    assert reader.read(schema["example"]).rows == [manifest.example]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(value=ANYTHING, field=st.sampled_from(list(GOOD)))
def test_any_value_is_either_read_as_a_model_can_take_it_or_refused(value, field):
    reader = RequestReader(_manifest())
    try:
        (row,) = reader.read({"rows": [{**GOOD, field: value}]}).rows
    except RequestInvalid as error:
        assert json.dumps(error.as_json())
    else:
        assert row[field] is None or isinstance(row[field], float if field in ("age", "limit bal") else str)


def _manifest() -> Manifest:
    kinds = {"age": ("number", "integer"), "limit bal": ("number", "float"), "SEX": ("category", "integer")}
    features = [
        Feature(
            name=name,
            kind=kinds.get(name, ("category", "string"))[0],
            source_type=kinds.get(name, ("category", "boolean"))[1],
            nullable=name == "limit bal",
        )
        for name in GOOD
        if name != "copy"
    ]
    features.append(Feature(name="copy", kind="category", source_type="string", nullable=True))
    return Manifest(
        name="any",
        version="v1",
        format="onnx",
        task="regression",
        target="y",
        classes=(),
        positive=None,
        features=tuple(features),
        missing="(missing)",
        max_rows=3,
        max_body_bytes=2000,
        files={},
        labels={},
        example={},
        expected=(0.0,),
    )
