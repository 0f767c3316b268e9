"""The arithmetic behind a drift decision: two-sample tests, their joint correction and an effect size; called by `drift`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

__all__ = [
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
    before = np.nextafter(points, -np.inf)
    grid = np.concatenate([points, before])
    one, two = first.shares(grid), second.shares(grid)
    missing = first.missing / first.size, second.missing / second.size
    at = int(np.argmax(np.abs(one - two)))
    if abs(missing[0] - missing[1]) >= abs(one[at] - two[at]):
        return Gap(distance=abs(missing[0] - missing[1]), point=None, first=missing[0], second=missing[1])
    return Gap(distance=float(abs(one[at] - two[at])), point=float(grid[at]), first=float(one[at]), second=float(two[at]))


def kolmogorov_smirnov(gap: Gap, first: Numbers, second: Numbers) -> float:
    """The p-value of the two-sample Kolmogorov-Smirnov test.

    Definition: the asymptotic chance of a gap at least this wide when both samples come from one distribution. Ties make
    the test careful (p too large), never rash. Range: 0 to 1.
    Source: Smirnov (1939); the small-sample factor is Stephens (1970), J. R. Stat. Soc. B 32.
    """
    root = np.sqrt(first.size * second.size / (first.size + second.size))
    return float(special.kolmogorov((root + 0.12 + 0.11 / root) * gap.distance))


def chi_square(first: Floats, second: Floats) -> float:
    """The p-value of Pearson's chi-square test that two rows of counts come from one distribution.

    Both samples are treated as samples: taking the reference's shares for exact raises false alarms without bound.
    Range: 0 to 1. Source: Pearson (1900), as a 2 x k contingency table.
    """
    table = np.stack([first, second])
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(special.chdtrc(table.shape[1] - 1, statistic)) if table.shape[1] > 1 else 1.0


def stability_index(first: Floats, second: Floats) -> float:
    """The population stability index of two rows of counts, less what sampling alone would show.

    Definition: sum over bins of (q - p) ln(q / p), with half a row added to each bin so that an empty one stays finite.
    Without drift it is about chi-square distributed with bins - 1 degrees of freedom, times (1/n + 1/m); that mean,
    (bins - 1)(1/n + 1/m), is subtracted here, so that one floor means the same effect in small windows and in large ones.
    Range: 0 (no more than sampling) upwards; 0.1 is commonly called moderate, 0.25 large. Source: the index is Jeffreys'
    divergence (1946); its sampling distribution, Yurdakul (2018), "Statistical Properties of Population Stability Index".
    """
    p, q = (first + 0.5) / (first + 0.5).sum(), (second + 0.5) / (second + 0.5).sum()
    noise = (len(first) - 1) * (1 / float(first.sum()) + 1 / float(second.sum()))
    return max(0.0, float(((q - p) * np.log(q / p)).sum()) - noise)


def number_counts(reference: Numbers, current: Numbers) -> tuple[Floats, Floats]:
    """Both samples counted in ten bins of equal share in the reference; a value that fills more than one bin is a bin of its
    own (zero in "amount paid"), and so are missing values.
    """
    values = reference.values
    edges = values[len(values) * np.arange(1, BINS) // BINS]
    heavy = edges[1:][edges[1:] == edges[:-1]]
    edges = np.unique(np.concatenate([edges, np.nextafter(heavy, np.inf)]))
    first, second = (
        np.diff(np.concatenate([[-sample.missing, 0], np.searchsorted(sample.values, edges), [len(sample.values)]]))
        for sample in (reference, current)
    )
    used = (first + second) > 0
    return first[used].astype(np.float64), second[used].astype(np.float64)


def category_counts(reference: pl.Series, current: pl.Series) -> tuple[Floats, Floats] | None:
    """Both samples counted by category, rare categories pooled until each cell expects five rows in the smaller sample.

    The choice of rare cells looks at both samples together, so it cannot itself make a difference (Cochran's rule, 1954).

    Returns:
        The two rows of counts, or None when every category is too rare for a test.
    """
    counts = [sample.rename("category").value_counts(name=name) for sample, name in ((reference, "first"), (current, "second"))]
    table = counts[0].join(counts[1], on="category", how="full", coalesce=True).fill_null(0).sort("category")
    both = table.select("first", "second").cast(pl.Float64).to_numpy()
    if len(both) == 1:
        return both[:, 0], both[:, 1]
    both = both[np.argsort(both.sum(axis=1), kind="stable")]
    expected = both.sum(axis=1) * min(len(reference), len(current)) / (len(reference) + len(current))
    rare = int((expected < SMALLEST_EXPECTED).sum())
    if rare and rare < len(both) and expected[:rare].sum() < SMALLEST_EXPECTED:
        rare += 1
    if rare == len(both):
        return None
    pooled = np.concatenate([both[:rare].sum(axis=0, keepdims=True), both[rare:]]) if rare else both
    return pooled[:, 0], pooled[:, 1]


def benjamini_hochberg(p_values: Floats) -> Floats:
    """P-values adjusted so that calling those below alpha keeps the expected share of false calls below alpha.

    Range: 0 to 1, never below the p-value itself. Source: Benjamini and Hochberg (1995), J. R. Stat. Soc. B 57.
    """
    count = len(p_values)
    order = np.argsort(p_values)[::-1]
    scaled = p_values[order] * count / np.arange(count, 0, -1)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum.accumulate(np.minimum(scaled, 1.0))
    return adjusted
