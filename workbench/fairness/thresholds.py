"""What a decision threshold does to accuracy and disparity, as one picture to explore with. Called by 03_review_fairness."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import BadInput
from workbench.fairness.grouping import Grouping
from workbench.fairness.pictures import BLUE, GREY, INK, PALE, PURPLE, VERDICT_COLOURS, empty_figure
from workbench.fairness.rates import same_length
from workbench.project import Fairness

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = ["threshold_curve"]

THRESHOLDS = np.linspace(0.0, 1.0, 201)
NEAR_THE_EDGE = 0.9


def threshold_curve(
    y_true: Iterable[object],
    probability: ArrayLike,
    grouping: Grouping,
    policy: Fairness,
    *,
    positive: str,
    threshold: float = 0.5,
) -> Figure:
    """What moving the decision threshold of a binary model does to its accuracy and to the selection-rate ratio of a grouping.

    The ratio is the lowest over the highest selection rate among groups of the policy's minimum size, in [0, 1], ideally 1:
    point values to explore with, not a verdict. The outcome that counts as selected is `policy.favourable`, else `positive`.

    Args:
        y_true: the labels.
        probability: of the class `positive`, for the same rows.
        grouping: one of `groups_of`, for the same rows.
        policy: gives limit, minimum group size and favourable outcome.
        positive: the class that is predicted where the probability reaches the threshold.
        threshold: the one in use, marked in the picture.

    Raises:
        BadInput: rows do not match, or there are none.
    """
    truth = np.asarray([str(label) == positive for label in y_true], dtype=bool)
    scores = np.asarray(probability, dtype=np.float64)
    same_length(len(truth), len(scores))
    same_length(len(truth), len(grouping.codes))
    if not len(truth):
        raise BadInput("there are no rows to draw thresholds of", hint="Pass the labels and probabilities of the holdout.")
    favourable = positive if policy.favourable is None else policy.favourable
    ratio = _ratios(scores, grouping, policy.minimum_group_size, selects_positive=favourable == positive)
    reaching = truth.mean() * _share_reaching(scores[truth])
    accuracy = reaching + (~truth).mean() * (1 - _share_reaching(scores[~truth]))
    figure, axes = empty_figure(9.5, 4.2)
    _draw(axes, accuracy, ratio, policy.limit)
    _mark(axes, threshold, accuracy, ratio)
    axes.set_xlabel(f"threshold on the probability of {positive!r}", color=GREY)
    title = f"Accuracy and disparity by {grouping.attribute}, for each threshold (selected: {favourable!r})"
    figure.text(0.015, 0.97, title, va="top", fontsize=13, fontweight="bold", color=INK)
    figure.subplots_adjust(left=0.06, right=0.975, top=0.8, bottom=0.13)
    return figure


def _share_reaching(scores: Floats) -> Floats:
    """The share of scores at or above each threshold; of no scores, which carry no weight either, all of them."""
    below: Floats = np.searchsorted(np.sort(scores), THRESHOLDS, side="left") / max(1, len(scores))
    return 1 - below


def _ratios(scores: Floats, grouping: Grouping, minimum: int, *, selects_positive: bool) -> Floats:
    """Lowest over highest selection rate; NaN where nobody is selected, or fewer than two groups are large enough."""
    large = [group for group, rows in enumerate(grouping.rows.tolist()) if rows >= minimum]
    undefined = np.full(len(THRESHOLDS), np.nan)
    if len(large) <= 1:
        return undefined
    shares = np.stack([_share_reaching(scores[grouping.codes == group]) for group in large])
    rates = shares if selects_positive else 1 - shares
    highest = rates.max(axis=0)
    divided: Floats = np.divide(rates.min(axis=0), highest, out=undefined, where=highest > 0)
    return divided


def _draw(axes: Axes, accuracy: Floats, ratio: Floats, limit: float) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.03))
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    reaches = np.nan_to_num(ratio) >= limit
    axes.fill_between(
        THRESHOLDS, 0, 1.03, where=reaches.tolist(), color=VERDICT_COLOURS["PASS"], alpha=0.08, linewidth=0,
        label=f"ratio reaches the limit of {limit:g}",
    )  # fmt: skip
    axes.axhline(limit, color=INK, linewidth=1.1, linestyle=(0, (4, 3)))
    axes.plot(THRESHOLDS, accuracy, color=BLUE, linewidth=2.2, label="accuracy")
    axes.plot(THRESHOLDS, ratio, color=PURPLE, linewidth=2.2, linestyle=(0, (6, 1.2)), label="selection rates, lowest / highest")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[1:] + handles[:1], labels[1:] + labels[:1], loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3,
        frameon=False, fontsize=9.5,
    )  # fmt: skip


def _mark(axes: Axes, threshold: float, accuracy: Floats, ratio: Floats) -> None:
    """Dots and numbers where the curves meet the threshold in use, the higher number above and the lower below."""
    axes.axvline(threshold, color=GREY, linewidth=1)
    at = int(np.argmin(np.abs(THRESHOLDS - threshold)))
    left = threshold > NEAR_THE_EDGE
    higher = bool(accuracy[at] >= np.nan_to_num(ratio[at]))
    for curve, colour, above in ((accuracy, BLUE, higher), (ratio, PURPLE, not higher)):
        if np.isnan(curve[at]):
            continue
        axes.plot(threshold, curve[at], marker="o", markersize=7, color=colour, markeredgecolor="white", zorder=4)
        axes.annotate(
            f"{curve[at]:.2f}", (threshold, curve[at]), xytext=(-7 if left else 7, 7 if above else -7),
            textcoords="offset points", ha="right" if left else "left", va="bottom" if above else "top",
            color=colour, fontsize=10, fontweight="bold",
        )  # fmt: skip
