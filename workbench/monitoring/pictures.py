"""Pictures of a drift verdict: all columns ranked by effect, and one column before and after; called by the watch notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.data.contract import MISSING
from workbench.data.representation import as_text
from workbench.errors import NotFound, did_you_mean
from workbench.monitoring.alignment import absent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from workbench.monitoring.drift import DriftReport, FeatureDrift

__all__ = ["drift_picture", "feature_picture"]

DRIFTED, CALM, INK, FAINT = "#c2410c", "#a8b3c2", "#1f2937", "#6b7280"
REFERENCE, CURRENT = "#94a3b8", "#c2410c"
TICKS = (0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20)
MOST_BARS, MOST_CATEGORIES, MOST_NAMES, BINS = 25, 12, 6, 40
THOUSANDS, UPRIGHT = 1000, 8


def drift_picture(drift_report: DriftReport) -> Figure:
    """Every compared column as a bar of its population stability index, ranked; the dashed line is the effect floor.

    A filled dot marks a significant difference. Drifted columns, past the line and significant, are dark and say what moved.
    """
    ranked = sorted(drift_report.features, key=lambda feature: (feature.drifted, feature.psi), reverse=True)
    shown = ranked[:MOST_BARS]
    figure, axes = _drawing(9.5, 1.7 + 0.29 * max(len(shown), 3))
    _bars(axes, shown, drift_report)
    count = len(drift_report.drifted)
    headline = f"{count} of {len(ranked)} columns drifted" if count else f"No drift in {len(ranked)} columns"
    axes.set_title(headline, loc="left", fontsize=14, fontweight="bold", color=DRIFTED if count else INK, pad=22)
    rows = f"{drift_report.rows_current:,} served rows against {drift_report.rows_reference:,} training rows"
    axes.annotate(
        rows, (0, 1), xycoords="axes fraction", xytext=(0, 5), textcoords="offset points", fontsize=10, color=FAINT, va="bottom"
    )
    notes = [f"{len(ranked) - len(shown)} columns with a smaller effect are not drawn."] if len(ranked) > len(shown) else []
    if drift_report.skipped:
        notes.append(_cut(f"Not compared, so not cleared: {_listed(list(drift_report.skipped))}.", 140))
    if notes:
        figure.supxlabel(" ".join(notes), x=0.01, ha="left", fontsize=9, color=DRIFTED if drift_report.skipped else FAINT)
    return figure


def _bars(axes: Axes, shown: Sequence[FeatureDrift], drift: DriftReport) -> None:
    floor = max(drift.floor, 0.001)
    # One column gone wild must not flatten all others: the axis is linear up to twice the floor and logarithmic past it.
    axes.set_xscale("symlog", linthresh=2 * floor)
    axes.set_xlim(0, 1.15 * max([2 * floor, *(feature.psi for feature in shown)]))
    axes.set_ylim(max(len(shown), 3) - 0.4, -0.7)
    axes.axvline(drift.floor, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.barh(
        range(len(shown)),
        [feature.psi for feature in shown],
        height=0.66,
        color=[DRIFTED if feature.drifted else CALM for feature in shown],
    )
    for place, feature in enumerate(shown):
        _note(axes, place, feature, drift.alpha)
    axes.set_yticks(range(len(shown)), [_cut(feature.name, 32) for feature in shown])
    most = axes.get_xlim()[1]
    ticks = [tick for tick in TICKS if tick <= most and (tick == 0 or tick >= floor / 2)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    rule = f"dashed: floor {drift.floor:g}      ● significant, adjusted p < {drift.alpha:g}      ○ not significant"
    axes.set_xlabel(f"population stability index, less sampling noise\n{rule}", fontsize=9, color=FAINT, loc="left", labelpad=6)
    _plain(axes)


def _note(axes: Axes, place: int, feature: FeatureDrift, alpha: float) -> None:
    ink = DRIFTED if feature.drifted else FAINT
    inside = ink if feature.adjusted_p < alpha else "white"
    axes.plot(feature.psi, place, "o", markersize=5.5, color=ink, markerfacecolor=inside, clip_on=False, zorder=4)
    axes.annotate(
        f"{feature.psi:.3f}   {_cut(feature.reason, 60)}" if feature.drifted else f"{feature.psi:.3f}",
        (feature.psi, place),
        xytext=(9, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=ink,
        fontweight="bold" if feature.drifted else "normal",
        bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        zorder=3,
    )


def feature_picture(reference: pl.DataFrame, current: pl.DataFrame, column: str) -> Figure:
    """One column before and after: overlaid histograms of numbers, or paired bars of the most frequent categories.

    Raises:
        NotFound: a frame lacks the column.
    """
    for frame, place in ((reference, "reference"), (current, "window")):
        if column not in frame.columns:
            raise NotFound(f"the {place} has no column {column!r}", hint=did_you_mean(column, frame.columns))
    before, after = reference.get_column(column), current.get_column(column)
    figure, axes = _drawing(7.5, 3.6)
    if before.dtype.is_numeric() and after.dtype.is_numeric():
        _histograms(axes, before, after)
    else:
        _categories(axes, before, after)
    axes.set_title(_cut(column, 60), loc="left", fontsize=13, fontweight="bold", color=INK)
    axes.set_ylabel("share of rows", fontsize=9, color=FAINT)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.legend(frameon=False, fontsize=9, loc="upper right")
    _plain(axes)
    return figure


def _histograms(axes: Axes, before: pl.Series, after: pl.Series) -> None:
    samples = [values.filter(~absent(values)).cast(pl.Float64).to_numpy() for values in (before, after)]
    edges = _edges(np.concatenate(samples))
    for values, present, label, colour in zip(
        (before, after), samples, ("training", "served"), (REFERENCE, CURRENT), strict=True
    ):
        missing = 1 - len(present) / max(len(values), 1)
        note = f"{label}, {len(values):,} rows" + (f", {missing:.1%} missing" if missing else "")
        shares = np.histogram(np.clip(present, edges[0], edges[-1]), edges)[0] / max(len(values), 1)
        if label == "training":
            axes.stairs(shares, edges, fill=True, color=colour, alpha=0.55, label=note)
        else:
            axes.stairs(shares, edges, color=colour, linewidth=2, label=note)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if abs(edges).max() >= THOUSANDS else f"{value:g}")


def _edges(values: np.ndarray) -> np.ndarray:
    """Bin edges over the middle 99 % of the values, the tails folded into the outer bins; one bin per value where few exist."""
    if len(values) == 0:
        return np.array([0.0, 1.0])
    different = np.unique(values)
    if len(different) <= BINS and np.all(different == np.round(different)) and different[-1] - different[0] <= 2 * BINS:
        return np.arange(different[0] - 0.5, different[-1] + 1.0)
    low, high = np.quantile(values, [0.005, 0.995])
    low, high = (low, high) if high > low else (different[0] - 0.5, different[-1] + 0.5)
    return np.linspace(low, high, BINS + 1)


def _categories(axes: Axes, before: pl.Series, after: pl.Series) -> None:
    shares = []
    for values in (before, after):
        counted = as_text(values).fill_null(MISSING).alias("category").value_counts(normalize=True, name="share")
        shares.append(dict(counted.iter_rows()))
    names = sorted(shares[0].keys() | shares[1].keys(), key=lambda name: (-max(share.get(name, 0.0) for share in shares), name))
    shown, rest = names[:MOST_CATEGORIES], names[MOST_CATEGORIES:]
    places = np.arange(len(shown) + bool(rest))
    for offset, share, label, colour in zip((-0.2, 0.2), shares, ("training", "served"), (REFERENCE, CURRENT), strict=True):
        heights = [share.get(name, 0.0) for name in shown] + ([sum(share.get(name, 0.0) for name in rest)] if rest else [])
        rows = len(before) if label == "training" else len(after)
        axes.bar(places + offset, heights, width=0.38, color=colour, label=f"{label}, {rows:,} rows")
    labels = [_cut(name, 16) for name in shown] + ([f"{len(rest)} others"] if rest else [])
    axes.set_xticks(places, labels, rotation=30 if max(map(len, labels), default=0) > UPRIGHT else 0, fontsize=9)


def _drawing(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure  # here, since reading a window or deciding on drift needs no plotting library

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _cut(text: str, limit: int) -> str:
    return (text if len(text) <= limit else f"{text[: limit - 1]}…").replace("$", r"\$")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#d1d5db")
    axes.tick_params(axis="both", length=0, pad=7, colors=INK, labelsize=9)
