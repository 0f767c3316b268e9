"""The figures that the boards draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

__all__ = ["column_figure", "threshold_figure"]

MOST_GROUPS = 12
MOST_POINTS = 2000


def _axes(height: float = 3.2) -> tuple[Figure, Any]:
    figure = Figure(figsize=(7, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def column_figure(frame: pl.DataFrame, column: str, target: str) -> Figure:
    """The values of a column, one outline or bar per class of the target (a scatter for a numeric target)."""
    figure, axes = _axes()
    known = frame.select(column, target).drop_nulls()
    values, label = known[column], known[target]
    if label.dtype.is_numeric():
        sample = known.sample(min(MOST_POINTS, known.height), seed=0)
        axes.scatter(sample[column], sample[target], s=8, alpha=0.4, color="#0550ae")
        axes.set(xlabel=column, ylabel=target)
        return figure
    edges = np.histogram_bin_edges(values.to_numpy(), bins=40) if values.dtype.is_numeric() else None
    for kind in sorted(label.unique()):
        part = values.filter(label == kind)
        if edges is not None:
            axes.hist(part, bins=edges, density=True, histtype="step", linewidth=1.8, label=f"{target} = {kind}")
        else:
            shares = part.value_counts(normalize=True).sort(column)
            axes.plot(shares[column], shares["proportion"], "o-", label=f"{target} = {kind}")
    axes.set(xlabel=column, ylabel="share of rows" if edges is None else "density")
    if known.height:
        axes.legend(frameon=False)
    return figure


def threshold_figure(
    *, selected: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_], groups: npt.NDArray[np.str_], limit: float
) -> Figure:
    """Selection rate of each group, the line that `limit` of the best rate draws, and the share of right decisions."""
    names = sorted(set(groups.tolist()), key=lambda name: -int((groups == name).sum()))[:MOST_GROUPS]
    rates = [float(selected[groups == name].mean()) for name in names]
    best = max(rates)
    figure, axes = _axes(0.5 * len(names) + 1.5)
    colours = ["#1a7f37" if rate >= limit * best else "#cf222e" for rate in rates]
    axes.barh(names, rates, color=colours, alpha=0.75)
    for place, (name, rate) in enumerate(zip(names, rates, strict=True)):
        ratio = "" if best == 0 else f"  ratio {rate / best:.2f}"
        text = f"{rate:.1%}{ratio}  ({int((groups == name).sum()):,} rows)"
        axes.annotate(text, (rate, place), (5, -3), textcoords="offset points")
    axes.axvline(limit * best, color="#57606a", linestyle="--")
    axes.set(
        xlim=(0, 1.35),
        xticks=np.linspace(0, 1, 6),
        xlabel="share that gets the favourable outcome",
        title=f"{right.mean():.1%} of decisions are right",
    )
    return figure
