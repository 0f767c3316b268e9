"""The forest of an assessment: every group's ratio with its bounds against the limit. Called by 03_review_fairness."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.fairness.assessment import Assessment
from workbench.fairness.reasons import Finding, metric_name
from workbench.records import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BLUE", "GREY", "INK", "PALE", "PURPLE", "VERDICT_COLOURS", "empty_figure", "forest"]

# After Okabe & Ito 2008: told apart with any colour vision. Each verdict has its own marker and its word as well.
INK, GREY, PALE = "#222222", "#6b6b6b", "#e4e4e4"
BLUE, PURPLE = "#0072B2", "#AA4499"
VERDICT_COLOURS: dict[Verdict, str] = {"PASS": "#00805c", "INCONCLUSIVE": "#a56a00", "FAIL": "#c84a00"}
MARKERS: dict[Verdict, str] = {"PASS": "o", "INCONCLUSIVE": "D", "FAIL": "s"}

WIDTH, ROW_HEIGHT, ABOVE, BELOW = 10.5, 0.29, 0.85, 0.6  # inches
LEFT, RIGHT = 0.24, 0.58  # the plot itself, as shares of the width
HEADING, RATIO, ROWS, VERDICT, END = -0.64, 1.06, 1.66, 1.70, 2.20  # columns of text, in widths of the plot
TEXT = 9.5
HIGHEST_SHOWN = 1.4
LONGEST_LABEL = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line of the forest: a heading (no rows), an assessed group, or one that was left out (no finding)."""

    text: str
    rows: int | None = None
    finding: Finding | None = None


def empty_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure that a notebook shows once: pyplot sets the display up, and being closed there leaves it to the cell."""
    from matplotlib import pyplot  # only drawing needs it

    figure, axes = pyplot.subplots(figsize=(width, height))
    pyplot.close(figure)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.tick_params(colors=GREY, labelcolor=INK, length=3, labelsize=TEXT)
    return figure, axes


def forest(assessment: Assessment) -> Figure:
    """One line for each group: its ratio to the reference with bounds, the limit, the rows, and the verdict in words.

    A hollow marker is the reference of its attribute; an arrow marks a bound outside the picture. Groups that were not
    assessed are listed in grey.
    """
    lines = _lines(assessment)
    height = ABOVE + BELOW + ROW_HEIGHT * len(lines)
    figure, axes = empty_figure(WIDTH, height)
    figure.subplots_adjust(left=LEFT, right=RIGHT, top=1 - ABOVE / height, bottom=BELOW / height)
    axes.set(xlim=_span(assessment), ylim=(len(lines) - 0.4, -0.6), yticks=[])
    _draw_frame(axes, assessment)
    several = len({finding.outcome for finding in assessment.findings}) > 1
    for place, line in enumerate(lines):
        if line.rows is None:
            _draw_heading(axes, place, line.text)
        elif line.finding is None:
            _draw_texts(axes, place, line, "", "not assessed", GREY)
        else:
            _draw_finding(axes, place, line, line.finding, name_outcome=several)
    outcomes = {finding.outcome for finding in assessment.findings}
    title = metric_name(assessment.metric, outcomes.pop() if len(outcomes) == 1 else None)
    figure.text(
        0.015, 1 - 0.2 / height, f"{title[0].upper()}{title[1:]}, by group: {assessment.verdict}",
        va="top", fontsize=13, fontweight="bold", color=INK,
    )  # fmt: skip
    return figure


def _lines(assessment: Assessment) -> list[_Line]:
    """A heading for each attribute, its groups, and those of its groups that were left out."""
    of_attribute: dict[str, list[_Line]] = {}
    for finding in assessment.findings:
        line = _Line(text=finding.group.group, rows=finding.group.rows, finding=finding)
        of_attribute.setdefault(finding.group.attribute, []).append(line)
    for small in assessment.not_assessed:
        of_attribute.setdefault(small.attribute, []).append(_Line(text=small.group, rows=small.rows))
    lines = [line for attribute, inside in of_attribute.items() for line in (_Line(text=attribute), *inside)]
    return lines or [_Line(text="no group was assessed")]


def _span(assessment: Assessment) -> tuple[float, float]:
    """The range of ratios to show, in tenths: all bounds, the limit and 1, within reason."""
    ratios = [group.ratio for group in assessment.groups]
    lowest = min([assessment.limit, *(ratio.low for ratio in ratios if ratio.low is not None)])
    highest = max([1.0, *(ratio.high for ratio in ratios if ratio.high is not None)])
    return max(0.0, math.floor(lowest * 10 - 0.5) / 10), min(HIGHEST_SHOWN, math.ceil(highest * 10 + 0.5) / 10)


def _draw_frame(axes: Axes, assessment: Assessment) -> None:
    """The limit, the line of no disparity, and the names of the columns."""
    above, small = axes.get_xaxis_transform(), TEXT - 0.5
    top = 1.012
    axes.axvspan(axes.get_xlim()[0], assessment.limit, color="#f7f1ec", zorder=0)
    axes.axvline(assessment.limit, color=INK, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1)
    axes.axvline(1.0, color=GREY, linewidth=0.8, zorder=1)
    axes.text(assessment.limit, top, f"limit {assessment.limit:g}", transform=above, ha="right", color=INK, fontsize=small)
    axes.text(1.0, top, "no disparity", transform=above, ha="left", color=GREY, fontsize=small)
    for x, name, side in ((RATIO, "ratio (bounds)", "left"), (ROWS, "rows", "right"), (VERDICT, "verdict", "left")):
        axes.text(x, top, name, transform=axes.transAxes, ha=side, color=GREY, fontsize=small)
    axes.set_xlabel(
        f"ratio to the reference, {assessment.confidence:.4%} joint bounds".replace(".0000", ""), color=GREY, fontsize=small
    )


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _draw_heading(axes: Axes, place: int, text: str) -> None:
    beside = axes.get_yaxis_transform()
    axes.text(HEADING, place, text, transform=beside, va="center", fontsize=TEXT, fontweight="bold", color=INK)
    axes.plot([HEADING, END], [place + 0.45] * 2, transform=beside, color=PALE, linewidth=0.8, clip_on=False, zorder=0.5)


def _draw_texts(axes: Axes, place: int, line: _Line, ratio: str, verdict: str, colour: str) -> None:
    beside, ink = axes.get_yaxis_transform(), GREY if line.finding is None else INK
    weight = "normal" if line.finding is None else "bold"
    label = _shortened(line.text, LONGEST_LABEL)
    axes.text(-0.03, place, label, transform=beside, ha="right", va="center", fontsize=TEXT, color=ink)
    axes.text(RATIO, place, ratio, transform=beside, va="center", fontsize=TEXT, color=ink)
    axes.text(ROWS, place, f"{line.rows:,}", transform=beside, ha="right", va="center", fontsize=TEXT, color=ink)
    axes.text(VERDICT, place, verdict, transform=beside, va="center", fontsize=TEXT, color=colour, fontweight=weight)


def _draw_finding(axes: Axes, place: int, line: _Line, finding: Finding, *, name_outcome: bool) -> None:
    group, ratio = finding.group, finding.group.ratio
    colour = VERDICT_COLOURS[group.verdict]
    reference = finding.reference == group.group and ratio.value is not None
    word: str = "reference" if reference else group.verdict
    if name_outcome and finding.outcome is not None and not reference:
        word += f" ({_shortened(finding.outcome, 12)})"
    _draw_texts(axes, place, line, _ratio_text(finding, reference=reference), word, colour)
    if ratio.value is None:
        return
    left, right = axes.get_xlim()
    if ratio.low is not None and ratio.high is not None:
        ends = [max(left, ratio.low), min(right, ratio.high)]
        axes.plot(ends, [place] * 2, color=colour, linewidth=2.2, solid_capstyle="butt")
        if ratio.high > right:
            axes.plot(right, place, marker=">", color=colour, markersize=6, clip_on=False)
    axes.plot(
        ratio.value, place, marker=MARKERS[group.verdict], color=colour, markersize=6.5, zorder=3, clip_on=False,
        markerfacecolor="white" if reference else colour, markeredgewidth=1.5,
    )  # fmt: skip


def _ratio_text(finding: Finding, *, reference: bool) -> str:
    ratio = finding.group.ratio
    if finding.group.rate.value is None:
        return "rate undefined"
    if ratio.value is None:
        return "not comparable"
    if reference or ratio.low is None or ratio.high is None:
        return f"{ratio.value:.3f}"
    return f"{ratio.value:.3f} ({ratio.low:.3f}–{ratio.high:.3f})"
