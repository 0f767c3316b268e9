"""Measures a candidate honestly: cross-validation on the training rows, then the holdout, each number with its interval.

Called by the training notebooks. Intervals are frequentist: over repeated experiments about `confidence` of them hold the
value that many more rows of the same kind would show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import t as student
from sklearn.base import clone

from workbench.data.contract import Contract
from workbench.errors import DatasetUnusable
from workbench.records import Estimate
from workbench.training.metrics import METRICS, Metric
from workbench.training.preprocessing import model_input
from workbench.training.scoring import Numbers, scorer

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

__all__ = ["Evaluation", "class_probability", "cross_validate", "evaluate", "holdout_evaluation"]

Values = npt.NDArray[Any]


FEWEST_FOR_SPREAD = 2
"""A single number has no spread."""

ENOUGH_DEFINED = 0.95
"""The share of bootstrap replicates that must define a metric for its interval to be given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a model predicts for rows it never saw, what was true, and how good that is.

    `probability` has one column per class in the order of `classes`; it is None for regression, where `classes` is empty.
    """

    metrics: Mapping[str, Estimate]
    truth: Values
    label: Values
    probability: Numbers | None
    classes: tuple[str, ...]

    def frame(self) -> pl.DataFrame:
        """One row per prediction: `truth`, `predicted`, and for classification `probability CLASS` for each class."""
        columns: dict[str, Values] = {"truth": self.truth, "predicted": self.label}
        if self.probability is not None:
            columns |= {f"probability {name}": self.probability[:, place] for place, name in enumerate(self.classes)}
        return pl.DataFrame(columns)


def cross_validate(
    pipeline: Pipeline,
    frame: pl.DataFrame,
    *,
    contract: Contract,
    folds: int,
    seed: int,
    groups: Values | None = None,
    confidence: float = 0.95,
) -> Mapping[str, Estimate]:
    """Fits and measures a fresh copy of the pipeline once per fold.

    Rows are dealt to the folds class by class. A class with fewer rows than folds is simply absent from some folds; a
    metric that is undefined in a fold, such as the AUC without a positive row, is the mean over the other folds.

    Args:
        pipeline: Unfitted; it is not changed.
        frame: The training rows with their target, as `data.normalise` makes them.
        contract: Names features, target, task and classes.
        folds: How many parts; each is predicted by a model that was fitted on the others.
        seed: Makes the folds reproducible.
        groups: One value per row; rows that share a value, such as one person's, are never split between folds.
        confidence: Of the intervals.

    Returns:
        Each metric's mean over the folds. Its interval is Student's t with the variance corrected for overlapping training
        sets by the factor 1/folds + test/train (Nadeau and Bengio, 2003, "Inference for the generalization error"), cut to
        the metric's range; None with fewer than two folds to go by, or when all of them agree exactly.

    Raises:
        DatasetUnusable: fewer rows or groups than folds, or a fold would leave one class to learn from.
    """
    inputs, target = model_input(frame, contract), frame[contract.target].to_numpy()
    fold = _assigned(target, groups, contract=contract, folds=folds, seed=seed)
    measured = [_fold_scores(pipeline, inputs, target, fold == number, contract) for number in range(folds)]
    return {
        name: _corrected_mean(METRICS[name], [scores[name] for scores in measured], folds, confidence) for name in measured[0]
    }


def holdout_evaluation(
    pipeline: Pipeline,
    frame: pl.DataFrame,
    *,
    contract: Contract,
    seed: int,
    replicates: int = 400,
    confidence: float = 0.95,
) -> Evaluation:
    """Predicts rows that the fitted pipeline never saw and measures the predictions (see `evaluate`).

    Args:
        pipeline: Fitted.
        frame: The rows set aside, with their target, as `data.normalise` makes them.
        contract: Names features, target, task and classes.
        seed: Of the bootstrap.
        replicates: Of the bootstrap.
        confidence: Of the intervals.
    """
    truth = frame[contract.target].to_numpy()
    label, probability = _predicted(pipeline, model_input(frame, contract), contract)
    metrics = evaluate(truth, label, probability, contract=contract, seed=seed, replicates=replicates, confidence=confidence)
    return Evaluation(metrics=metrics, truth=truth, label=label, probability=probability, classes=contract.classes)


def evaluate(
    truth: Values,
    label: Values,
    probability: Numbers | None,
    *,
    contract: Contract,
    seed: int,
    replicates: int = 400,
    confidence: float = 0.95,
) -> Mapping[str, Estimate]:
    """Measures given predictions with percentile bootstrap intervals (Efron and Tibshirani, 1993, chapter 13).

    A replicate draws as many rows as there are, with replacement; the model stays as it is. Replicates in which a metric is
    undefined are left out. The interval is None when more than one replicate in twenty is left out, or when all agree: a
    model without a single error on 36 rows shows no spread, which is not the same as certainty.

    Returns:
        Each metric of the task; `value` is None where the metric is undefined.
    """
    measure = scorer(truth, label, probability, contract)
    rows = len(truth)
    values = measure(np.ones(rows))
    random = np.random.default_rng(seed)
    draws = [measure(_resampled(rows, random)) for _ in range(replicates)]
    return {name: _percentile(value, [draw[name] for draw in draws], confidence) for name, value in values.items()}


def _resampled(rows: int, random: np.random.Generator) -> Numbers:
    """How often a bootstrap sample contains each row: a multinomial draw, made by counting drawn row numbers."""
    return np.bincount(random.integers(0, rows, rows), minlength=rows).astype(np.float64)


def _percentile(value: float, draws: Sequence[float], confidence: float) -> Estimate:
    if np.isnan(value):
        return Estimate(value=None)
    defined = np.asarray([draw for draw in draws if not np.isnan(draw)])
    if len(defined) < ENOUGH_DEFINED * len(draws) or np.ptp(defined) == 0:
        return Estimate(value=value)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value=value, low=min(float(low), value), high=max(float(high), value))


def _corrected_mean(metric: Metric, scores: Sequence[float], folds: int, confidence: float) -> Estimate:
    defined = np.asarray([score for score in scores if not np.isnan(score)])
    if len(defined) == 0:
        return Estimate(value=None)
    mean = float(defined.mean())
    if len(defined) < FEWEST_FOR_SPREAD or np.ptp(defined) == 0:
        return Estimate(value=mean)
    variance = (1 / len(defined) + 1 / (folds - 1)) * float(defined.var(ddof=1))
    reach = float(student.ppf((1 + confidence) / 2, len(defined) - 1)) * variance**0.5
    return Estimate(value=mean, low=max(metric.lowest, mean - reach), high=min(metric.highest, mean + reach))


def _fold_scores(
    pipeline: Pipeline, inputs: pd.DataFrame, target: Values, test: npt.NDArray[np.bool_], contract: Contract
) -> Mapping[str, float]:
    model = clone(pipeline).fit(inputs[~test], target[~test])
    measure = scorer(target[test], *_predicted(model, inputs[test], contract), contract)
    return measure(np.ones(int(test.sum())))


def class_probability(pipeline: Pipeline, inputs: pd.DataFrame, contract: Contract) -> Numbers:
    """The probability of each class of the contract, in its order; a class that the model never saw gets 0."""
    probability = np.zeros((len(inputs), len(contract.classes)))
    known = np.searchsorted(np.asarray(contract.classes), np.asarray(pipeline.classes_, dtype=str))
    probability[:, known] = pipeline.predict_proba(inputs)
    return probability


def _predicted(pipeline: Pipeline, inputs: pd.DataFrame, contract: Contract) -> tuple[Values, Numbers | None]:
    label = np.asarray(pipeline.predict(inputs))
    if contract.task == "regression":
        return label.astype(np.float64).ravel(), None
    return label, class_probability(pipeline, inputs, contract)


def _assigned(target: Values, groups: Values | None, *, contract: Contract, folds: int, seed: int) -> npt.NDArray[np.intp]:
    """The fold of each row. Whole groups are dealt by the class of their first row."""
    strata = np.zeros(len(target), np.intp) if contract.task == "regression" else np.unique(target, return_inverse=True)[1]
    if groups is None:
        fold = _dealt(strata, folds, seed, what="rows")
    else:
        _, first, member = np.unique(groups, return_index=True, return_inverse=True)
        fold = _dealt(strata[first], folds, seed, what="groups of rows")[member]
    if contract.task != "regression" and any(np.ptp(strata[fold != number]) == 0 for number in range(folds)):
        raise DatasetUnusable(
            f"with {folds} folds, one would leave a single class of {contract.target!r} to learn from",
            hint="Each class needs at least 2 rows, and with an entity column 2 entities. Add rows of the rare class.",
        )
    return fold


def _dealt(strata: npt.NDArray[np.intp], folds: int, seed: int, *, what: str) -> npt.NDArray[np.intp]:
    """Deals items to folds like cards, stratum by stratum in random order, so that every fold has its share of each."""
    if len(strata) < folds:
        raise DatasetUnusable(
            f"{len(strata)} {what} cannot make {folds} folds",
            hint=f"Add rows, or set [training] folds to at most {max(2, len(strata))} in workbench.toml.",
        )
    order = np.lexsort((np.random.default_rng(seed).random(len(strata)), strata))
    fold = np.empty(len(strata), np.intp)
    fold[order] = np.arange(len(strata)) % folds
    return fold
