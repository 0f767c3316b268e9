from __future__ import annotations

import json

import msgspec
import polars as pl
import pytest

from workbench.data import Column, Contract, Failure, check, infer_contract
from workbench.errors import ContractViolated
from workbench.project import Columns, Dataset

FRAME = pl.DataFrame(
    {
        "age": [30, 40, 50, 60],
        "rate": [0.5, 1.5, None, 2.5],
        "city": ["a", "b", None, "a"],
        "code": [1, 2, 1, 2],
        "member": [True, False, True, True],
        "note": ["p", "q", "r", "s"],
        "y": ["no", "yes", "no", "yes"],
    }
)
DATASET = Dataset(
    source="d",
    owner="o",
    target="y",
    task="binary",
    positive="yes",
    columns=Columns(number=("age", "rate"), category=("city", "code", "member"), ignored={"note": "free text"}),
)
CONTRACT = infer_contract(FRAME, DATASET)


def failures(*columns, **options) -> tuple[Failure, ...]:
    return check(FRAME.with_columns(*columns), CONTRACT, **options).failures


def series(name, *values) -> pl.Series:
    return pl.Series(name, values, strict=False)


def test_rows_keep_the_contract_that_was_inferred_from_them():
    report = check(FRAME, CONTRACT)
    assert report.passed
    assert report.rows == 4
    report.raise_if_failed()


def test_ignored_columns_and_the_target_may_be_absent():
    assert check(FRAME.drop("note", "y"), CONTRACT).passed


@pytest.mark.parametrize(
    ("column", "failure"),
    [
        (series("age", 30, None, 50, None), Failure(column="age", check="null", rows=2)),
        (series("age", 30, 40, 61, 62), Failure(column="age", check="range", rows=2, examples=("61.0", "62.0"))),
        (series("age", "x", "y", "z", "w"), Failure(column="age", check="type", rows=4, examples=("String",))),
        (series("age", None, None, None, None), Failure(column="age", check="empty", rows=4)),
        (series("rate", *[float("nan")] * 4), Failure(column="rate", check="empty", rows=4)),
        (series("rate", 1, float("inf"), None, 1), Failure(column="rate", check="infinite", rows=1, examples=("inf",))),
        (series("city", "a", "c", "c", None), Failure(column="city", check="unseen_category", rows=2, examples=("c",))),
        (series("city", 1, 2, 3, 4), Failure(column="city", check="type", rows=4, examples=("Int64",))),
        (series("code", 1, 2, 3, 1), Failure(column="code", check="unseen_category", rows=1, examples=("3",))),
        (series("code", 1.5, 2, 1, 1), Failure(column="code", check="type", rows=4, examples=("Float64",))),
        (series("member", 0, 1, 0, 1), Failure(column="member", check="type", rows=4, examples=("Int64",))),
        (series("y", "no", "maybe", None, "yes"), Failure(column="y", check="unseen_category", rows=1, examples=("maybe",))),
        (series("stranger", 1, 2, 3, 4), Failure(column="stranger", check="unexpected_column", rows=4)),
    ],
    ids=lambda value: f"{value.column}-{value.check}" if isinstance(value, Failure) else "",
)
def test_each_broken_promise_is_found_and_named(column, failure):
    assert failures(column) == (failure,)


@pytest.mark.parametrize(
    "column",
    [
        series("age", 30.5, 40.0, 50.0, 60.0),
        series("rate", 1, 2, 1, 2),
        series("code", 1.0, 2.0, 1.0, 2.0),
        series("y", None, "no", "yes", "no"),
    ],
    ids=["fractions", "whole numbers", "codes as floats", "unlabelled rows"],
)
def test_harmless_differences_pass(column):
    assert failures(column) == ()


def test_a_missing_column_is_named():
    assert check(FRAME.drop("age"), CONTRACT).failures == (Failure(column="age", check="missing_column", rows=4),)


def test_ranges_need_not_be_judged():
    assert failures(series("age", 0, 1, 2, 3), ranges=False) == ()


def test_everything_wrong_is_reported_at_once_in_the_order_of_the_contract():
    broken = FRAME.drop("age").with_columns(
        series("rate", "x", "y", "z", "w"), series("code", 7, None, 1, 2), pl.lit(1).alias("new")
    )
    found = [(failure.column, failure.check) for failure in check(broken, CONTRACT).failures]
    assert found == [
        ("age", "missing_column"),
        ("rate", "type"),
        ("code", "null"),
        ("code", "unseen_category"),
        ("new", "unexpected_column"),
    ]


def test_values_of_sensitive_columns_are_never_shown():
    report = check(FRAME.with_columns(series("city", "secret", "b", "a", "a")), CONTRACT, sensitive=["city"])
    assert report.failures[0].examples == ()
    with pytest.raises(ContractViolated) as caught:
        report.raise_if_failed()
    assert "secret" not in str(caught.value)


def test_the_error_says_column_check_and_rows():
    with pytest.raises(ContractViolated) as caught:
        check(FRAME.with_columns(series("code", 1, 2, 9, 9)), CONTRACT).raise_if_failed()
    assert caught.value.problems == ("code: values that the contract does not know in 2 rows (such as 9)",)


def test_a_flood_of_failures_stays_readable():
    wide = Contract(
        features=tuple(Column(name=f"c{place}", kind="number", source_type="float", nullable=False) for place in range(200)),
        target="y",
        task="regression",
    )
    report = check(pl.DataFrame({"y": [1.0] * 5000, "long": ["x" * 5000] * 5000}), wide)
    assert len(report.failures) == 201
    with pytest.raises(ContractViolated) as caught:
        report.raise_if_failed()
    assert len(str(caught.value)) < 10_000


def test_a_boolean_column_of_numbers_is_checked_as_one():
    contract = infer_contract(FRAME, DATASET.model_copy(update={"columns": Columns(number=("member",), ignored={})}))
    assert check(FRAME.select("member"), contract).passed


def test_a_report_is_plain_json():
    report = check(FRAME.drop("age"), CONTRACT)
    assert json.loads(json.dumps(msgspec.to_builtins(report))) == {
        "rows": 4,
        "failures": [{"column": "age", "check": "missing_column", "rows": 4, "examples": []}],
    }
