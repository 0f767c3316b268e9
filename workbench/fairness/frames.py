"""Fairlearn's table of metrics by group, with undefined rates as NaN. Called by 03_review_fairness; alone in using fairlearn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.fairness.grouping import Grouping
from workbench.fairness.rates import same_length
from workbench.project import Task

if TYPE_CHECKING:
    from fairlearn.metrics import MetricFrame

__all__ = ["rate_frame"]

Metric = Callable[[NDArray[Any], NDArray[Any]], float]


def rate_frame(
    y_true: Iterable[object],
    y_predicted: Iterable[object],
    grouping: Grouping,
    *,
    task: Task,
    favourable: str | None = None,
) -> MetricFrame:
    """A `fairlearn.metrics.MetricFrame` of every metric that suits the task, for one grouping.

    Its `.by_group` is the table, `.ratio()` and `.difference()` the disparities, `.by_group.plot.bar()` the usual picture.
    They are point values: for a decision see `assess`. Unlike fairlearn's own rate functions, a rate over no rows is NaN, which
    pandas leaves out of minima and plots, while a 0 would make a disparity out of nothing.

    Args:
        y_true: labels; numbers for a regression.
        y_predicted: predictions for the same rows.
        grouping: one of `groups_of`, for the same rows.
        task: binary, multiclass or regression.
        favourable: the outcome whose rates are shown; without it only the accuracy is.
    """
    from fairlearn.metrics import MetricFrame, count  # takes a second to load

    kind: type[float] | type[str] = float if task == "regression" else str
    true, predicted = (np.asarray([kind(value) for value in values]) for values in (y_true, y_predicted))  # type: ignore[arg-type]
    same_length(len(true), len(predicted))
    same_length(len(true), len(grouping.codes))
    if task == "regression":
        metrics: dict[str, Metric] = {"mean_absolute_error": _mean_absolute_error, "mean_error": _mean_error}
    else:
        metrics = {"accuracy": _accuracy}
    if task != "regression" and favourable is not None:
        metrics = {
            "selection_rate": partial(_selection_rate, outcome=favourable),
            "true_positive_rate": partial(_true_positive_rate, outcome=favourable),
            "false_positive_rate": partial(_false_positive_rate, outcome=favourable),
            **metrics,
        }
    people = {grouping.attribute: grouping.label_of_each_row}
    return MetricFrame(metrics={**metrics, "rows": count}, y_true=true, y_pred=predicted, sensitive_features=people)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _selection_rate(y_true: NDArray[Any], y_pred: NDArray[Any], *, outcome: str) -> float:
    return _mean(y_pred == outcome)


def _true_positive_rate(y_true: NDArray[Any], y_pred: NDArray[Any], *, outcome: str) -> float:
    return _mean(y_pred[y_true == outcome] == outcome)


def _false_positive_rate(y_true: NDArray[Any], y_pred: NDArray[Any], *, outcome: str) -> float:
    return _mean(y_pred[y_true != outcome] == outcome)


def _accuracy(y_true: NDArray[Any], y_pred: NDArray[Any]) -> float:
    return _mean(y_true == y_pred)


def _mean_absolute_error(y_true: NDArray[Any], y_pred: NDArray[Any]) -> float:
    return _mean(np.abs(y_true - y_pred))


def _mean_error(y_true: NDArray[Any], y_pred: NDArray[Any]) -> float:
    return _mean(y_pred - y_true)
