"""The table of metrics: every task has some, each says which way is better."""

from __future__ import annotations

import pytest

from workbench.errors import BadInput
from workbench.training import METRICS, better, default_metric, higher_is_better, metric, metrics_for

TASKS = ["binary", "multiclass", "regression"]


@pytest.mark.parametrize("task", TASKS)
def test_the_default_metric_of_a_task_serves_it(task):
    assert default_metric(task) in {listed.name for listed in metrics_for(task)}


@pytest.mark.parametrize("name", METRICS)
def test_the_ideal_is_the_end_of_the_range_that_is_better(name):
    listed = METRICS[name]
    worst = listed.lowest if listed.direction == "higher" else listed.highest
    assert better(name, listed.ideal, worst)
    assert not better(name, listed.ideal, listed.ideal)
    assert listed.meaning.endswith(".")


def test_errors_are_better_when_lower_and_scores_when_higher():
    assert not higher_is_better("rmse")
    assert higher_is_better("roc_auc")


def test_a_mistyped_metric_is_answered_with_the_closest_one():
    with pytest.raises(BadInput, match="roc_auk") as caught:
        metric("roc_auk")
    assert "roc_auc" in caught.value.hint


def test_a_metric_of_another_task_is_refused():
    with pytest.raises(BadInput, match="regression"):
        metric("roc_auc", "regression")
