"""Pictures of a candidate's quality, of what its predictions depend on, and of how its training went. Called by the notebooks.

Colours are told apart with any colour vision (Okabe and Ito, 2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from workbench.data.contract import Contract
from workbench.records import Estimate
from workbench.training.calibration import Bins, calibration_bins
from workbench.training.permutation import importance
from workbench.training.scoring import Numbers
from workbench.training.validation import Evaluation

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from sklearn.pipeline import Pipeline

__all__ = ["importance_picture", "learning_curve", "quality_picture"]

INK, GREY, PALE = "#222222", "#6b6b6b", "#e6e6e6"
BLUE, ORANGE = "#0072B2", "#D55E00"
WIDTH = 9.5
MOST_BARS = 15
MOST_WRITTEN = 12
MOST_LEVEL = 6
MOST_DOTS = 3000
DARK = 0.55
LONGEST_LABEL = 24


def quality_picture(evaluation: Evaluation, contract: Contract) -> Figure:
    """How good the predictions of the holdout are, drawn as suits the task.

    Binary: the ROC curve and how far predicted probabilities can be taken at their word. Multiclass: which class is
    mistaken for which. Regression: predicted against actual values, and the errors.
    """
    if contract.task == "binary":
        return _roc_and_calibration(evaluation, contract)
    if contract.task == "multiclass":
        return _confusion(evaluation, contract)
    return _predicted_and_actual(evaluation, contract)


def importance_picture(pipeline: Pipeline, frame: pl.DataFrame, *, contract: Contract, seed: int) -> Figure:
    """How much worse a fitted model gets when one column of the holdout is shuffled (see `permutation.importance`).

    The columns that matter most are drawn, with the spread over shuffles.
    """
    measured = importance(pipeline, frame, contract=contract, seed=seed)
    shown = measured.columns[:MOST_BARS]
    figure = _figure(1.5 + 0.32 * max(3, len(shown)))
    axes = _tidy(
        figure.add_subplot(), "What the predictions depend on", f"{measured.metric} gets worse by, when the column is shuffled"
    )
    places = np.arange(len(shown))
    mean, spread = [column.mean for column in shown], [column.spread for column in shown]
    axes.barh(places, mean, height=0.66, color=BLUE)
    axes.errorbar(mean, places, xerr=spread, fmt="none", ecolor=INK, elinewidth=1.2)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_yticks(places, [_shortened(column.name) for column in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="x", color=PALE, linewidth=0.8)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    left_out = len(measured.columns) - len(shown)
    note = f"{measured.rows:,} rows of the holdout, {measured.repeats} shuffles each"
    _note(axes, note + (f"; {left_out} columns with less are not drawn" if left_out else ""))
    return figure


def learning_curve(history: Sequence[Sequence[float | None]]) -> Figure:
    """Training and validation loss of a network by epoch (`history_`), and the epoch whose weights were kept."""
    from matplotlib.ticker import MaxNLocator

    figure = _figure(3.6)
    epochs = np.asarray([row[0] for row in history], dtype=np.float64)
    training, validation = (np.asarray([row[column] for row in history], dtype=np.float64) for column in (1, 2))
    axes = _tidy(figure.add_subplot(), "How the training went", "epoch", "loss")
    axes.plot(epochs, training, color=GREY, linewidth=2, label="training rows")
    judged = training
    if not np.isnan(validation).all():
        judged = validation
        axes.plot(epochs, validation, color=BLUE, linewidth=2.2, label="validation rows")
    best = int(np.argmin(judged))
    axes.plot(epochs[best], judged[best], "o", color=ORANGE, markersize=8, label=f"kept: epoch {epochs[best]:.0f}", zorder=3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.legend(frameon=False, fontsize=9.5)
    return figure


def _roc_and_calibration(evaluation: Evaluation, contract: Contract) -> Figure:
    assert evaluation.probability is not None  # noqa: S101 - a binary evaluation has probabilities
    score = evaluation.probability[:, contract.classes.index(str(contract.positive))]
    happened = np.asarray(evaluation.truth, dtype=str) == contract.positive
    figure = _figure(4.6)
    grid = figure.add_gridspec(2, 2, height_ratios=(4, 1))
    auc = _words(evaluation.metrics["roc_auc"])
    _roc(_tidy(figure.add_subplot(grid[:, 0]), f"ROC: AUC {auc}", "false positive rate", "true positive rate"), score, happened)
    upper = _tidy(
        figure.add_subplot(grid[0, 1]), f"Calibration: Brier {_words(evaluation.metrics['brier'])}", "", "share that happened"
    )
    lower = _tidy(
        figure.add_subplot(grid[1, 1], sharex=upper),
        "",
        f"predicted probability of {_shortened(contract.target)} = {_shortened(str(contract.positive))}",
        "rows",
    )
    _calibration(upper, calibration_bins(score, happened))
    upper.tick_params(labelbottom=False)
    edges = np.linspace(0, 1, 41)
    counts = [np.histogram(score[chosen], edges)[0] for chosen in (~happened, happened)]
    lower.stairs(counts[0] + counts[1], edges, fill=True, color=BLUE, alpha=0.75)
    lower.set_yticks([])
    return figure


def _roc(axes: Axes, score: Numbers, happened: npt.NDArray[np.bool_]) -> None:
    distinct, rank = np.unique(-score, return_inverse=True)
    curves = [np.cumsum(np.bincount(rank[chosen], minlength=len(distinct))) for chosen in (~happened, happened)]
    false, true = (np.concatenate([[0], curve / max(1, curve[-1])]) for curve in curves)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(0.62, 0.56, "guessing", color=GREY, fontsize=9, rotation=40, ha="center", va="center")
    axes.fill_between(false, true, color=BLUE, alpha=0.10, linewidth=0)
    axes.plot(false, true, color=BLUE, linewidth=2.2)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")


def _calibration(axes: Axes, bins: Bins) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    reach = [bins.share - bins.low, bins.high - bins.share]
    axes.errorbar(
        bins.predicted, bins.share, yerr=reach, color=BLUE, ecolor=BLUE, fmt="o-", markersize=5, linewidth=1.6, elinewidth=1.2
    )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    _note(axes, "bars: 95% interval of each group of rows")


def _confusion(evaluation: Evaluation, contract: Contract) -> Figure:
    classes = np.asarray(contract.classes)
    cells = np.searchsorted(classes, np.asarray(evaluation.truth, dtype=str)) * len(classes)
    cells = cells + np.searchsorted(classes, np.asarray(evaluation.label, dtype=str))
    counts = np.bincount(cells, minlength=len(classes) ** 2).reshape(len(classes), -1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    height = min(9.0, 1.9 + 0.6 * max(4, len(classes)))
    figure = _figure(height, width=min(WIDTH, height + 2))
    metrics = evaluation.metrics
    title = f"Accuracy {_words(metrics['accuracy'])}\nLog loss {_words(metrics['log_loss'])}"
    axes = _tidy(figure.add_subplot(), title, "predicted", f"true {_shortened(contract.target)}")
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.85)
    labels = [_shortened(name) for name in contract.classes]
    level = len(labels) <= MOST_LEVEL
    axes.set_xticks(range(len(labels)), labels, rotation=0 if level else 60, ha="center" if level else "right")
    axes.set_yticks(range(len(labels)), labels)
    for (row, column), count in np.ndenumerate(counts):
        if count and len(classes) <= MOST_WRITTEN:
            colour = "white" if share[row, column] > DARK else INK
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=11)
    return figure


def _predicted_and_actual(evaluation: Evaluation, contract: Contract) -> Figure:
    actual, predicted = np.asarray(evaluation.truth, dtype=np.float64), np.asarray(evaluation.label, dtype=np.float64)
    figure = _figure(4.4)
    left, right = figure.subplots(1, 2)
    title = f"R² {_words(evaluation.metrics['r2'])}"
    _tidy(left, title, f"actual {_shortened(contract.target)}", "predicted")
    ends = [min(actual.min(), predicted.min()), max(actual.max(), predicted.max())]
    if len(actual) > MOST_DOTS:
        left.hexbin(actual, predicted, gridsize=45, mincnt=1, bins="log", cmap="Blues", linewidths=0)
    else:
        left.scatter(actual, predicted, s=16, color=BLUE, alpha=0.45, linewidths=0)
    left.plot(ends, ends, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    left.annotate(
        "perfect", ends[1:] * 2, xytext=(-22, -2), textcoords="offset points", ha="right", va="top", color=GREY, fontsize=9
    )
    _tidy(right, f"RMSE {_words(evaluation.metrics['rmse'])}", "predicted − actual", "rows")
    error = predicted - actual
    reach = float(np.quantile(np.abs(error), 0.995)) or 1.0
    right.hist(np.clip(error, -reach, reach), bins=40, range=(-reach, reach), color=BLUE, alpha=0.75)
    right.axvline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    right.axvline(float(error.mean()), color=ORANGE, linewidth=1.6, label=f"mean error {error.mean():.3g}")
    right.legend(frameon=False, fontsize=9.5)
    return figure


def _figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure that a notebook shows once: pyplot sets up the display, and closing it leaves showing to the caller."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(width, height), layout="constrained")
    pyplot.close(figure)
    return figure


def _tidy(axes: Axes, title: str, x: str, y: str = "") -> Axes:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(colors=GREY, labelcolor=INK, length=3)
    axes.set_axisbelow(True)
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    return axes


def _note(axes: Axes, text: str) -> None:
    axes.text(0.99, 0.02, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=9, color=GREY)


def _words(estimate: Estimate) -> str:
    if estimate.value is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return _number(estimate.value)
    return f"{_number(estimate.value)} ({_number(estimate.low)} to {_number(estimate.high)})"


def _number(value: float) -> str:
    """Three digits that matter, without an exponent for ordinary sizes."""
    if abs(value) >= 1000:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def _shortened(text: str) -> str:
    """A name from the data as a label: short, and with `$` as itself, not as the start of a formula."""
    short = text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"
    return short.replace("$", r"\$")
