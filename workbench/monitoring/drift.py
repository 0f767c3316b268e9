"""Decides which columns of a served window drifted from the training reference; called by the watch notebook.

A column drifted when its difference is significant *and* large enough to matter: significance alone pages on trivial changes
in large windows, an effect size alone pages on chance in small ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench.errors import BadInput
from workbench.monitoring.alignment import Pair, align
from workbench.monitoring.two_sample import (
    Gap,
    Numbers,
    benjamini_hochberg,
    category_counts,
    chi_square,
    kolmogorov_smirnov,
    number_counts,
    stability_index,
    widest_gap,
)

if TYPE_CHECKING:
    import polars as pl

    from workbench.data.contract import Contract

__all__ = ["DriftReport", "FeatureDrift", "compare"]

THOUSANDS = 1000
TOO_RARE = "every category is too rare to compare in a window of this size"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift:
    """One column's evidence: the test and its p-value, the p-value adjusted over all columns, the effect, and what follows."""

    name: str
    kind: Literal["number", "category"]
    statistic: str
    p_value: float
    adjusted_p: float
    psi: float
    drifted: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """The verdict on one window. `skipped` names each column that could not be compared, and why: it did not pass."""

    features: tuple[FeatureDrift, ...]
    drifted: tuple[str, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    rows_reference: int
    rows_current: int
    alpha: float
    floor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    pair: Pair
    statistic: str
    p_value: float
    psi: float
    change: str


def compare(reference: pl.DataFrame, current: pl.DataFrame, contract: Contract, *, alpha: float, floor: float) -> DriftReport:
    """Compares a served window with the rows the model was trained on, column by column.

    Numbers are tested with Kolmogorov-Smirnov, categories with chi-square, and the p-values are adjusted over all columns
    by Benjamini and Hochberg. A column drifted when its adjusted p is below `alpha` and its population stability index,
    less sampling noise, is above `floor`. Missing values count as a value of their own. The model's own answer takes part
    as `prediction` when both frames hold that column: give the score of the positive class for a binary model.

    Args:
        reference: the training rows, or a random sample of them.
        current: the served rows, such as `Window.observed(contract)`.
        contract: which columns are compared, and as what.
        alpha: the share of false calls that is accepted among the columns called drifted.
        floor: the smallest population stability index that matters.

    Raises:
        BadInput: `alpha` is not between 0 and 1, or `floor` is negative.
    """
    if not 0 < alpha < 1 or floor < 0:
        raise BadInput(
            f"alpha is {alpha} and floor is {floor}; expected alpha between 0 and 1 and a floor of at least 0",
            hint="Mend [monitoring] in workbench.toml.",
        )
    pairs, skipped = align(reference, current, contract)
    measured = {pair.name: _measure(pair) for pair in pairs}
    tests = [test for test in measured.values() if test is not None]
    adjusted = benjamini_hochberg(np.array([test.p_value for test in tests]))
    features = tuple(_decide(test, float(p), alpha, floor) for test, p in zip(tests, adjusted, strict=True))
    return DriftReport(
        features=features,
        drifted=tuple(feature.name for feature in features if feature.drifted),
        skipped={**skipped, **{name: TOO_RARE for name, test in measured.items() if test is None}},
        rows_reference=reference.height,
        rows_current=current.height,
        alpha=alpha,
        floor=floor,
    )


def _measure(pair: Pair) -> _Test | None:
    if pair.kind == "number":
        before, after = Numbers(pair.reference), Numbers(pair.current)
        gap = widest_gap(before, after)
        return _Test(
            pair=pair,
            statistic="Kolmogorov-Smirnov",
            p_value=kolmogorov_smirnov(gap, before, after),
            psi=stability_index(number_counts(before, after)),
            change=_number_change(gap, before, after),
        )
    counts = category_counts(pair.reference, pair.current)
    if counts is None:
        return None
    return _Test(
        pair=pair,
        statistic="chi-square",
        p_value=chi_square(counts),
        psi=stability_index(counts),
        change=_category_change(pair),
    )


def _decide(test: _Test, adjusted_p: float, alpha: float, floor: float) -> FeatureDrift:
    significant, large = adjusted_p < alpha, test.psi > floor
    if significant and large:
        reason = test.change
    elif significant:
        reason = f"significant, but too small to matter: PSI {test.psi:.3f} is not above {floor:g}"
    else:
        reason = f"no more than chance explains: adjusted p {adjusted_p:.2g} is not below {alpha:g}"
    return FeatureDrift(
        name=test.pair.name,
        kind=test.pair.kind,
        statistic=test.statistic,
        p_value=test.p_value,
        adjusted_p=adjusted_p,
        psi=test.psi,
        drifted=significant and large,
        reason=reason,
    )


def _number_change(gap: Gap, before: Numbers, after: Numbers) -> str:
    """The median where its move is at least half of the widest gap; else the share up to the point of the widest gap."""
    if gap.point is None:
        return f"missing {gap.first:.1%} → {gap.second:.1%} of rows"
    middle = np.array([before.median])
    if 2 * abs(before.shares(middle)[0] - after.shares(middle)[0]) >= gap.distance and before.median != after.median:
        return f"median {_short(before.median)} → {_short(after.median)}"
    return f"up to {_short(gap.point)}: {gap.first:.1%} → {gap.second:.1%} of rows"


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= THOUSANDS else f"{number:.3g}"


def _category_change(pair: Pair) -> str:
    """The category whose share moved most."""
    shares = [
        dict(sample.rename("category").value_counts(normalize=True, name="share").iter_rows())
        for sample in (pair.reference, pair.current)
    ]
    moved = max(
        sorted(shares[0].keys() | shares[1].keys()), key=lambda name: abs(shares[0].get(name, 0.0) - shares[1].get(name, 0.0))
    )
    return f"{moved!r} {shares[0].get(moved, 0.0):.1%} → {shares[1].get(moved, 0.0):.1%} of rows"
