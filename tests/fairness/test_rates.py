from __future__ import annotations

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from fairlearn.metrics import MetricFrame, false_positive_rate, mean_prediction, selection_rate, true_positive_rate
from sklearn.metrics import accuracy_score, mean_absolute_error

from workbench.errors import BadInput
from workbench.fairness.rates import measure, tally

PEERS = {
    "selection_rate": selection_rate,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
    "accuracy": accuracy_score,
}


@pytest.mark.parametrize("metric", PEERS)
def test_rates_are_exactly_those_of_fairlearn(metric, policy, grouping):
    random = np.random.default_rng(3)
    groups = grouping(70, 50, 30)
    y, p = random.integers(0, 2, 150), random.integers(0, 2, 150)
    peer = MetricFrame(metrics=PEERS[metric], y_true=y, y_pred=p, sensitive_features=groups.label_of_each_row)
    (measured,) = measure(y.astype(str), p.astype(str), policy(metric), task="binary", positive="1")
    assert tally(measured, groups).mean.tolist() == peer.by_group.tolist()


def test_errors_of_a_regression_are_those_of_fairlearn(policy, grouping):
    random = np.random.default_rng(4)
    groups = grouping(70, 50)
    y, p = random.normal(size=120), random.normal(size=120)
    peer = MetricFrame(metrics=mean_absolute_error, y_true=y, y_pred=p, sensitive_features=groups.label_of_each_row)
    (measured,) = measure(y, p, policy("mean_absolute_error"), task="regression")
    found = tally(measured, groups)
    assert found.mean == pytest.approx(peer.by_group.to_numpy(), rel=1e-12)
    assert found.deviation[0] == pytest.approx(np.abs(y - p)[:70].std(ddof=1), rel=1e-12)


def test_each_class_of_a_multiclass_model_is_measured_like_fairlearn_does_one_against_the_rest(policy, grouping):
    random = np.random.default_rng(5)
    groups = grouping(60, 60)
    y, p = random.choice(["x", "y", "z"], 120), random.choice(["x", "y", "z"], 120)
    found = measure(y, p, policy(), task="multiclass", classes=("x", "y", "z"))
    assert [measured.outcome for measured in found] == ["x", "y", "z"]
    for measured in found:
        chosen = (p == measured.outcome).astype(int)
        peer = MetricFrame(metrics=mean_prediction, y_true=y, y_pred=chosen, sensitive_features=groups.label_of_each_row)
        assert tally(measured, groups).mean == pytest.approx(peer.by_group.to_numpy(), rel=1e-12)


def test_a_rate_over_no_rows_is_undefined_and_not_zero(policy, grouping):
    (measured,) = measure(["1", "0", "0"], ["1", "1", "0"], policy("true_positive_rate"), task="binary", positive="1")
    found = tally(measured, grouping(2, 1))
    assert found.mean[0] == 1
    assert math.isnan(found.mean[1])
    assert found.base.tolist() == [1, 0]


def test_the_favourable_outcome_of_the_policy_goes_before_the_positive_class(policy):
    (measured,) = measure(["1", "0"], ["0", "0"], policy(favourable="0"), task="binary", positive="1")
    assert measured.outcome == "0"
    assert measured.value.tolist() == [1, 1]


def test_a_multiclass_model_with_a_favourable_outcome_is_measured_for_it_alone(policy):
    found = measure(["x", "y", "z"], ["x", "x", "z"], policy(favourable="z"), task="multiclass")
    assert [measured.outcome for measured in found] == ["z"]


@pytest.mark.parametrize("wrap", [list, np.asarray, pd.Series, pl.Series, tuple])
def test_labels_may_come_in_any_usual_container(wrap, policy):
    (measured,) = measure(wrap(["a", "b"]), wrap(["a", "a"]), policy(), task="binary", positive="a")
    assert measured.value.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y_true": ["1", None]}, "y_true has 1 missing labels"),
        ({"y_true": pd.Series(["1", pd.NA])}, "y_true has 1 missing labels"),
        ({"y_predicted": ["1", float("nan")]}, "y_predicted has 1 missing labels"),
        ({"y_predicted": ["1", "2"]}, "y_predicted holds labels that are no class: '2'"),
        ({"y_predicted": ["1"]}, "there are 2 labels but 1 predictions"),
        ({"positive": None}, "which class is the favourable outcome"),
        ({"positive": "yes"}, "the favourable outcome 'yes' is not a class"),
        ({"task": "regression"}, "selection_rate cannot be measured on a regression task"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(arguments, message, policy):
    usual = {"y_true": ["1", "0"], "y_predicted": ["1", "0"], "task": "binary", "classes": ("0", "1"), "positive": "1"}
    with pytest.raises(BadInput, match=message):
        measure(policy=policy(), **(usual | arguments))


@pytest.mark.parametrize("bad", [["a", "b"], [1.0, float("inf")], [1.0, None]])
def test_a_regression_needs_finite_numbers(bad, policy):
    with pytest.raises(BadInput, match="y_true"):
        measure(bad, [1.0, 2.0], policy("mean_absolute_error"), task="regression")
