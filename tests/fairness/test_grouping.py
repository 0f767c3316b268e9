from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BadInput
from workbench.fairness import groups_of


def only(frame: pl.DataFrame, minimum: int = 1):
    (grouping,) = groups_of(frame, frame.columns, minimum=minimum, intersections=False)
    return grouping


def test_whole_numbers_read_as_such_even_when_stored_as_floats():
    assert only(pl.DataFrame({"SEX": [2.0, 1.0, 2.0]})).labels == ("1", "2")


def test_text_that_holds_numbers_is_ordered_by_size():
    assert only(pl.DataFrame({"race": ["10", "9", "2", "x"]})).labels == ("2", "9", "10", "x")


def test_a_number_column_with_many_values_is_cut_at_its_quartiles():
    grouping = only(pl.DataFrame({"AGE": list(range(21, 61))}))
    assert grouping.labels == ("21–30", "31–40", "41–50", "51–60")
    assert grouping.rows.tolist() == [10, 10, 10, 10]


def test_twelve_values_are_still_groups_of_their_own():
    assert len(only(pl.DataFrame({"n": list(range(12))})).labels) == 12
    assert len(only(pl.DataFrame({"n": list(range(13))})).labels) == 4


def test_bands_of_fractions_are_told_apart_and_negative_ends_stay_readable():
    assert only(pl.DataFrame({"x": [index / 1000 for index in range(16)]})).labels[0] == "0–0.003"
    assert only(pl.DataFrame({"x": list(range(-16, 0))})).labels[0] == "-16 to -13"


def test_bands_survive_one_value_that_most_rows_share():
    grouping = only(pl.DataFrame({"debt": [0] * 80 + list(range(1, 21))}))
    assert grouping.labels == ("0", "1–20")


@pytest.mark.parametrize(
    "values", [[1.0, None, float("nan")], ["a", None, None], [True, None, None], [date(2020, 1, 1), None, None]]
)
def test_missing_values_are_a_group_at_the_end(values):
    grouping = only(pl.DataFrame({"c": values}))
    assert grouping.labels[-1] == "(missing)"
    assert grouping.rows.tolist() == [1, 2]


def test_small_groups_are_pooled_and_named():
    grouping = only(pl.DataFrame({"m": ["a"] * 5 + ["b"] * 2 + ["c"]}), minimum=3)
    assert grouping.labels == ("a", "other small groups (2)")
    assert grouping.pooled == {"b": 2, "c": 1}
    assert grouping.label_of_each_row == ["a"] * 5 + ["other small groups (2)"] * 3


def test_a_single_small_group_keeps_its_name():
    assert only(pl.DataFrame({"m": ["a"] * 5 + ["b"]}), minimum=3).labels == ("a", "b")


def test_intersections_cross_all_columns_and_pool_after_crossing():
    frame = pl.DataFrame({"sex": ["f", "f", "m", "m", "m"], "old": [True, False, True, True, True]})
    *single, crossed = groups_of(frame, ["sex", "old"], minimum=2, intersections=True)
    assert [grouping.attribute for grouping in single] == ["sex", "old"]
    assert crossed.attribute == "sex × old"
    assert crossed.labels == ("m × true", "other small groups (2)")
    assert crossed.pooled == {"f × false": 1, "f × true": 1}


def test_one_column_or_none_has_no_intersection():
    frame = pl.DataFrame({"sex": ["f", "m"]})
    assert len(groups_of(frame, ["sex"], minimum=1, intersections=True)) == 1
    assert groups_of(frame, [], minimum=1, intersections=True) == ()


def test_an_unknown_column_is_named_with_the_nearest_known_one():
    with pytest.raises(BadInput, match=r"'SEXX' is not in the table\nDid you mean 'SEX'\?"):
        groups_of(pl.DataFrame({"SEX": [1]}), ["SEXX"], minimum=1, intersections=False)


def test_a_column_of_lists_cannot_name_groups():
    with pytest.raises(BadInput, match="cannot name groups"):
        only(pl.DataFrame({"c": [[1], [2]]}, schema={"c": pl.Array(pl.Int64, 1)}))


def test_an_empty_table_has_groupings_without_groups():
    assert only(pl.DataFrame({"c": []}, schema={"c": pl.String})).labels == ()
    assert only(pl.DataFrame({"c": []}, schema={"c": pl.Float64})).labels == ()


@given(st.lists(st.tuples(st.sampled_from("abcd") | st.none(), st.floats(-5, 5) | st.none()), max_size=60), st.integers(1, 10))
def test_no_row_is_lost_whatever_the_columns_hold(rows, minimum):
    frame = pl.DataFrame(rows, schema={"letter": pl.String, "number": pl.Float64}, orient="row")
    for grouping in groups_of(frame, frame.columns, minimum=minimum, intersections=True):
        assert len(grouping.codes) == len(rows)
        assert grouping.rows.sum() == len(rows)
        assert len(set(grouping.labels)) == len(grouping.labels)
        assert (grouping.rows > 0).all()
        assert np.sum(grouping.rows < minimum) <= 1
