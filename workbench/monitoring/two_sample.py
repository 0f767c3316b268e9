"""The arithmetic behind a drift decision: two-sample tests, their joint correction and an effect size; called by `drift`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

__all__ = [
    "Counts",
    "Gap",
    "Numbers",
    "benjamini_hochberg",
    "category_counts",
    "chi_square",
    "kolmogorov_smirnov",
    "number_counts",
    "stability_index",
    "widest_gap",
]

Floats = NDArray[np.float64]

BINS = 10
SMALLEST_EXPECTED = 5.0


class Numbers:
    """A sample of numbers, sorted once for every statistic; `missing` values are part of the sample."""

    __slots__ = ("missing", "size", "values")

    def __init__(self, series: pl.Series) -> None:
        self.values: Floats = np.sort(series.drop_nulls().to_numpy())
        self.size = len(series)
        self.missing = self.size - len(self.values)

    def shares(self, grid: Floats) -> Floats:
        """The share of the sample that is missing or up to each point of a grid."""
        return np.asarray((self.missing + np.searchsorted(self.values, grid, side="right")) / self.size, dtype=np.float64)

    @property
    def median(self) -> float:
        """The middle of the values that are there."""
        return float(self.values[len(self.values) // 2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Where two distribution functions lie furthest apart: how far, and the shares up to that point; None: at "missing"."""

    distance: float
    point: float | None
    first: float
    second: float


def widest_gap(first: Numbers, second: Numbers) -> Gap:
    """The Kolmogorov-Smirnov distance of two samples and its place; missing values count as the lowest number of all."""
    # Between two points of one sample its distribution function is flat and the other's only rises, so the largest
    # distance lies at a point of the smaller sample or just before one.
    points = np.unique(min(first, second, key=lambda numbers: len(numbers.values)).values)
    grid = np.concatenate([points, _next(points, -np.inf)])
    one, two = first.shares(grid), second.shares(grid)
    missing = first.missing / first.size, second.missing / second.size
    at = int(np.argmax(np.abs(one - two)))
    if abs(missing[0] - missing[1]) >= abs(one[at] - two[at]):
        return Gap(distance=abs(missing[0] - missing[1]), point=None, first=missing[0], second=missing[1])
    return Gap(distance=float(abs(one[at] - two[at])), point=float(grid[at]), first=float(one[at]), second=float(two[at]))


def _next(values: Floats, towards: float) -> Floats:
    """The nearest other number on one side; that of the largest number there is, is infinity."""
    with np.errstate(over="ignore"):
        return np.nextafter(values, towards)


def kolmogorov_smirnov(gap: Gap, first: Numbers, second: Numbers) -> float:
    """The p-value of the two-sample Kolmogorov-Smirnov test.

    Definition: the asymptotic chance of a gap at least this wide when both samples come from one distribution. Ties make
    the test careful (p too large), never rash. Range: 0 to 1.
    Source: Smirnov (1939); the small-sample factor is Stephens (1970), J. R. Stat. Soc. B 32.
    """
    root = np.sqrt(first.size * second.size / (first.size + second.size))
    return float(special.kolmogorov((root + 0.12 + 0.11 / root) * gap.distance))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Two samples counted in the same cells; where `rare`, the first cell holds every category too rare for one of its own."""

    first: Floats
    second: Floats
    rare: bool = False


def chi_square(counts: Counts) -> float:
    """The p-value that two rows of counts come from one distribution: Pearson's chi-square, and for rare cells a binomial.

    Both samples are treated as samples: taking the reference's shares for exact raises false alarms without bound. Where
    rare categories were pooled, chi-square judges the others alone, since its approximation fails for cells that expect
    few rows; how many of the pooled rows fall into the second sample is judged exactly, and the smaller p counts twice
    (Bonferroni). So one row of a new category is no alarm, and a new category that takes a tenth of the rows is.
    Range: 0 to 1. Source: Pearson (1900), as a 2 x k contingency table; Clopper and Pearson (1934) for the binomial tails.
    """
    table = np.stack([counts.first, counts.second])
    if not counts.rare:
        return _pearson(table)
    share = float(counts.second.sum() / table.sum())
    pooled, found = int(table[:, 0].sum()), int(counts.second[0])
    tail = min(special.bdtr(found, pooled, share), special.bdtrc(found - 1, pooled, share))
    return min(1.0, 2 * min(_pearson(table[:, 1:]), 2 * float(tail)))


def _pearson(table: Floats) -> float:
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():  # noqa: PLR2004 - one cell or one sample cannot differ
        return 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    return float(special.chdtrc(table.shape[1] - 1, float(((table - expected) ** 2 / expected).sum())))


def stability_index(counts: Counts) -> float:
    """The population stability index of two rows of counts, less what sampling alone would show.

    Definition: sum over bins of (q - p) ln(q / p), with half a row added to each bin so that an empty one stays finite.
    Without drift it is about chi-square distributed with bins - 1 degrees of freedom, times (1/n + 1/m); that mean,
    (bins - 1)(1/n + 1/m), is subtracted here, so that one floor means the same effect in small windows and in large ones.
    Range: 0 (no more than sampling) upwards; 0.1 is commonly called moderate, 0.25 large. Source: the index is Jeffreys'
    divergence (1946); its sampling distribution, Yurdakul (2018), "Statistical Properties of Population Stability Index".
    """
    p, q = ((sample + 0.5) / (sample + 0.5).sum() for sample in (counts.first, counts.second))
    noise = (len(p) - 1) * (1 / float(counts.first.sum()) + 1 / float(counts.second.sum()))
    return max(0.0, float(((q - p) * np.log(q / p)).sum()) - noise)


def number_counts(reference: Numbers, current: Numbers) -> Counts:
    """Both samples counted in ten bins of equal share in the reference; a value that fills more than one bin is a bin of its
    own (zero in "amount paid"), and so are missing values.
    """
    values = reference.values
    edges = values[len(values) * np.arange(1, BINS) // BINS]
    heavy = edges[1:][edges[1:] == edges[:-1]]
    edges = np.unique(np.concatenate([edges, _next(heavy, np.inf)]))
    first, second = (
        np.diff(np.concatenate([[-sample.missing, 0], np.searchsorted(sample.values, edges), [len(sample.values)]]))
        for sample in (reference, current)
    )
    used = (first + second) > 0
    return Counts(first=first[used].astype(np.float64), second=second[used].astype(np.float64))


def category_counts(reference: pl.Series, current: pl.Series) -> Counts | None:
    """Both samples counted by category; categories that expect fewer than five rows of the smaller sample are pooled.

    Which ones these are is read from both samples together, so the choice cannot itself make a difference.
    Source of the limit: Cochran (1954).

    Returns:
        The counts, or None when every category is too rare for a test.
    """
    counts = [sample.rename("category").value_counts(name=name) for sample, name in ((reference, "first"), (current, "second"))]
    table = counts[0].join(counts[1], on="category", how="full", coalesce=True).fill_null(0).sort("category")
    both = table.select("first", "second").cast(pl.Float64).to_numpy()
    expected = both.sum(axis=1) * min(len(reference), len(current)) / both.sum()
    rare = expected < SMALLEST_EXPECTED
    if len(both) > 1 and rare.any():
        if rare.all():
            return None
        both = np.concatenate([both[rare].sum(axis=0, keepdims=True), both[~rare]])
        return Counts(first=both[:, 0], second=both[:, 1], rare=True)
    return Counts(first=both[:, 0], second=both[:, 1])


def benjamini_hochberg(p_values: Floats) -> Floats:
    """P-values adjusted so that calling those below alpha keeps the expected share of false calls below alpha.

    Range: 0 to 1, never below the p-value itself. Source: Benjamini and Hochberg (1995), J. R. Stat. Soc. B 57.
    """
    count = len(p_values)
    order = np.argsort(p_values)[::-1]
    scaled = p_values[order] * count / np.arange(count, 0, -1)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum.accumulate(np.minimum(scaled, 1.0))
    return np.maximum(adjusted, p_values)  # dividing by the count and multiplying again can lose the last bit
