"""The statistics agree with scipy's, which are slower, and with their own theory."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workbench.monitoring.two_sample import (
    Counts,
    Numbers,
    benjamini_hochberg,
    category_counts,
    chi_square,
    kolmogorov_smirnov,
    number_counts,
    stability_index,
    widest_gap,
)

VALUES = st.lists(st.one_of(st.floats(-10, 10), st.integers(-3, 3).map(float)), min_size=2, max_size=60)


@settings(max_examples=200, deadline=None)
@given(first=VALUES, second=VALUES)
def test_the_widest_gap_is_scipys_kolmogorov_smirnov_statistic(first: list[float], second: list[float]) -> None:
    gap = widest_gap(Numbers(pl.Series(first)), Numbers(pl.Series(second)))
    assert gap.distance == pytest.approx(stats.ks_2samp(first, second, method="asymp").statistic, abs=1e-12)


def test_missing_values_count_as_the_lowest_number() -> None:
    first, second = [None, None, 1.0, 2.0], [1.0, 2.0, 3.0, None]
    lowest = [[-99.0 if value is None else value for value in values] for values in (first, second)]
    gap = widest_gap(Numbers(pl.Series(first)), Numbers(pl.Series(second)))
    assert gap.distance == stats.ks_2samp(*lowest).statistic


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3])
def test_p_values_of_numbers_agree_with_scipy(shift: float) -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=2000), random.normal(shift, size=700)
    ours = Numbers(pl.Series(first)), Numbers(pl.Series(second))
    expected = stats.ks_2samp(first, second, method="asymp").pvalue
    assert kolmogorov_smirnov(widest_gap(*ours), *ours) == pytest.approx(expected, rel=0.1)


def test_p_values_of_categories_agree_with_scipy() -> None:
    table = np.array([[10.0, 20.0, 30.0], [30.0, 20.0, 9.0]])
    assert chi_square(Counts(first=table[0], second=table[1])) == pytest.approx(
        stats.chi2_contingency(table, correction=False).pvalue
    )
    assert chi_square(Counts(first=np.array([5.0]), second=np.array([9.0]))) == 1.0


@settings(max_examples=100, deadline=None)
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_joint_correction_agrees_with_scipy(p_values: list[float]) -> None:
    given_p = np.array(p_values)
    np.testing.assert_allclose(benjamini_hochberg(given_p), stats.false_discovery_control(given_p), atol=1e-12)


@pytest.mark.parametrize("rows", [200, 2000])
def test_the_stability_index_of_chance_alone_lies_near_zero_in_windows_of_any_size(rows: int) -> None:
    random = np.random.default_rng(0)
    found = []
    for _ in range(100):
        samples = Numbers(pl.Series(random.normal(size=10_000))), Numbers(pl.Series(random.normal(size=rows)))
        found.append(stability_index(number_counts(*samples)))
    assert np.mean(found) < 3 / rows


def test_the_stability_index_of_a_shift_is_its_squared_size_in_small_and_large_windows() -> None:
    random = np.random.default_rng(0)
    reference = Numbers(pl.Series(random.normal(size=50_000)))
    for rows, tolerance in ((1000, 0.5), (50_000, 0.15)):
        current = Numbers(pl.Series(random.normal(0.3, size=rows)))
        assert stability_index(number_counts(reference, current)) == pytest.approx(0.09, rel=tolerance)


def test_every_value_is_counted_in_one_bin() -> None:
    reference, current = Numbers(pl.Series([0.0] * 8 + [1.0, None])), Numbers(pl.Series([-5.0, 0.0, 0.5, None, None]))
    counts = number_counts(reference, current)
    first, second = counts.first, counts.second
    assert (first.sum(), second.sum()) == (10, 5)
    assert list(zip(first, second, strict=True)) == [(1, 2), (0, 1), (8, 1), (0, 1), (1, 0)]


def test_rare_categories_share_one_cell() -> None:
    reference = pl.Series(["a"] * 500 + ["b"] * 490 + [f"rare {i}" for i in range(10)])
    current = pl.Series(["a"] * 50 + ["b"] * 48 + ["rare 3", "new"])
    counts = category_counts(reference, current)
    assert counts is not None
    assert ([*counts.first], [*counts.second], counts.rare) == ([10, 500, 490], [2, 50, 48], True)


@pytest.mark.parametrize("rows", [100, 400])
def test_many_rare_categories_raise_no_more_alarms_than_promised(rows: int) -> None:
    random = np.random.default_rng(0)
    share = 1 / np.arange(1, 60) ** 1.5
    p_values = []
    for _ in range(400):
        samples = [pl.Series(random.choice(59, size, p=share / share.sum())).cast(pl.String) for size in (5000, rows)]
        counts = category_counts(samples[0], samples[1])
        assert counts is not None
        p_values.append(chi_square(counts))
    assert np.mean(np.array(p_values) < 0.05) < 0.08
    assert np.mean(np.array(p_values) < 0.01) < 0.025
