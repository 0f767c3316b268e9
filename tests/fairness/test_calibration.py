"""How often the verdict is wrong, by simulation: the promise that it is made of bounds rests on these numbers."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from workbench.fairness import Grouping, assess
from workbench.project import Fairness

POLICY = Fairness(metric="selection_rate", minimum_group_size=20)
NEGLIGIBLE = 1e-5
ERRORS = Fairness(metric="mean_absolute_error", minimum_group_size=20)


@cache
def verdict(first: int, second: int, size: int) -> str:
    p = np.repeat(["1", "0", "1", "0"], [first, size - first, second, size - second])
    groups = Grouping(attribute="g", labels=("a", "b"), codes=np.repeat([0, 1], size), pooled={})
    return assess(p, p, [groups], POLICY, task="binary", classes=("0", "1"), positive="1").verdict


def shares(size: int, rate: float, other: float) -> dict[str, float]:
    """The probability of each verdict, summed over every pair of counts that is not all but impossible."""
    total = {"PASS": 0.0, "FAIL": 0.0, "INCONCLUSIVE": 0.0}
    counts = range(size + 1)
    first, second = binom.pmf(counts, size, rate), binom.pmf(counts, size, other)
    for one in np.flatnonzero(first > NEGLIGIBLE).tolist():
        for two in np.flatnonzero(second > NEGLIGIBLE).tolist():
            total[verdict(max(one, two), min(one, two), size)] += float(first[one] * second[two])
    return total


@pytest.mark.parametrize("size", [20, 50, 100])
def test_equal_rates_are_hardly_ever_failed(size):
    assert shares(size, 0.5, 0.5)["FAIL"] < 0.006
    assert shares(size, 0.8, 0.8)["FAIL"] < 0.001
    assert shares(size, 0.1, 0.1)["FAIL"] < 0.015


def test_equal_rates_of_three_hundred_rows_are_never_failed():
    assert shares(300, 0.8, 0.8)["FAIL"] < 0.0001


@pytest.mark.parametrize("size", [20, 50, 100])
def test_a_true_ratio_of_six_tenths_is_hardly_ever_passed(size):
    for rate in (0.1, 0.5, 0.9):
        assert shares(size, rate, 0.6 * rate)["PASS"] < 0.001


def test_enough_rows_find_a_disparity():
    assert shares(100, 0.9, 0.54)["FAIL"] > 0.75


@pytest.mark.parametrize("size", [20, 100])
def test_equal_errors_of_a_regression_are_hardly_ever_failed_and_unequal_ones_hardly_ever_passed(size):
    random = np.random.default_rng(size)
    groups = Grouping(attribute="g", labels=("a", "b"), codes=np.repeat([0, 1], size), pooled={})

    def share(scale: float, wrong: str) -> float:
        y = random.normal(size=2 * size)
        noise = (random.normal(size=2 * size) * np.repeat([1.0, scale], size) for _ in range(400))
        return np.mean([assess(y, y + each, [groups], ERRORS, task="regression").verdict == wrong for each in noise])

    assert share(1.0, "FAIL") < 0.015
    assert share(1 / 0.6, "PASS") < 0.005
