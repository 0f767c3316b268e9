"""Pictures of an assessment: every ratio with its bounds, and what a decision threshold does. Called by 03_review and 00_explore."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.fairness.assessment import Assessment
from workbench.fairness.grouping import Grouping
from workbench.fairness.rates import same_length
from workbench.fairness.reasons import Finding, metric_name
from workbench.project import Fairness
from workbench.records import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["forest", "threshold_curve"]

# Okabe & Ito 2008: told apart with any colour vision; each verdict has its own marker and its word as well.
INK, GREY, PALE = "#222222", "#6b6b6b", "#e6e6e6"
BLUE, PURPLE = "#0072B2", "#AA4499"
COLOURS: dict[Verdict, str] = {"PASS": "#009E73", "INCONCLUSIVE": "#B07800", "FAIL": "#D55E00"}
MARKERS: dict[Verdict, str] = {"PASS": "o", "INCONCLUSIVE": "D", "FAIL": "s"}

WIDTH = 9.5
ROW_HEIGHT = 0.3
HIGHEST_SHOWN = 1.4
LONGEST_LABEL = 34
THRESHOLDS = np.linspace(0.0, 1.0, 201)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line of the forest: a heading, an assessed group, or one that was left out."""

    text: str
    finding: Finding | None = None
    rows: int | None = None


def _empty_figure(height: float) -> tuple[Figure, Axes]:
    """A figure that a notebook displays once: pyplot sets up the display, and closing it there leaves it to the cell."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(WIDTH, height))
    pyplot.close(figure)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.tick_params(colors=GREY, labelcolor=INK, length=3)
    return figure, axes


def forest(assessment: Assessment) -> Figure:
    """One line for each group: its ratio to the reference with bounds, the limit, the rows, and the verdict in words.

    Groups that were not assessed are listed too. An arrow marks a bound that lies outside the picture.
    """
    lines = _lines(assessment)
    figure, axes = _empty_figure(1.7 + ROW_HEIGHT * len(lines))
    low, high = _span(assessment)
    axes.set_xlim(low, high)
    axes.set_ylim(len(lines) - 0.4, -1.6)
    axes.axvspan(low, assessment.limit, color="#f7f2ee", zorder=0)
    axes.axvline(assessment.limit, color=INK, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1)
    axes.axvline(1.0, color=GREY, linewidth=0.8, zorder=1)
    axes.text(assessment.limit, -0.75, f"limit {assessment.limit:g} ", ha="right", color=INK, fontsize=9)
    axes.text(1.0, -0.75, " no disparity", color=GREY, fontsize=9)
    for place, line in enumerate(lines):
        _draw_line(axes, place, line)
    for x, heading in ((1.02, "ratio (bounds)"), (1.27, "rows"), (1.29, "verdict")):
        axes.text(x, -0.75, heading, transform=axes.get_yaxis_transform(), color=GREY, fontsize=9, ha="right" if heading == "rows" else "left")
    axes.set_yticks([])
    axes.set_xlabel(f"ratio to the reference group, bounds at {assessment.confidence:.4g} joint confidence", color=GREY, fontsize=9)
    figure.suptitle(
        f"{metric_name(assessment.metric, None).capitalize()} by group: {assessment.verdict}",
        x=0.02, y=1 - 0.18 / figure.get_figheight(), ha="left", va="top", fontsize=13, fontweight="bold", color=INK,
    )  # fmt: skip
    margin = 0.6 / figure.get_figheight()
    figure.subplots_adjust(left=0.25, right=0.66, top=1 - margin, bottom=margin)
    return figure


def _lines(assessment: Assessment) -> list[_Line]:
    attributes = dict.fromkeys(
        [*(group.attribute for group in assessment.groups), *(small.attribute for small in assessment.not_assessed)]
    )
    lines = []
    for attribute in attributes:
        lines.append(_Line(text=attribute))
        lines += [
            _Line(text=finding.group.group, finding=finding, rows=finding.group.rows)
            for finding in assessment.findings
            if finding.group.attribute == attribute
        ]
        lines += [
            _Line(text=small.group, rows=small.rows) for small in assessment.not_assessed if small.attribute == attribute
        ]
    return lines or [_Line(text="no group was assessed")]


def _span(assessment: Assessment) -> tuple[float, float]:
    """The range of ratios to show, in tenths: all bounds, the limit and 1, within reason."""
    ratios = [group.ratio for group in assessment.groups]
    lowest = min([assessment.limit, *(ratio.low for ratio in ratios if ratio.low is not None)])
    highest = max([1.0, *(ratio.high for ratio in ratios if ratio.high is not None)])
    return max(0.0, np.floor(lowest * 10 - 0.5) / 10), min(HIGHEST_SHOWN, np.ceil(highest * 10 + 0.5) / 10)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"


def _draw_line(axes: Axes, place: int, line: _Line) -> None:
    beside = axes.get_yaxis_transform()
    heading = line.rows is None
    axes.text(
        -0.36 if heading else -0.02, place, _shortened(line.text), transform=beside, ha="left" if heading else "right",
        va="center", fontsize=9.5, fontweight="bold" if heading else "normal", color=INK if heading or line.finding else GREY,
    )  # fmt: skip
    if heading:
        axes.plot([-0.36, 1.53], [place + 0.5] * 2, transform=beside, color=PALE, linewidth=0.8, clip_on=False)
        return
    axes.text(1.27, place, f"{line.rows:,}", transform=beside, ha="right", va="center", fontsize=9.5, color=INK if line.finding else GREY)
    if line.finding is None:
        axes.text(1.29, place, "not assessed", transform=beside, va="center", fontsize=9.5, color=GREY)
    else:
        _draw_finding(axes, place, line.finding)


def _draw_finding(axes: Axes, place: int, finding: Finding) -> None:
    beside, group = axes.get_yaxis_transform(), finding.group
    colour, ratio = COLOURS[group.verdict], group.ratio
    reference = finding.reference == group.group and ratio.value == 1
    word = "reference" if reference else group.verdict
    outcome = "" if finding.outcome is None or reference else f" ({_shortened(finding.outcome)})"
    left, right = axes.get_xlim()
    if ratio.value is not None:
        if ratio.low is not None and ratio.high is not None:
            axes.plot([max(left, ratio.low), min(right, ratio.high)], [place] * 2, color=colour, linewidth=2.2, solid_capstyle="butt")
            if ratio.high > right:
                axes.plot(right, place, marker=">", color=colour, markersize=6, clip_on=False)
        axes.plot(
            ratio.value, place, marker=MARKERS[group.verdict], color=colour, markersize=7,
            markerfacecolor="white" if reference else colour, markeredgewidth=1.5, zorder=3, clip_on=False,
        )  # fmt: skip
    axes.text(1.29, place, word + outcome, transform=beside, va="center", fontsize=9.5, color=colour, fontweight="bold")
    axes.text(1.02, place, _ratio_text(finding, reference), transform=beside, va="center", fontsize=9.5, color=INK)


def _ratio_text(finding: Finding, reference: bool) -> str:
    ratio = finding.group.ratio
    if finding.group.rate.value is None:
        return "rate undefined"
    if ratio.value is None:
        return "not comparable"
    if reference or ratio.low is None or ratio.high is None:
        return f"{ratio.value:.2f}"
    return f"{ratio.value:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"


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

    The ratio is the lowest over the highest selection rate among groups of the policy's minimum size: point values to explore
    with, not a verdict. The outcome that counts as selected is `policy.favourable`, else `positive`.

    Args:
        y_true: the labels.
        probability: of the class `positive`, for the same rows.
        grouping: one of `groups_of`, for the same rows.
        policy: gives limit, minimum group size and favourable outcome.
        positive: the class that is predicted where the probability reaches the threshold.
        threshold: the one in use, marked in the picture.
    """
    truth = np.asarray([str(label) == positive for label in y_true], dtype=bool)
    scores = np.asarray(probability, dtype=np.float64)
    same_length(len(truth), len(scores))
    same_length(len(truth), len(grouping.codes))
    selects_positive = policy.favourable in (None, positive)
    ratio = _ratio_by_threshold(scores, grouping, policy.minimum_group_size, selects_positive=selects_positive)
    below = 1 - _share_reaching(scores[truth])
    accuracy = truth.mean() * (1 - below) + (~truth).mean() * (1 - _share_reaching(scores[~truth]))
    figure, axes = _empty_figure(4.2)
    axes.axhline(policy.limit, color=INK, linewidth=1.1, linestyle=(0, (4, 3)))
    axes.text(0.005, policy.limit + 0.012, f"limit {policy.limit:g}", color=INK, fontsize=9)
    axes.plot(THRESHOLDS, accuracy, color=BLUE, linewidth=2.2, label="accuracy")
    axes.plot(THRESHOLDS, ratio, color=PURPLE, linewidth=2.2, linestyle=(0, (6, 1.5)), label="selection-rate ratio, lowest over highest")
    axes.fill_between(THRESHOLDS, 0, 1, where=ratio >= policy.limit, color=COLOURS["PASS"], alpha=0.08, linewidth=0)
    axes.axvline(threshold, color=GREY, linewidth=1)
    _mark_threshold(axes, threshold, accuracy, ratio)
    axes.set(xlim=(0, 1), ylim=(0, 1.04), xlabel=f"threshold on the probability of {positive!r}")
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=9.5)
    favourable = positive if policy.favourable is None else policy.favourable
    figure.suptitle(
        f"Threshold, accuracy and disparity by {grouping.attribute} (selected: {favourable!r})",
        x=0.06, ha="left", fontsize=13, fontweight="bold", color=INK,
    )  # fmt: skip
    figure.subplots_adjust(left=0.06, right=0.97, top=0.83, bottom=0.13)
    return figure


def _share_reaching(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of scores at or above each threshold; 0 of no scores, which then have no weight either."""
    below = np.searchsorted(np.sort(scores), THRESHOLDS, side="left")
    return 1 - below / max(1, len(scores))


def _ratio_by_threshold(
    scores: NDArray[np.float64], grouping: Grouping, minimum: int, *, selects_positive: bool
) -> NDArray[np.float64]:
    """Lowest over highest selection rate at each threshold; NaN where nobody is selected or fewer than two groups are large enough."""
    large = [group for group, rows in enumerate(grouping.rows.tolist()) if rows >= minimum]
    if len(large) < 2:  # noqa: PLR2004
        return np.full(len(THRESHOLDS), np.nan)
    shares = np.stack([_share_reaching(scores[grouping.codes == group]) for group in large])
    rates = shares if selects_positive else 1 - shares
    highest = rates.max(axis=0)
    return np.divide(rates.min(axis=0), highest, out=np.full(len(THRESHOLDS), np.nan), where=highest > 0)


def _mark_threshold(axes: Axes, threshold: float, accuracy: NDArray[np.float64], ratio: NDArray[np.float64]) -> None:
    """Dots and numbers where the curves meet the threshold in use."""
    at = int(np.argmin(np.abs(THRESHOLDS - threshold)))
    to_the_left = threshold > 0.85
    for curve, colour in ((accuracy, BLUE), (ratio, PURPLE)):
        if np.isnan(curve[at]):
            continue
        axes.plot(threshold, curve[at], marker="o", markersize=7, color=colour, markeredgecolor="white", zorder=4)
        axes.annotate(
            f"{curve[at]:.2f}", (threshold, curve[at]), xytext=(-8 if to_the_left else 8, 5), textcoords="offset points",
            ha="right" if to_the_left else "left", color=colour, fontsize=10, fontweight="bold",
        )  # fmt: skip
