from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data import inspect
from workbench.errors import DatasetUnusable

ROWS = 200


@pytest.fixture
def frame():
    random = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "amount": random.normal(size=ROWS),
            "city": random.choice(["Abu Dhabi", "Al Ain", "Dubai"], ROWS),
            "label": random.permutation([1] * 60 + [0] * 140),
        }
    )


def refusal(frame: pl.DataFrame, **arguments) -> DatasetUnusable:
    with pytest.raises(DatasetUnusable) as caught:
        inspect(frame, **{"target": "label", **arguments})
    assert caught.value.hint
    return caught.value


def with_target(frame, values) -> pl.DataFrame:
    return frame.with_columns(label=pl.Series(values, strict=False))


def test_numbers_and_categories_are_told_apart(frame):
    found = inspect(frame, target="label")
    assert found.columns.number == ("amount",)
    assert found.columns.category == ("city",)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([0, 1] * 100, "binary"),
        ([0.0, 1.0] * 100, "binary"),
        ([True, False] * 100, "binary"),
        (["a", "b"] * 100, "binary"),
        ([1, 2, 3, 4] * 50, "multiclass"),
        ([str(value) for value in range(20)] * 10, "multiclass"),
        (list(range(200)), "regression"),
        ([value / 7 for value in range(200)], "regression"),
        ([0.5, 1.5] * 100, "regression"),
    ],
)
def test_the_task_follows_from_the_target(frame, values, task):
    found = inspect(with_target(frame, values), target="label")
    assert found.task == task
    assert task in found.notes[0]


@pytest.mark.parametrize(
    ("values", "positive"),
    [
        ([1] * 150 + [0] * 50, "1"),
        ([1.0] * 150 + [0.0] * 50, "1"),
        ([True] * 150 + [False] * 50, "true"),
        (["Yes"] * 150 + ["No"] * 50, "Yes"),
        (["<=50K"] * 150 + [">50K"] * 50, ">50K"),
        ([2] * 50 + [5] * 150, "2"),
    ],
)
def test_the_positive_class_is_the_usual_one_or_else_the_rarer(frame, values, positive):
    found = inspect(with_target(frame, values), target="label")
    assert found.positive == found.favourable == positive
    assert positive in found.classes
    assert any(repr(positive) in note for note in found.notes)


def test_several_classes_and_numbers_have_no_positive_class(frame):
    assert inspect(with_target(frame, [1, 2, 3, 4] * 50), target="label").positive is None
    assert inspect(with_target(frame, [value / 7 for value in range(200)]), target="label").classes == ()


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ([7] * ROWS, "constant"),
        ([None] * ROWS, "all values are missing"),
        ([float("nan")] * ROWS, "all values are missing"),
        (list(range(ROWS)), "identifier"),
        ([f"C{row}" for row in range(ROWS)], "identifier"),
        ([f"note {row % 100}" for row in range(ROWS)], "too many different values"),
        ([dt.date(2024, 1, 1) + dt.timedelta(days=row % 50) for row in range(ROWS)], "derive numbers"),
        ([[row] for row in range(ROWS)], "lists"),
        ([b"x", b"y"] * 100, "bytes"),
    ],
)
def test_columns_that_teach_nothing_are_ignored_with_a_reason(frame, column, reason):
    found = inspect(frame.with_columns(extra=pl.Series(column)), target="label")
    assert reason in found.columns.ignored["extra"]
    assert any("extra" in note and reason in note for note in found.notes)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ([1, 2] * 100, "category"),
        ([1.0, 2.0, None, 2.0] * 50, "category"),
        ([True, False] * 100, "category"),
        (["x", None] * 100, "category"),
        ([-1, 0, 1, 2] * 50, "number"),
        (list(range(40)) * 5, "number"),
        ([row * 7919 % 10007 for row in range(ROWS)], "number"),
        ([0.5, 1.5] * 100, "number"),
    ],
)
def test_few_whole_numbers_are_categories_and_negative_or_many_are_numbers(frame, column, kind):
    columns = inspect(frame.with_columns(extra=pl.Series(column)), target="label").columns
    assert "extra" in getattr(columns, kind)


def test_a_unique_number_called_id_is_an_identifier_even_out_of_order(frame):
    numbers = pl.Series([row * 7919 % 10007 for row in range(ROWS)])
    assert "customer_id" in inspect(frame.with_columns(customer_id=numbers), target="label").columns.ignored


def test_entity_and_time_are_not_learned_from(frame):
    frame = frame.with_columns(who=pl.Series([row % 50 for row in range(ROWS)]), year=pl.Series([2020, 2021] * 100))
    ignored = inspect(frame, target="label", entity="who", time="year").columns.ignored
    assert "entity" in ignored["who"]
    assert "time" in ignored["year"]


def test_a_sensitive_column_stays_a_feature_and_the_notes_say_so(frame):
    found = inspect(frame, target="label", sensitive=["city"])
    assert "city" in found.columns.category
    assert any("'city' is sensitive and still a feature" in note for note in found.notes)


@pytest.mark.parametrize(("role", "value"), [("target", "lable"), ("sensitive", ["citty"]), ("entity", "amont"), ("time", "xx")])
def test_an_unknown_column_is_met_with_the_nearest_known_one(frame, role, value):
    error = refusal(frame, **{role: value})
    assert f"the {role} column" in error.message
    assert "Did you mean" in error.hint or "Known:" in error.hint


@pytest.mark.parametrize("role", ["entity", "time"])
def test_the_target_has_no_second_role(frame, role):
    assert "named both" in refusal(frame, **{role: "label"}).message


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([None] * ROWS, "no values"),
        ([1] * ROWS, "one value only"),
        ([None] * 190 + [0, 1] * 5, "10 rows have a value"),
        ([0] * 198 + [1] * 2, "1 of 2 classes of 'label' have fewer than 5 rows"),
        ([f"t{row}" for row in range(ROWS)], "at most 20 classes"),
        ([dt.date(2024, 1, 1)] * 100 + [dt.date(2024, 1, 2)] * 100, "expected text, booleans or numbers"),
        ([value / 7 for value in range(199)] + [float("inf")], "infinite in 1 rows"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused(frame, values, said):
    assert said in refusal(with_target(frame, values)).message


def test_one_row_says_how_many_are_needed(frame):
    message = refusal(frame.head(1)).message
    assert "1 row has" in message
    assert "at least 20" in message


def test_no_feature_left_lists_why(frame):
    error = refusal(frame.select("label", note=pl.lit("same")))
    assert error.problems == ("note: constant: one value only",)


@pytest.mark.parametrize(
    ("values", "said"),
    [(["soon", "late"] * 100, "ISO dates"), ([None, 1] * 100, "no value in 100"), ([1] * 200, "same in every row")],
)
def test_a_time_without_order_is_refused(frame, values, said):
    assert said in refusal(frame.with_columns(when=pl.Series(values)), time="when").message


def test_rows_without_a_target_are_counted(frame):
    frame = frame.with_columns(label=pl.when(pl.int_range(pl.len()) >= 30).then("label"))
    assert any("30 of 200 rows have no 'label'" in note for note in inspect(frame, target="label").notes)


def test_infinite_numbers_are_announced(frame):
    frame = frame.with_columns(amount=pl.when(pl.int_range(pl.len()) == 3).then(float("inf")).otherwise("amount"))
    assert any("Infinite" in note for note in inspect(frame, target="label").notes)


def test_two_hundred_columns_are_fine_and_the_notes_stay_short(frame):
    random = np.random.default_rng(1)
    wide = frame.with_columns(pl.Series(f"c{place}", random.normal(size=ROWS)) for place in range(100)).with_columns(
        pl.lit(None).alias(f"empty{place}") for place in range(100)
    )
    found = inspect(wide, target="label")
    assert len(found.columns.number) == 101
    assert len(found.columns.ignored) == 100
    assert len(found.notes) < 8
    assert max(map(len, found.notes)) < 400


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_column_is_listed_exactly_once(data):
    kinds = [
        st.none() | st.integers(-5, 20),
        st.none() | st.floats(width=32),
        st.none() | st.text(max_size=3),
        st.none() | st.booleans(),
    ]
    columns = {
        f"c{place}": pl.Series(data.draw(st.lists(data.draw(st.sampled_from(kinds)), min_size=40, max_size=40)), strict=False)
        for place in range(4)
    }
    found = inspect(pl.DataFrame({**columns, "sound": [0.5, 1.5] * 20, "label": ["a", "b"] * 20}), target="label")
    listed = [*found.columns.features, *found.columns.ignored]
    assert sorted(listed) == sorted([*columns, "sound"])
