from __future__ import annotations

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, selection_rate
from scipy.stats import norm
from sklearn.metrics import mean_absolute_error

from workbench.errors import BadInput
from workbench.fairness.intervals import Level, level_for, rate_estimate, ratio_estimate, replicates
from workbench.fairness.rates import Tally, measure, tally

LEVEL = Level(tail=0.025, replicates=4000)


def draw(found: Tally, group: int) -> np.ndarray | None:
    return replicates(found, group, LEVEL.replicates, np.random.default_rng(group))


def test_bounds_of_rates_agree_with_resampling_the_rows_in_fairlearn(policy, grouping, selected):
    groups = grouping(300, 200)
    p = selected((150, 300), (60, 200))
    zeros_and_ones = np.asarray(p).astype(int)
    peer = MetricFrame(
        metrics=selection_rate,
        y_true=zeros_and_ones,
        y_pred=zeros_and_ones,
        sensitive_features=groups.label_of_each_row,
        n_boot=300,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )
    found = tally(measure(p, p, policy(), task="binary", positive="1")[0], groups)
    for group, label in enumerate("ab"):
        ours = rate_estimate(float(found.mean[group]), draw(found, group), LEVEL)
        theirs = [quantile[label] for quantile in peer.by_group_ci]
        assert [ours.low, ours.high] == pytest.approx(theirs, abs=0.02)
    ours = ratio_estimate(found.ratio(1, 0), draw(found, 1), draw(found, 0), LEVEL)
    assert [ours.low, ours.high] == pytest.approx(peer.ratio_ci(), abs=0.04)


def test_bounds_of_errors_agree_with_resampling_the_rows_in_fairlearn(policy, grouping):
    random = np.random.default_rng(2)
    groups = grouping(200)
    y, p = random.normal(size=200), random.normal(size=200)
    peer = MetricFrame(
        metrics=mean_absolute_error,
        y_true=y,
        y_pred=p,
        sensitive_features=groups.label_of_each_row,
        n_boot=300,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )
    found = tally(measure(y, p, policy("mean_absolute_error"), task="regression")[0], groups)
    ours = rate_estimate(float(found.mean[0]), draw(found, 0), LEVEL)
    assert [ours.low, ours.high] == pytest.approx([quantile["a"] for quantile in peer.by_group_ci], abs=0.03)


def test_bounds_of_a_ratio_agree_with_katz_in_large_groups(policy, grouping, selected):
    p = selected((3000, 5000), (2000, 4000))
    found = tally(measure(p, p, policy(), task="binary", positive="1")[0], grouping(5000, 4000))
    ours = ratio_estimate(found.ratio(1, 0), draw(found, 1), draw(found, 0), LEVEL)
    error = norm.isf(0.025) * np.sqrt(1 / 2000 - 1 / 4000 + 1 / 3000 - 1 / 5000)
    assert [ours.low, ours.high] == pytest.approx([0.5 / 0.6 * np.exp(-error), 0.5 / 0.6 * np.exp(error)], abs=0.005)


@pytest.mark.parametrize("count", [0, 30])
def test_a_count_of_none_or_all_still_has_an_interval_with_width(count, policy, grouping, selected):
    p = selected((count, 30))
    found = tally(measure(p, p, policy(), task="binary", classes=("0", "1"), positive="1")[0], grouping(30))
    estimate = rate_estimate(float(found.mean[0]), draw(found, 0), LEVEL)
    assert estimate.value == count / 30
    assert estimate.low <= estimate.value <= estimate.high
    assert estimate.high - estimate.low > 0.03


def test_errors_that_do_not_vary_and_rates_over_no_rows_give_no_bounds(policy, grouping):
    constant = tally(measure([1.0, 2.0], [2.0, 3.0], policy("mean_absolute_error"), task="regression")[0], grouping(2))
    assert draw(constant, 0) is None
    assert rate_estimate(1.0, None, LEVEL).low is None
    assert rate_estimate(float("nan"), None, LEVEL).value is None


def test_confidence_is_shared_over_comparisons_and_every_tail_has_twenty_replicates():
    one, many = level_for(0.95, 1), level_for(0.95, 40)
    assert one.tail == pytest.approx(0.025)
    assert many.tail == pytest.approx(0.025 / 40)
    assert one.replicates == 1000
    assert many.replicates * many.tail == pytest.approx(20, rel=1e-3)


def test_a_confidence_that_no_resampling_reaches_is_refused():
    with pytest.raises(BadInput, match="resamples"):
        level_for(0.999999, 50)
