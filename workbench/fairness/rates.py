"""What is measured for every group: four rates of a classifier and one error of a regression, as means over counted rows.

Called by `assessment`. For an outcome c, with y the label and p the prediction of a row:

====================  ===================  =====================  =========================================
metric                counted rows         mean of                source
====================  ===================  =====================  =========================================
selection_rate        all                  [p = c]                demographic parity; 29 CFR 1607.4(D)
true_positive_rate    y = c                [p = c]                equal opportunity; Hardt et al. 2016
false_positive_rate   y ≠ c                [p = c]                predictive equality; Chouldechova 2017
accuracy              all                  [p = y]                accuracy parity
mean_absolute_error   all                  |y - p|                bounded group loss; Agarwal et al. 2019
====================  ===================  =====================  =========================================

Range: the rates lie in [0, 1], the error in [0, ∞). The ideal is the same value in every group, a ratio of 1; it says nothing
about whether the value itself is good. A mean over no rows is undefined (NaN), never 0.

Ratio: each group is compared with the reference, the group with the most favourable value, so that a ratio lies in [0, 1] and
the policy's limit is a floor. All three outcome rates count people who receive the favourable outcome, so the highest is the
most favourable; this holds for false_positive_rate too: being given the outcome against the label is still to receive it. Its
smallest ratio is then the smallest over the largest rate, the same number whichever end is harmed, and the term that
`fairlearn.metrics.equalized_odds_ratio` uses. Where the predicted class is a burden, name the other class as `favourable`.
For mean_absolute_error the lowest is the most favourable, and the ratio is the lowest error over the group's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import BadInput, bounded, did_you_mean
from workbench.fairness.grouping import Grouping
from workbench.project import Fairness, Task

__all__ = ["Measured", "Tally", "measure", "same_length", "tally"]

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Codes = NDArray[np.int64]

LOWER_IS_BETTER = "mean_absolute_error"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """One metric, row by row: the mean of `value` over the `counted` rows. `outcome` is the class it is about, if any."""

    outcome: str | None
    counted: Booleans
    value: Floats
    proportion: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """One metric, group by group: on how many rows it rests, its mean (NaN when undefined) and the values' deviation."""

    outcome: str | None
    base: Codes
    mean: Floats
    deviation: Floats
    proportion: bool

    def best(self, eligible: Booleans) -> int | None:
        """The eligible group with the most favourable mean, the first of equals; None when no group is eligible."""
        if not eligible.any():
            return None
        favour = self.mean if self.proportion else -self.mean
        return int(np.argmax(np.where(eligible, favour, -np.inf)))

    def ratio(self, group: int, reference: int) -> float:
        """The group's ratio to the reference; NaN when it is undefined, because both or the one divided by are 0."""
        above, below = (group, reference) if self.proportion else (reference, group)
        return float(self.mean[above] / self.mean[below]) if self.mean[below] > 0 else math.nan


def tally(measured: Measured, grouping: Grouping) -> Tally:
    """Sums a measured metric up by group: the contingency table of group and value, or the moments of the errors."""
    codes, value, size = grouping.codes[measured.counted], measured.value[measured.counted], len(grouping.labels)
    base = np.bincount(codes, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(codes, weights=value, minlength=size) / base
        squares = np.bincount(codes, weights=(value - mean[codes]) ** 2, minlength=size)
        deviation = np.sqrt(squares / np.maximum(base - 1, 0))
    return Tally(
        outcome=measured.outcome,
        base=base.astype(np.int64),
        mean=mean,
        deviation=deviation,
        proportion=measured.proportion,
    )


def measure(
    y_true: Iterable[object],
    y_predicted: Iterable[object],
    policy: Fairness,
    *,
    task: Task,
    classes: Sequence[str] = (),
    positive: str | None = None,
) -> tuple[Measured, ...]:
    """The policy's metric for every row: once, or once for each class against the rest when no favourable one is named.

    Raises:
        BadInput: metric and task do not go together, a class is unknown, or labels are missing.
    """
    if (task == "regression") != (policy.metric == LOWER_IS_BETTER):
        fitting = LOWER_IS_BETTER if task == "regression" else "selection_rate, true_positive_rate or accuracy"
        raise BadInput(
            f"the fairness metric {policy.metric} cannot be measured on a {task} task",
            hint=f"Set `metric` under [fairness] in workbench.toml to {fitting}.",
        )
    if task == "regression":
        target, estimate = _numbers(y_true, "y_true"), _numbers(y_predicted, "y_predicted")
        same_length(len(target), len(estimate))
        error = np.abs(target - estimate)
        return (Measured(outcome=None, counted=np.ones(len(error), dtype=bool), value=error, proportion=False),)
    true, predicted = _texts(y_true, "y_true"), _texts(y_predicted, "y_predicted")
    known = tuple(classes) or tuple(sorted({*true, *predicted}))
    t, p = _positions(true, known, "y_true"), _positions(predicted, known, "y_predicted")
    same_length(len(t), len(p))
    if policy.metric == "accuracy":
        return (Measured(outcome=None, counted=np.ones(len(t), dtype=bool), value=(t == p).astype(float), proportion=True),)
    return tuple(_one_against_rest(policy.metric, t, p, known.index(c), c) for c in _outcomes(policy, task, known, positive))


def _one_against_rest(metric: str, true: Codes, predicted: Codes, place: int, outcome: str) -> Measured:
    counted = {
        "selection_rate": np.ones(len(true), dtype=bool),
        "true_positive_rate": true == place,
        "false_positive_rate": true != place,
    }[metric]
    return Measured(outcome=outcome, counted=counted, value=(predicted == place).astype(float), proportion=True)


def _outcomes(policy: Fairness, task: Task, classes: tuple[str, ...], positive: str | None) -> tuple[str, ...]:
    wanted = policy.favourable if policy.favourable is not None else positive
    if wanted is not None:
        if wanted not in classes:
            raise BadInput(f"the favourable outcome {wanted!r} is not a class", hint=did_you_mean(wanted, classes))
        return (wanted,)
    if task == "binary":
        raise BadInput(
            f"{policy.metric} needs to know which class is the favourable outcome",
            hint=f"Set `favourable` under [fairness] in workbench.toml to one of {bounded(', '.join(classes), 200)}.",
        )
    return classes


def _texts(values: Iterable[object], name: str) -> list[str]:
    listed = np.asarray(values).tolist() if hasattr(values, "__array__") else list(values)
    missing = sum(_is_missing(value) for value in listed)
    if missing:
        raise BadInput(f"{name} has {missing:,} missing labels", hint="Assess only rows with a known label and a prediction.")
    return [str(value) for value in listed]


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or type(value).__name__ in {"NAType", "NaTType"}


def _positions(values: list[str], classes: tuple[str, ...], name: str) -> Codes:
    place = {label: number for number, label in enumerate(classes)}
    unknown = sorted(set(values) - set(place))
    if unknown:
        shown = bounded(", ".join(map(repr, unknown)), 200)
        raise BadInput(f"{name} holds labels that are no class: {shown}", hint=f"The classes are {bounded(classes, 200)}.")
    return np.fromiter((place[value] for value in values), dtype=np.int64, count=len(values))


def _numbers(values: Iterable[object], name: str) -> Floats:
    listed = values if hasattr(values, "__array__") else list(values)
    try:
        numbers = np.asarray(listed, dtype=np.float64)
    except (TypeError, ValueError) as error:
        hint = "Convert the target and the predictions to numbers."
        raise BadInput(f"{name} must hold numbers for a regression task: {error}", hint=hint) from error
    bad = int((~np.isfinite(numbers)).sum())
    if bad:
        raise BadInput(f"{name} has {bad:,} missing or infinite values", hint="Assess only rows with a known target.")
    return numbers


def same_length(first: int, second: int) -> None:
    """Refuses labels, predictions and groups that are not of the same rows."""
    if first != second:
        raise BadInput(
            f"there are {first:,} labels but {second:,} predictions or groups",
            hint="Pass labels, predictions and groups of the same rows, in the same order.",
        )
