"""The picture of a choice: every candidate's estimate with its interval and verdict. Drawn in 04_choose and in 00_explore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from workbench.records import Verdict
from workbench.registry.choice import Entry

__all__ = ["leaderboard_picture"]

COLOURS: Mapping[Verdict, str] = {"PASS": "#1a7f37", "FAIL": "#cf222e", "INCONCLUSIVE": "#9a6700"}


def leaderboard_picture(entries: Sequence[Entry], metric: str) -> Figure:
    """One line for each candidate: its value of the metric, the interval, and the verdict in words and colour."""
    figure = Figure(figsize=(7.2, 0.62 * len(entries) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right", "left"]].set_visible(False)
    for place, entry in enumerate(entries):
        estimate, colour = entry.metrics.get(metric), COLOURS[entry.verdict]
        if estimate is None or estimate.value is None:
            axes.annotate("undefined", (0.5, place), xycoords=("axes fraction", "data"), ha="center", color=colour)
            continue
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [place, place], color=colour, linewidth=3.5, alpha=0.4)
        axes.plot(estimate.value, place, "o", color=colour, markersize=9)
        text = f"{estimate.value:.4g}  {entry.verdict}"
        axes.annotate(text, (estimate.value, place), (0, 9), textcoords="offset points", ha="center", color=colour)
    axes.set(
        yticks=range(len(entries)), yticklabels=[entry.name for entry in entries], xlabel=f"{metric}, with its 95 % interval"
    )
    axes.set_ylim(-0.5, len(entries) - 0.35)
    axes.grid(axis="x", color="#eaeef2")
    axes.tick_params(left=False)
    return figure
