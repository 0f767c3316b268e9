from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data import split
from workbench.errors import DatasetUnusable
from workbench.project import Columns, Dataset


def dataset(task="binary", **roles) -> Dataset:
    columns = Columns(number=("x",))
    positive = "1" if task == "binary" else None
    return Dataset(source="d.csv", owner="o", target="y", task=task, positive=positive, columns=columns, **roles)


def rows(labels, **columns) -> pl.DataFrame:
    return pl.DataFrame({"x": range(len(labels)), "y": labels, **columns})


def test_classes_keep_their_share_on_both_sides():
    parts = split(rows([1] * 50 + [0] * 450), dataset(), holdout=0.2, seed=0)
    assert parts.holdout["y"].value_counts().sort("y").rows() == [(0, 90), (1, 10)]
    assert parts.training.height == 400


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    frame = rows([0, 1] * 100)
    first, again, other = (split(frame, dataset(), holdout=0.3, seed=seed) for seed in (4, 4, 5))
    assert first.holdout.equals(again.holdout)
    assert not first.holdout.equals(other.holdout)


def test_numbers_are_split_at_random():
    parts = split(rows([value / 3 for value in range(100)]), dataset("regression"), holdout=0.25, seed=1)
    assert parts.holdout.height == 25
    assert parts.holdout["x"].to_list() != list(range(75, 100))


def test_rows_without_a_target_go_to_neither_side():
    parts = split(rows([None] * 20 + [0, 1] * 40), dataset(), holdout=0.2, seed=0)
    assert parts.training.height + parts.holdout.height == 80


def test_an_entity_that_repeats_is_never_on_both_sides():
    frame = rows([0, 1] * 100, who=[f"p{row // 5}" for row in range(200)])
    parts = split(frame, dataset(entity="who"), holdout=0.2, seed=0)
    assert not set(parts.training["who"]) & set(parts.holdout["who"])
    assert parts.holdout.height == 40
    assert "who" in parts.how


def test_rows_without_an_entity_stand_for_themselves():
    frame = rows([0, 1] * 100, who=[None] * 100 + [row // 5 for row in range(100)])
    parts = split(frame, dataset(entity="who"), holdout=0.3, seed=0)
    assert parts.training["who"].null_count() > 0
    assert parts.holdout["who"].null_count() > 0


def test_an_entity_that_never_repeats_is_split_by_class():
    parts = split(rows([0, 1] * 50, who=range(100)), dataset(entity="who"), holdout=0.2, seed=0)
    assert parts.holdout["y"].sum() == 10


def test_with_time_the_latest_rows_are_the_holdout():
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=(row * 37) % 100) for row in range(100)]
    parts = split(rows([0, 1] * 50, day=days), dataset(time="day"), holdout=0.2, seed=0)
    assert parts.holdout.height == 20
    assert parts.training["day"].max() < parts.holdout["day"].min()
    assert "2024-03-20" in parts.how


def test_rows_of_one_moment_stay_together():
    parts = split(rows([0, 1] * 50, year=[2015 + row // 25 for row in range(100)]), dataset(time="year"), holdout=0.2, seed=0)
    assert set(parts.holdout["year"]) == {2018}


@pytest.mark.parametrize(
    ("frame", "roles", "said"),
    [
        (rows([0] * 39 + [1]), {}, "class '1' has no row on the holdout side"),
        (rows([1] * 20 + [0] * 20, year=range(40)), {"time": "year"}, "class '1' has no row on the holdout side"),
        (rows([1] * 20 + [0] * 20, who=[1] * 20 + [2] * 20), {"entity": "who"}, "no row on the"),
    ],
)
def test_a_class_missing_from_one_side_is_refused(frame, roles, said):
    with pytest.raises(DatasetUnusable) as caught:
        split(frame, dataset(**roles), holdout=0.2, seed=0)
    assert said in str(caught.value)


def test_one_entity_cannot_be_split():
    with pytest.raises(DatasetUnusable, match="no rows would be left for the training side"):
        split(rows([0, 1] * 20, who=["a"] * 40), dataset(entity="who"), holdout=0.2, seed=0)


def test_a_column_that_vanished_is_named():
    with pytest.raises(DatasetUnusable, match="time column 'day'"):
        split(rows([0, 1] * 20), dataset(time="day"), holdout=0.2, seed=0)


@settings(max_examples=50, deadline=None)
@given(
    labels=st.lists(st.sampled_from("abc"), min_size=4, max_size=60).map(lambda drawn: list("aabbcc") + drawn),
    holdout=st.floats(0.05, 0.95),
    seed=st.integers(0, 1000),
)
def test_every_row_is_on_exactly_one_side_and_every_class_on_both(labels, holdout, seed):
    parts = split(rows(labels), dataset("multiclass"), holdout=holdout, seed=seed)
    assert sorted([*parts.training["x"], *parts.holdout["x"]]) == list(range(len(labels)))
    assert set(parts.training["y"]) == set(parts.holdout["y"]) == set("abc")
    assert parts.training["x"].is_sorted()
