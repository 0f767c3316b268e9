"""How sure a rate or a ratio is: a bootstrap of the contingency table, not of the rows. Called by `assessment`.

Resampling rows with replacement only changes how many of them fall into each cell of the table (group, label, prediction), so
the cells are drawn instead: a multinomial draw (Efron & Tibshirani 1993, chapter 6). The rows a rate counts are held as they
are in each group (a stratified bootstrap, ibid. chapter 8): the multinomial then falls apart into one binomial for each group,
no replicate has an undefined rate, and the cost does not depend on the number of rows.

A cell that was never seen would never be drawn, and its interval would have no width. So half a row is added to the rows with
and to those without the outcome, before the draw and after it: Jeffreys' prior (Brown, Cai & DasGupta 2001, "Interval
Estimation for a Binomial Proportion").

The mean absolute error of a group is drawn from the gamma distribution with the mean and the variance that a resampled mean
has: errors are positive and skewed to the right, and so is their mean in a small group. Errors that do not vary give no interval.

Bounds are percentiles. Their tails are divided by the number of comparisons (Bonferroni), in which the reference group counts
as one: it is chosen by looking at the same rows. Each tail is estimated from at least 20 replicates.

Measured, at a limit of 0.8 and a confidence of 0.95 (tests/fairness/test_calibration.py holds a part of it): two groups of
equal rate and 20 to 300 rows each are failed with a probability of at most 0.5 % at rates from 0.5 and at most 1.1 % at rates
from 0.02, and a true ratio of 0.6 is passed with at most 0.01 %. Against a reference of 5,000 rows the first is at most 1.5 %.
Among eight equal groups of 100 rows any is failed in 1 % of draws at rates from 0.3, but in up to 4 % where rates are near 0.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import BadInput
from workbench.fairness.rates import Tally
from workbench.records import Estimate

__all__ = ["Level", "level_for", "rate_estimate", "ratio_estimate", "replicates"]

HALF_A_ROW = 0.5
FEWEST_REPLICATES = 1_000
FEWEST_IN_TAIL = 20
MOST_REPLICATES = 2_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The share of replicates beyond each bound, and how many replicates estimate it."""

    tail: float
    replicates: int


def level_for(confidence: float, comparisons: int) -> Level:
    """The confidence shared equally over all comparisons.

    Raises:
        BadInput: the tail would be too thin to estimate by resampling.
    """
    tail = (1 - confidence) / 2 / max(1, comparisons)
    count = max(FEWEST_REPLICATES, math.ceil(FEWEST_IN_TAIL / tail))
    if count > MOST_REPLICATES:
        raise BadInput(
            f"{confidence:g} confidence in {comparisons:,} comparisons needs {count:,} resamples, more than {MOST_REPLICATES:,}",
            hint="Under [fairness] in workbench.toml lower `confidence`, raise `minimum_group_size` or turn `intersections` off.",
        )
    return Level(tail=tail, replicates=count)


def replicates(tally: Tally, group: int, count: int, random: np.random.Generator) -> Floats | None:
    """Resampled means of one group; None where the rows say nothing about their own uncertainty."""
    base, mean, deviation = int(tally.base[group]), float(tally.mean[group]), float(tally.deviation[group])
    if base == 0:
        return None
    if tally.proportion:
        share = (mean * base + HALF_A_ROW) / (base + 2 * HALF_A_ROW)
        successes = random.binomial(base, share, count).astype(np.float64)
        return (successes + HALF_A_ROW) / (base + 2 * HALF_A_ROW)
    if not deviation > 0:  # one row, or errors that are all the same
        return None
    variance = deviation**2 / base
    return random.gamma(mean**2 / variance, variance / mean, count)


def rate_estimate(value: float, drawn: Floats | None, level: Level) -> Estimate:
    """A group's own rate with its bounds; undefined stays undefined."""
    if math.isnan(value):
        return Estimate(value=None)
    return _estimate(value, drawn, level)


def ratio_estimate(value: float, dividend: Floats | None, divisor: Floats | None, level: Level) -> Estimate:
    """A ratio with its bounds. The value lies in [0, 1] by the choice of the reference; its upper bound may exceed 1."""
    if math.isnan(value):
        return Estimate(value=None)
    return _estimate(value, None if dividend is None or divisor is None else dividend / divisor, level)


def _estimate(value: float, drawn: Floats | None, level: Level) -> Estimate:
    """Percentile bounds, widened to hold the value itself: smoothing moves the replicates of an extreme rate inwards."""
    if drawn is None:
        return Estimate(value=value)
    low, high = np.quantile(drawn, (level.tail, 1 - level.tail)).tolist()
    return Estimate(value=value, low=min(low, value), high=max(high, value))
