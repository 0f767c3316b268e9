"""Measures what a fitted model's predictions depend on, by shuffling one column at a time. Called by the training notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.data.contract import Contract
from workbench.project import Task
from workbench.training.preprocessing import model_input
from workbench.training.scoring import scorer
from workbench.training.validation import class_probability

if TYPE_CHECKING:
    import polars as pl
    from sklearn.pipeline import Pipeline

__all__ = ["ColumnImportance", "Importance", "importance"]

ALWAYS_DEFINED: dict[Task, str] = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}
"""Lower is better for each, and each has a value on any sample; the AUC has none on a sample of one class."""

MOST_ROWS = 20_000
"""About how many rows are predicted at once."""


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

    Every column is shuffled in the same orders. Zero means that the model does as well without the column; two columns that
    say the same thing share their importance, so both can look unimportant.

    Args:
        pipeline: Fitted.
        frame: The holdout with its target, as `data.normalise` makes it.
        contract: Names features, target, task and classes.
        seed: Of the sample and the shuffles.
        rows: At most this many rows are used.
        repeats: Shuffles of each column.
    """
    sample = frame.sample(min(rows, frame.height), seed=seed)
    inputs, truth = model_input(sample, contract), sample[contract.target].to_numpy()
    random = np.random.default_rng(seed)
    orders = [random.permutation(sample.height) for _ in range(repeats)]
    (baseline,) = _losses(pipeline, [inputs], truth, contract)
    together = max(1, MOST_ROWS // (sample.height * repeats))
    losses: list[float] = []
    for start in range(0, len(contract.names), together):
        columns = contract.names[start : start + together]
        parts = [_shuffled(inputs, column, order) for column in columns for order in orders]
        losses += _losses(pipeline, parts, truth, contract)
    worse = np.asarray(losses).reshape(-1, repeats) - baseline
    measured = [
        ColumnImportance(name=column, mean=float(mean), spread=float(spread))
        for column, mean, spread in zip(contract.names, worse.mean(axis=1), worse.std(axis=1), strict=True)
    ]
    ranked = tuple(sorted(measured, key=lambda column: -column.mean))
    return Importance(columns=ranked, metric=ALWAYS_DEFINED[contract.task], rows=sample.height, repeats=repeats)


def _shuffled(inputs: pd.DataFrame, column: str, order: npt.NDArray[np.intp]) -> pd.DataFrame:
    part = inputs.copy()
    part[column] = inputs[column].to_numpy()[order]
    return part


def _losses(pipeline: Pipeline, parts: Sequence[pd.DataFrame], truth: npt.NDArray[Any], contract: Contract) -> list[float]:
    """The metric on each part, from one prediction for all parts: most of a short prediction's time is its start."""
    name, stacked = ALWAYS_DEFINED[contract.task], pd.concat(parts, ignore_index=True)
    if contract.task == "regression":
        blocks = np.split(np.asarray(pipeline.predict(stacked)).ravel(), len(parts))
        scorers = [scorer(truth, block, None, contract) for block in blocks]
    else:
        blocks = np.split(class_probability(pipeline, stacked, contract), len(parts))
        scorers = [scorer(truth, truth, block, contract) for block in blocks]  # the log loss looks at no label
    return [measure(np.ones(len(truth)))[name] for measure in scorers]
