"""Computes every metric of a task for weighted rows, fast enough to repeat for each bootstrap replicate. Called by `validation`.

A scorer prepares what does not depend on the weights once; calling it with one weight per row then needs a few passes over
the rows. A weight of two is a row seen twice, so whole-number weights are a bootstrap sample and ones are the data itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from workbench.data.contract import Contract

__all__ = ["Numbers", "Scorer", "scorer"]

Numbers = npt.NDArray[np.float64]

SMALLEST = float(np.finfo(np.float64).eps)
"""Probabilities are kept this far from 0 and 1 in the logarithmic loss, as scikit-learn does."""


class Scorer(Protocol):
    """Metrics by name for given row weights; NaN where a metric is undefined."""

    def __call__(self, weights: Numbers) -> Mapping[str, float]:
        """Measures with one weight per row."""
        ...


def scorer(target: npt.NDArray[Any], label: npt.NDArray[Any], probability: Numbers | None, contract: Contract) -> Scorer:
    """The scorer for a task.

    Args:
        target: True classes as text, or true values.
        label: Predicted classes or values.
        probability: For classification, one column per class in the order of `contract.classes`.
        contract: Names task, classes and positive class.
    """
    if contract.task == "regression":
        return _Regression(np.asarray(target, dtype=np.float64), np.asarray(label, dtype=np.float64))
    assert probability is not None  # noqa: S101 - classification always has probabilities, by the convention of candidates
    classes = np.asarray(contract.classes)
    truth = np.searchsorted(classes, np.asarray(target, dtype=str))
    predicted = np.searchsorted(classes, np.asarray(label, dtype=str))
    if contract.task == "multiclass":
        return _Multiclass(truth, predicted, probability)
    return _Binary(truth, predicted, probability, contract.classes.index(str(contract.positive)))


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator > 0 else float("nan")


def _mean_of_defined(numerators: Numbers, denominators: Numbers) -> float:
    """The mean of ratios over the classes where the ratio is defined."""
    defined = denominators > 0
    return float(np.mean(numerators[defined] / denominators[defined])) if defined.any() else float("nan")


class _Confusion:
    """Counts of true by predicted class; definitions as in scikit-learn, but undefined is NaN, never 0."""

    def __init__(self, truth: npt.NDArray[np.intp], predicted: npt.NDArray[np.intp], classes: int) -> None:
        self._cells, self._classes = truth * classes + predicted, classes

    def __call__(self, weights: Numbers) -> Numbers:
        counts: Numbers = np.bincount(self._cells, weights, self._classes**2).astype(np.float64)
        return counts.reshape(self._classes, self._classes)


def _log_loss(truth: npt.NDArray[np.intp], probability: Numbers) -> Numbers:
    chosen = probability[np.arange(len(truth)), truth]
    return -np.log(np.clip(chosen, SMALLEST, 1 - SMALLEST))


class _Binary:
    """AUC with ties counted half (Mann and Whitney, 1947), log loss, Brier score (1950), accuracy, F1 of the positive class."""

    def __init__(self, truth: npt.NDArray[np.intp], predicted: npt.NDArray[np.intp], probability: Numbers, positive: int) -> None:
        score, is_positive = probability[:, positive], truth == positive
        self._positive = positive
        self._confusion = _Confusion(truth, predicted, 2)
        self._losses = np.stack([_log_loss(truth, probability), (score - is_positive) ** 2])
        distinct, rank = np.unique(score, return_inverse=True)
        self._ranks, self._cells = len(distinct), 2 * rank + is_positive

    def _roc_auc(self, weights: Numbers) -> float:
        tied = np.bincount(self._cells, weights=weights, minlength=2 * self._ranks).reshape(-1, 2)
        negative, positive = tied[:, 0], tied[:, 1]
        below = np.cumsum(negative) - negative / 2
        wins = float((positive * below).sum())  # not `@`: BLAS would wake threads for each replicate
        return _ratio(wins, float(positive.sum() * negative.sum()))

    def __call__(self, weights: Numbers) -> Mapping[str, float]:
        total = float(weights.sum())
        log_loss, brier = self._losses @ weights
        counts = self._confusion(weights)
        right = np.diag(counts)
        mentioned = counts[self._positive].sum() + counts[:, self._positive].sum()
        return {
            "roc_auc": self._roc_auc(weights),
            "log_loss": _ratio(log_loss, total),
            "brier": _ratio(brier, total),
            "accuracy": _ratio(right.sum(), total),
            "balanced_accuracy": _mean_of_defined(right, counts.sum(axis=1)),
            "f1": _ratio(2 * right[self._positive], mentioned),
        }


class _Multiclass:
    """Log loss, accuracy, and recall and F1 averaged over the classes that occur."""

    def __init__(self, truth: npt.NDArray[np.intp], predicted: npt.NDArray[np.intp], probability: Numbers) -> None:
        self._confusion = _Confusion(truth, predicted, probability.shape[1])
        self._loss = _log_loss(truth, probability)

    def __call__(self, weights: Numbers) -> Mapping[str, float]:
        total = float(weights.sum())
        counts = self._confusion(weights)
        right, true = np.diag(counts), counts.sum(axis=1)
        return {
            "log_loss": _ratio(float(self._loss @ weights), total),
            "accuracy": _ratio(right.sum(), total),
            "balanced_accuracy": _mean_of_defined(right, true),
            "macro_f1": _mean_of_defined(2 * right, true + counts.sum(axis=0)),
        }


class _Regression:
    """Root mean squared error, mean absolute error, and R² against the weighted mean."""

    def __init__(self, target: Numbers, predicted: Numbers) -> None:
        error, centred = predicted - target, target - target.mean()  # centred first: no cancellation in the variance
        self._terms = np.stack([error**2, np.abs(error), centred, centred**2])

    def __call__(self, weights: Numbers) -> Mapping[str, float]:
        total = float(weights.sum())
        squared, absolute, first, second = self._terms @ weights
        spread = second - first**2 / total
        unexplained = _ratio(squared, spread if spread > 1e-12 * second else 0.0)
        return {"rmse": float(np.sqrt(_ratio(squared, total))), "mae": _ratio(absolute, total), "r2": 1 - unexplained}
