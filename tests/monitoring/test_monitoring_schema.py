"""A window whose shape broke is told so in words, and never crashes what comes after."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data.contract import Column, Contract
from workbench.monitoring import compare, schema_problems

CONTRACT = Contract(
    features=(
        Column(name="age", kind="number", source_type="integer", nullable=True, minimum=18.0, maximum=90.0),
        Column(name="income", kind="number", source_type="float", nullable=True, minimum=0.0, maximum=9e5),
        Column(name="job", kind="category", source_type="string", nullable=False, categories=("cook", "pilot")),
    ),
    target="y",
    task="binary",
    classes=("0", "1"),
    positive="1",
    ignored=("id",),
)
GOOD = pl.DataFrame(
    {"age": [float(20 + i % 50) for i in range(100)], "income": [10.5 * i for i in range(100)], "job": ["cook", "pilot"] * 50}
)


def test_a_window_as_the_contract_says_has_no_problems() -> None:
    assert schema_problems(GOOD, CONTRACT) == ()
    assert schema_problems(GOOD.with_columns(id=1, prediction=pl.lit(0.5)), CONTRACT, GOOD) == ()


@pytest.mark.parametrize(
    ("window", "sentence"),
    [
        (GOOD.drop("age"), "column 'age' is missing"),
        (GOOD.rename({"age": "alter"}), "column 'age' is missing and 'alter' is unexpected: it looks renamed"),
        (GOOD.with_columns(extra=1), "column 'extra' is unexpected: the model never saw it"),
        (
            GOOD.with_columns(pl.col("age").cast(pl.String).replace("20.0", "young")),
            "column 'age' changed its type: text where numbers belong (2 of 100 values); training held integers",
        ),
        (
            GOOD.with_columns(pl.col("age").cast(pl.String)),
            "column 'age' changed its type: numbers written as text; training held integers",
        ),
        (
            GOOD.with_columns(job=pl.col("income") + 0.25),
            "column 'job' changed its type: fractional numbers where categories belong; training held strings",
        ),
        (
            GOOD.with_columns(age=pl.col("age").cast(pl.Int64).cast(pl.Date)),
            "column 'age' changed its type: Date where numbers belong; training held integers",
        ),
        (GOOD.with_columns(age=None), "column 'age' is empty: all 100 values are missing"),
        (GOOD.with_columns(age=float("nan")), "column 'age' is empty: all 100 values are missing"),
        (GOOD.with_columns(job=pl.lit("(missing)")), "column 'job' is empty: all 100 values are missing"),
        (GOOD.with_columns(age=42.0), "column 'age' is stuck: all 100 values are '42.0'"),
        (GOOD.with_columns(job=pl.lit("cook")), "column 'job' is stuck: all 100 values are 'cook'"),
        (
            GOOD.with_columns(pl.col("job").str.to_uppercase()),
            "column 'job' holds only categories that training never saw, such as 'COOK'",
        ),
    ],
)
def test_each_way_to_break_a_column_has_its_sentence(window: pl.DataFrame, sentence: str) -> None:
    assert schema_problems(window, CONTRACT) == (sentence,)


def test_several_renamed_columns_are_matched_by_their_spelling() -> None:
    assert schema_problems(GOOD.rename({"age": "AGE", "income": "in_come"}), CONTRACT) == (
        "column 'age' is missing and 'AGE' is unexpected: it looks renamed",
        "column 'income' is missing and 'in_come' is unexpected: it looks renamed",
    )


def test_a_rare_value_that_chance_leaves_out_of_a_window_is_no_problem() -> None:
    training = pl.DataFrame({"age": [30.0] * 99 + [31.0], "income": GOOD["income"], "job": GOOD["job"]})
    window = GOOD.with_columns(age=30.0)
    assert schema_problems(window, CONTRACT, training) == ()
    assert schema_problems(window, CONTRACT, GOOD) == ("column 'age' is stuck: all 100 values are '30.0'",)


def test_a_column_that_never_varied_may_stay_as_it_is() -> None:
    constant = Contract(
        features=(Column(name="v", kind="number", source_type="float", nullable=False, minimum=1.0, maximum=1.0),),
        target="y",
        task="regression",
    )
    assert schema_problems(pl.DataFrame({"v": [1.0] * 50}), constant) == ()


def test_a_broken_column_is_never_counted_as_one_that_did_not_drift() -> None:
    window = GOOD.drop("age").with_columns(job=None, income=pl.col("income").cast(pl.String))
    report = compare(GOOD, window, CONTRACT, alpha=0.01, floor=0.02)
    assert report.features == ()
    assert report.skipped == {
        "age": "absent from the window",
        "income": "numbers written as text in the window",
        "job": "no values in the window",
    }


SERIES = st.one_of(
    st.lists(st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.0, float("inf")])), min_size=0, max_size=30).map(
        lambda values: pl.Series(values, dtype=pl.Float64)
    ),
    st.lists(st.one_of(st.none(), st.integers(-5, 5)), max_size=30).map(lambda values: pl.Series(values, dtype=pl.Int64)),
    st.lists(st.one_of(st.none(), st.text(max_size=3), st.sampled_from(["cook", "3", "(missing)"])), max_size=30).map(
        lambda values: pl.Series(values, dtype=pl.String)
    ),
    st.lists(st.booleans(), max_size=30).map(lambda values: pl.Series(values, dtype=pl.Boolean)),
    st.lists(st.lists(st.integers(0, 3), max_size=2), max_size=30).map(lambda values: pl.Series(values, dtype=pl.List(pl.Int64))),
    st.integers(0, 30).map(lambda rows: pl.Series([None] * rows, dtype=pl.Null)),
)


@settings(max_examples=150, deadline=None)
@given(columns=st.dictionaries(st.sampled_from(["age", "income", "job", "Age", "prediction", "x"]), SERIES, max_size=5))
def test_no_window_crashes_the_checks_and_every_column_is_accounted_for(columns: dict[str, pl.Series]) -> None:
    rows = min((len(values) for values in columns.values()), default=0)
    window = pl.DataFrame({name: values.head(rows) for name, values in columns.items()})
    reference = GOOD.with_columns(prediction=pl.lit(0.5))
    problems = schema_problems(window, CONTRACT, GOOD)
    report = compare(reference, window, CONTRACT, alpha=0.01, floor=0.02)
    judged = {feature.name for feature in report.features}
    assert judged | set(report.skipped) >= set(CONTRACT.names)
    assert not judged & set(report.skipped)
    for name in set(CONTRACT.names) - set(window.columns):
        assert any(repr(name) in problem for problem in problems)
    for feature in report.features:
        assert 0 <= feature.p_value <= feature.adjusted_p <= 1
        assert feature.psi >= 0
