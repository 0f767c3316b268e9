from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.data import MISSING, Column, Contract, normalise
from workbench.errors import ContractViolated

CONTRACT = Contract(
    features=(
        Column(name="age", kind="number", source_type="integer", nullable=True, minimum=0, maximum=9),
        Column(name="code", kind="category", source_type="integer", nullable=True, categories=("1", "2")),
        Column(name="member", kind="category", source_type="boolean", nullable=True, categories=("false", "true")),
        Column(name="city", kind="category", source_type="string", nullable=True, categories=("a", "b")),
    ),
    target="y",
    task="binary",
    classes=("0", "1"),
    positive="1",
)
FRAME = pl.DataFrame(
    {
        "city": ["a", None, "new"],
        "y": [1.0, 0.0, None],
        "member": [True, None, False],
        "other": [0, 0, 0],
        "code": [1.0, None, 2.0],
        "age": [3.5, float("nan"), 1.0],
    }
)


def test_every_model_sees_numbers_as_floats_and_the_rest_as_text():
    assert normalise(FRAME, CONTRACT).rows(named=True) == [
        {"age": 3.5, "code": "1", "member": "true", "city": "a", "y": "1"},
        {"age": None, "code": MISSING, "member": MISSING, "city": MISSING, "y": "0"},
    ]


def test_without_a_target_every_row_is_kept():
    frame = normalise(FRAME.drop("y"), CONTRACT)
    assert frame.columns == list(CONTRACT.names)
    assert frame.height == 3
    assert frame["city"][2] == "new"


def test_a_regression_target_is_a_float():
    contract = Contract(features=CONTRACT.features, target="y", task="regression")
    assert normalise(FRAME, contract)["y"].to_list() == [1.0, 0.0]


def test_columns_without_any_value_keep_their_type():
    frame = normalise(FRAME.with_columns(pl.lit(None).alias("city"), pl.lit(None, pl.String).alias("age")), CONTRACT)
    assert frame.schema["age"] == pl.Float64
    assert frame["city"].to_list() == [MISSING, MISSING]


def test_a_missing_column_is_named():
    with pytest.raises(ContractViolated) as caught:
        normalise(FRAME.drop("age", "city"), CONTRACT)
    assert caught.value.problems == ("age", "city")


@pytest.mark.parametrize("column", [pl.lit("x").alias("age"), pl.lit(0.5).alias("code"), pl.lit(1).alias("city")])
def test_another_type_is_refused_not_guessed(column):
    with pytest.raises(ContractViolated, match="expected"):
        normalise(FRAME.with_columns(column), CONTRACT)


@given(st.lists(st.none() | st.floats(), min_size=1), st.data())
def test_numbers_are_never_nan_and_categories_never_null(numbers, data):
    codes = data.draw(st.lists(st.none() | st.integers(0, 9), min_size=len(numbers), max_size=len(numbers)))
    frame = pl.DataFrame({"age": numbers, "code": codes, "member": codes, "city": codes}).with_columns(
        pl.col("age").cast(pl.Float64), pl.col("member").cast(pl.Boolean), pl.col("city").cast(pl.String)
    )
    normal = normalise(frame, CONTRACT)
    assert not normal["age"].is_nan().any()
    assert normal.select("code", "member", "city").null_count().sum_horizontal()[0] == 0
