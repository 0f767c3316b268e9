"""Measures what a fitted model's predictions depend on, by shuffling one column at a time. Called by the training notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.inspection import permutation_importance
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from workbench.data.contract import Contract
from workbench.project import Task
from workbench.training.preprocessing import model_input
from workbench.training.scoring import scorer
from workbench.training.validation import class_probability

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from sklearn.pipeline import Pipeline

__all__ = ["ColumnImportance", "Importance", "importance"]

ALWAYS_DEFINED: dict[Task, str] = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}
"""Lower is better for each, and each has a value on any sample; the AUC has none on a sample of one class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnImportance:
    """How much worse the metric gets when this column is shuffled: the mean over shuffles, and their standard deviation."""

    name: str
    mean: float
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """Every column, the most important first, and how it was measured."""

    columns: tuple[ColumnImportance, ...]
    metric: str
    rows: int
    repeats: int


def importance(
    pipeline: Pipeline,
    frame: pl.DataFrame,
    *,
    contract: Contract,
    seed: int,
    rows: int = 1000,
    repeats: int = 5,
) -> Importance:
    """Permutation importance (Breiman, 2001) on a random sample of the holdout.

    Zero means that the model does as well without the column; two columns that say the same thing share their importance,
    so both can look unimportant.

    Args:
        pipeline: Fitted.
        frame: The holdout with its target, as `data.normalise` makes it.
        contract: Names features, target, task and classes.
        seed: Of the sample and the shuffles.
        rows: At most this many rows are used.
        repeats: Shuffles of each column.
    """
    name = ALWAYS_DEFINED[contract.task]
    sample = frame.sample(min(rows, frame.height), seed=seed)

    def score(model: Pipeline, inputs: pd.DataFrame, truth: npt.NDArray[Any]) -> float:
        if contract.task == "regression":
            measure = scorer(truth, model.predict(inputs), None, contract)
        else:
            measure = scorer(truth, truth, class_probability(model, inputs, contract), contract)  # log loss needs no label
        return -measure(np.ones(len(truth)))[name]  # lower is better for all of them

    target = sample[contract.target].to_numpy()
    # Hundreds of short predictions: when other processes want the cores too, OpenMP's threads wait for each other by spinning.
    with threadpool_limits(limits=1):
        measured = permutation_importance(
            pipeline, model_input(sample, contract), target, scoring=score, n_repeats=repeats, random_state=seed
        )
    columns = [
        ColumnImportance(name=column, mean=float(mean), spread=float(spread))
        for column, mean, spread in zip(contract.names, measured.importances_mean, measured.importances_std, strict=True)
    ]
    ranked = tuple(sorted(columns, key=lambda column: -column.mean))
    return Importance(columns=ranked, metric=name, rows=sample.height, repeats=repeats)
