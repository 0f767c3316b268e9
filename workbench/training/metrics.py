"""What each quality metric means, which tasks it serves and which way is better. Read by validation and every interface."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from workbench.errors import BadInput, did_you_mean
from workbench.project import Task

__all__ = ["METRICS", "Metric", "better", "default_metric", "higher_is_better", "metric", "metrics_for"]

CLASSIFICATION: tuple[Task, ...] = ("binary", "multiclass")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric: the tasks it serves, its range (`lowest` to `highest`), its ideal, and what it says in plain words."""

    name: str
    tasks: tuple[Task, ...]
    direction: Literal["higher", "lower"]
    lowest: float
    highest: float
    meaning: str

    @property
    def ideal(self) -> float:
        """The value of a perfect model."""
        return self.highest if self.direction == "higher" else self.lowest


METRICS: Mapping[str, Metric] = {
    listed.name: listed
    for listed in (
        Metric(
            name="roc_auc",
            tasks=("binary",),
            direction="higher",
            lowest=0,
            highest=1,
            meaning="How often a random positive row gets a higher probability than a random negative one; 0.5 is guessing.",
        ),
        Metric(
            name="log_loss",
            tasks=CLASSIFICATION,
            direction="lower",
            lowest=0,
            highest=math.inf,
            meaning="How surprised the model is by the true class on average; being sure and wrong costs most.",
        ),
        Metric(
            name="brier",
            tasks=("binary",),
            direction="lower",
            lowest=0,
            highest=1,
            meaning="The mean squared distance between the predicted probability and what happened (0 or 1).",
        ),
        Metric(
            name="accuracy",
            tasks=CLASSIFICATION,
            direction="higher",
            lowest=0,
            highest=1,
            meaning="The share of rows whose class is predicted correctly.",
        ),
        Metric(
            name="balanced_accuracy",
            tasks=CLASSIFICATION,
            direction="higher",
            lowest=0,
            highest=1,
            meaning="The share predicted correctly within each class, averaged: a rare class counts as much as a common one.",
        ),
        Metric(
            name="f1",
            tasks=("binary",),
            direction="higher",
            lowest=0,
            highest=1,
            meaning="The harmonic mean of how many predicted positives are right and how many true positives are found.",
        ),
        Metric(
            name="macro_f1",
            tasks=("multiclass",),
            direction="higher",
            lowest=0,
            highest=1,
            meaning="The F1 score of each class, averaged: a rare class counts as much as a common one.",
        ),
        Metric(
            name="rmse",
            tasks=("regression",),
            direction="lower",
            lowest=0,
            highest=math.inf,
            meaning="The typical error in the target's own unit, where large errors weigh more (root mean squared error).",
        ),
        Metric(
            name="mae",
            tasks=("regression",),
            direction="lower",
            lowest=0,
            highest=math.inf,
            meaning="The average absolute error in the target's own unit.",
        ),
        Metric(
            name="r2",
            tasks=("regression",),
            direction="higher",
            lowest=-math.inf,
            highest=1,
            meaning="The share of the target's variance that the model explains; 0 is no better than always saying the mean.",
        ),
    )
}

_DEFAULTS: Mapping[Task, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def metrics_for(task: Task) -> tuple[Metric, ...]:
    """The metrics of a task, in the order in which they are shown."""
    return tuple(listed for listed in METRICS.values() if task in listed.tasks)


def default_metric(task: Task) -> str:
    """The metric that decides when the project names none: insensitive to a threshold, and rarely tied on small data."""
    return _DEFAULTS[task]


def metric(name: str, task: Task | None = None) -> Metric:
    """The metric of this name.

    Raises:
        BadInput: there is none, or it does not serve the task; the hint names the closest one that does.
    """
    known = {listed.name: listed for listed in (METRICS.values() if task is None else metrics_for(task))}
    if name not in known:
        serving = "" if task is None else f" for a {task} task"
        raise BadInput(f"no metric {name!r}{serving}", hint=did_you_mean(name, known))
    return known[name]


def higher_is_better(name: str) -> bool:
    """Whether a larger value of the metric is a better model.

    Raises:
        BadInput: there is no such metric.
    """
    return metric(name).direction == "higher"


def better(name: str, first: float, second: float) -> bool:
    """Whether `first` is a strictly better value of the metric than `second`.

    Raises:
        BadInput: there is no such metric.
    """
    return first > second if higher_is_better(name) else first < second
