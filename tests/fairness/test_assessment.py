from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BadInput
from workbench.fairness import Grouping, assess, groups_of
from workbench.project import Fairness
from workbench.records import Estimate

ORDER = {"PASS": 0, "INCONCLUSIVE": 1, "FAIL": 2}


def judge(p, groups, policy, y=None, **more):
    groupings = groups if isinstance(groups, (list, tuple)) else [groups]
    usual = {"task": "binary", "classes": ("0", "1"), "positive": "1"}
    return assess(p if y is None else y, p, groupings, policy, **(usual | more))


def test_many_rows_of_equal_rate_pass(policy, grouping, selected):
    found = judge(selected((1000, 2000), (490, 1000)), grouping(2000, 1000), policy())
    assert found.verdict == "PASS"
    reference, other = found.groups
    assert reference.ratio == Estimate(value=1.0, low=1.0, high=1.0)
    assert other.ratio.value == pytest.approx(0.98)
    assert 0.8 <= other.ratio.low < 0.98 < other.ratio.high


def test_a_clear_disparity_fails_and_names_the_group(policy, grouping, selected):
    found = judge(selected((1000, 2000), (250, 1000)), grouping(2000, 1000), policy())
    assert found.verdict == "FAIL"
    assert found.groups[1].ratio.value == 0.5
    assert found.groups[1].ratio.high < 0.8
    assert found.reasons[0].startswith("g b: its selection rate of '1' is 0.250 over 1,000 rows, a ratio of 0.500 (")


def test_few_rows_are_inconclusive_and_say_how_many_more_would_help(policy, grouping, selected):
    found = judge(selected((50, 100), (15, 40)), grouping(100, 40), policy())
    assert found.verdict == "INCONCLUSIVE"
    assert found.groups[1].rows_needed > 0
    assert f"about {found.groups[1].rows_needed:,} more labelled rows" in found.reasons[0]


def test_the_rows_said_to_be_needed_do_settle_it(policy, grouping, selected):
    few = judge(selected((60, 100), (48, 100)), grouping(100, 100), policy(limit=0.7))
    assert few.verdict == "INCONCLUSIVE"
    factor = 1 + few.groups[1].rows_needed / 100
    more = [round(count * factor) for count in (60, 100, 48, 100)]
    enough = judge(selected((more[0], more[1]), (more[2], more[3])), grouping(more[1], more[3]), policy(limit=0.7))
    assert enough.verdict == "PASS"


def test_no_number_of_rows_is_promised_where_the_ratio_sits_on_the_limit(policy, grouping, selected):
    found = judge(selected((50, 100), (40, 100)), grouping(100, 100), policy())
    assert found.groups[1].verdict == "INCONCLUSIVE"
    assert found.groups[1].rows_needed is None


def test_without_sensitive_columns_the_verdict_is_open_and_says_how_to_declare_them(policy):
    found = judge(["1", "0"], [], policy())
    assert found.verdict == "INCONCLUSIVE"
    assert "under [dataset]" in found.reasons[0]
    assert found.groups == ()


def test_groups_below_the_minimum_are_listed_and_not_judged(policy, grouping, selected):
    found = judge(selected((500, 1000), (490, 1000), (0, 14)), grouping(1000, 1000, 14), policy())
    assert found.verdict == "PASS"
    assert [group.group for group in found.groups] == ["a", "b"]
    assert [(small.group, small.rows) for small in found.not_assessed] == [("c", 14)]
    assert "Not assessed, for having fewer than 20 rows: g c (14)." in found.reasons


def test_an_attribute_with_one_group_is_not_passed(policy, grouping, selected):
    found = judge(selected((50, 100)), grouping(100), policy())
    assert found.verdict == "INCONCLUSIVE"
    assert found.groups[0].rate.value == 0.5
    assert found.groups[0].ratio.value is None
    assert any("g could not be assessed" in reason for reason in found.reasons)


def test_an_attribute_of_small_groups_only_is_not_passed_by_the_others(policy, grouping, selected):
    p = selected((500, 1000), (500, 1000))
    tiny = Grouping(attribute="t", labels=tuple(map(str, range(200))), codes=np.arange(2000) % 200, pooled={})
    found = judge(p, [grouping(1000, 1000), tiny], policy())
    assert found.verdict == "INCONCLUSIVE"
    assert any("t could not be assessed" in reason for reason in found.reasons)


def test_an_undefined_rate_is_open_and_never_zero(policy, grouping):
    y = ["1"] * 400 + ["0"] * 100
    p = ["1"] * 500
    found = judge(p, grouping(200, 200, 100), policy("true_positive_rate"), y=y)
    undefined = found.groups[2]
    assert undefined.rate == Estimate(value=None)
    assert undefined.ratio == Estimate(value=None)
    assert undefined.verdict == "INCONCLUSIVE"
    assert undefined.rows_needed is None
    assert found.verdict == "INCONCLUSIVE"
    assert any("is undefined, because none of its 100 rows counts towards it" in reason for reason in found.reasons)


def test_a_rate_over_few_rows_of_a_large_group_is_not_judged_and_cannot_be_the_reference(policy, grouping):
    y = ["1"] * 300 + ["1"] * 5 + ["0"] * 295 + ["1"] * 300
    p = ["1"] * 240 + ["0"] * 60 + ["1"] * 300 + ["1"] * 235 + ["0"] * 65
    found = judge(p, grouping(300, 300, 300), policy("true_positive_rate"), y=y)
    assert [group.verdict for group in found.groups] == ["PASS", "INCONCLUSIVE", "PASS"]
    assert found.groups[1].rate.value == 1
    assert found.groups[1].ratio.value is None
    assert found.groups[1].rows_needed == 900


def test_a_favourable_outcome_that_nobody_gets_has_no_ratio(policy, grouping):
    found = judge(["0"] * 200, grouping(100, 100), policy())
    assert found.verdict == "INCONCLUSIVE"
    assert "the rate it would be divided by is 0" in found.reasons[0]


def test_false_positive_rates_are_compared_with_the_highest(policy, grouping, selected):
    p = selected((400, 1000), (100, 1000))
    found = judge(p, grouping(1000, 1000), policy("false_positive_rate"), y=["0"] * 2000)
    assert found.verdict == "FAIL"
    assert found.groups[1].ratio.value == pytest.approx(0.25)


def test_the_worst_class_of_a_multiclass_model_decides_and_is_named(policy, grouping):
    p = ["x"] * 500 + ["y"] * 300 + ["z"] * 200 + ["x"] * 500 + ["y"] * 450 + ["z"] * 50
    found = judge(p, grouping(1000, 1000), policy(), task="multiclass", classes=("x", "y", "z"), positive=None)
    assert found.verdict == "FAIL"
    assert {finding.name: finding.outcome for finding in found.findings if finding.group.verdict == "FAIL"} == {
        "g a": "y",
        "g b": "z",
    }
    assert found.reasons[0].startswith("g b: its selection rate of 'z' is 0.050")


def test_the_accuracy_of_a_multiclass_model_is_assessed_directly(policy, grouping):
    y = ["x", "y", "z", "x"] * 500
    found = judge(y, grouping(1000, 1000), policy("accuracy"), task="multiclass", classes=("x", "y", "z"), positive=None)
    assert found.verdict == "PASS"
    assert [finding.outcome for finding in found.findings] == [None, None]


def test_a_regression_compares_the_lowest_error_with_each_groups_error(policy, grouping):
    random = np.random.default_rng(1)
    y = random.normal(size=2000)
    p = y + random.normal(size=2000) * np.repeat([1.0, 2.0], 1000)
    found = judge(p, grouping(1000, 1000), policy("mean_absolute_error"), y=y, task="regression", classes=(), positive=None)
    assert found.verdict == "FAIL"
    assert found.groups[0].ratio.value == 1
    assert found.groups[1].ratio.value == pytest.approx(0.5, abs=0.05)


def test_a_regression_without_variation_is_open_even_when_perfect(policy, grouping):
    y = [1.0] * 200
    found = judge(y, grouping(100, 100), policy("mean_absolute_error"), y=y, task="regression", classes=(), positive=None)
    assert found.verdict == "INCONCLUSIVE"


def test_intersections_find_what_single_columns_hide(policy):
    frame = pl.DataFrame({"sex": ["f", "m"] * 1000, "old": ["y"] * 1000 + ["n"] * 1000})
    random = np.random.default_rng(0)
    likely = (frame["sex"] == "f").to_numpy() ^ (frame["old"] == "y").to_numpy()
    p = np.where(random.random(2000) < np.where(likely, 0.6, 0.3), "1", "0")
    single = judge(p, groups_of(frame, ["sex", "old"], minimum=20, intersections=False), policy())
    crossed = judge(p, groups_of(frame, ["sex", "old"], minimum=20, intersections=True), policy())
    assert single.verdict == "PASS"
    assert crossed.verdict == "FAIL"
    assert {group.attribute for group in crossed.groups if group.verdict == "FAIL"} == {"sex × old"}


def test_predictions_of_other_rows_than_the_groups_are_refused(policy, grouping):
    with pytest.raises(BadInput, match="3 labels but 2 predictions or groups"):
        judge(["1", "0", "1"], grouping(1, 1), policy())


def test_the_table_shows_the_worst_group_first(policy, grouping, selected):
    table = judge(selected((500, 1000), (250, 1000), (480, 1000)), grouping(1000, 1000, 1000), policy()).table()
    assert table["group"].to_list() == ["b", "c", "a"]
    assert table["verdict"].to_list() == ["FAIL", "PASS", "PASS"]
    assert judge(["1"], [], policy()).table().is_empty()


def rows():
    return st.lists(st.tuples(st.sampled_from("01"), st.sampled_from("01"), st.integers(0, 2)), min_size=1, max_size=80)


def drawn(table, order, metric, limit):
    y, p, codes = (list(column) for column in zip(*(table[place] for place in order), strict=True))
    groups = Grouping(attribute="g", labels=("a", "b", "c"), codes=np.asarray(codes), pooled={})
    policy = Fairness(metric=metric, minimum_group_size=3, limit=limit)
    return judge(p, groups, policy, y=y)


METRICS = st.sampled_from(["selection_rate", "true_positive_rate", "false_positive_rate", "accuracy"])


@given(rows(), METRICS, st.randoms())
def test_the_order_of_the_rows_changes_nothing(table, metric, random):
    order = list(range(len(table)))
    shuffled = random.sample(order, len(order))
    assert drawn(table, order, metric, 0.8) == drawn(table, shuffled, metric, 0.8)


@given(rows(), METRICS)
def test_a_ratio_is_never_above_one_and_lies_within_its_bounds(table, metric):
    for group in drawn(table, range(len(table)), metric, 0.8).groups:
        if group.ratio.value is None:
            assert group.verdict == "INCONCLUSIVE"
        else:
            assert 0 <= group.ratio.value <= 1
            assert group.ratio.low <= group.ratio.value <= group.ratio.high


@given(rows(), METRICS, st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_a_stricter_limit_never_leads_to_a_milder_verdict(table, metric, one, other):
    mild, strict = sorted((one, other))
    order = range(len(table))
    assert ORDER[drawn(table, order, metric, mild).verdict] <= ORDER[drawn(table, order, metric, strict).verdict]
