"""Looks at a table and decides task, positive class and column kinds, each with its sentence. Called by `write_project`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from workbench.data.kinds import kind_of
from workbench.data.representation import as_text, canonical, is_integral, is_numeric, require_columns
from workbench.data.splits import require_order
from workbench.errors import DatasetUnusable, bounded
from workbench.project import Columns, Task

__all__ = ["FEWEST_PER_CLASS", "FEWEST_ROWS", "Inspection", "inspect"]

BINARY = 2
FEWEST_ROWS = 20
FEWEST_PER_CLASS = 5
MOST_CLASSES = 20
ROWS_PER_CLASS = 5
USUAL_POSITIVES = ("1", "true", "yes", "y")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was decided about a table, ready to be written to workbench.toml, with a sentence for each decision.

    `favourable` is only a default: the positive class. Which outcome people want to get, the data cannot tell.
    """

    task: Task
    classes: tuple[str, ...]
    positive: str | None
    favourable: str | None
    columns: Columns
    notes: tuple[str, ...]


def inspect(
    frame: pl.DataFrame,
    *,
    target: str,
    sensitive: Sequence[str] = (),
    entity: str | None = None,
    time: str | None = None,
) -> Inspection:
    """Decides how to learn `target` from a table.

    A sensitive column stays a feature unless it is ignored for another reason: leaving it out is a decision that a
    person takes in workbench.toml.

    Raises:
        DatasetUnusable: a named column does not exist, the target cannot be learned, or no feature is left.
    """
    frame = canonical(frame)
    _require_roles(frame, target=target, sensitive=sensitive, entity=entity, time=time)
    labels = frame[target].drop_nulls()
    _require_learnable(labels, rows=frame.height)
    task, why = _task(labels)
    notes = [why]
    if frame.height > len(labels):
        notes.append(f"{frame.height - len(labels)} of {frame.height} rows have no {target!r}; 01_prepare leaves them out.")
    classes = () if task == "regression" else tuple(sorted(as_text(labels).unique()))
    positive = None
    if task == "binary":
        positive, why = _positive(labels, classes)
        notes.append(why)
    roles = _roles(frame, entity, time)
    columns = _columns(frame, target, roles)
    notes += _column_notes(frame, columns, roles, sensitive)
    return Inspection(task=task, classes=classes, positive=positive, favourable=positive, columns=columns, notes=tuple(notes))


def _require_roles(frame: pl.DataFrame, *, target: str, sensitive: Sequence[str], entity: str | None, time: str | None) -> None:
    roles = [("sensitive", name) for name in sensitive] + [("entity", entity), ("time", time)]
    require_columns(frame, [("target", target), *roles])
    for role, name in roles:
        if name == target:
            raise DatasetUnusable(
                f"{name!r} is named both as target and as {role} column", hint="Name another column for one of the two."
            )


def _require_learnable(labels: pl.Series, *, rows: int) -> None:
    """The target has enough values, of a type and a variety that a model can learn."""
    name = labels.name
    if labels.is_empty():
        raise DatasetUnusable(f"the target {name!r} has no values in {rows} rows", hint="Name another target.")
    if len(labels) < FEWEST_ROWS:
        raise DatasetUnusable(
            f"{len(labels)} row{'s have' if len(labels) > 1 else ' has'} a value for the target {name!r}; "
            f"at least {FEWEST_ROWS} are needed to train and to test",
            hint="Give a file with more rows.",
        )
    if labels.dtype not in (pl.String, pl.Boolean) and not is_numeric(labels.dtype):
        raise DatasetUnusable(
            f"the target {name!r} holds {labels.dtype} values; expected text, booleans or numbers",
            hint="Add a column with the number or class to predict, and name it as target.",
        )
    if labels.n_unique() == 1:
        raise DatasetUnusable(
            f"the target {name!r} has one value only in all {len(labels)} rows; there is nothing to learn",
            hint="Check the rows that were exported, or name another target.",
        )
    if labels.dtype == pl.Float64 and not labels.is_finite().all():
        raise DatasetUnusable(
            f"the target {name!r} is infinite in {int((~labels.is_finite()).sum())} rows",
            hint="Replace these values, or leave them empty.",
        )


def _task(labels: pl.Series) -> tuple[Task, str]:
    name, different = labels.name, labels.n_unique()
    coded = is_integral(labels) and different <= MOST_CLASSES and different * ROWS_PER_CLASS <= len(labels)
    if is_numeric(labels.dtype) and not coded:
        return "regression", f"{name!r} takes {different} different numbers: the task is regression."
    if different > MOST_CLASSES:
        raise DatasetUnusable(
            f"the target {name!r} takes {different} different texts; classification knows at most {MOST_CLASSES} classes",
            hint="Merge rare classes, or name a number as target.",
        )
    sizes = {str(value): int(count) for value, count in labels.value_counts(sort=True).iter_rows()}
    small = {value: count for value, count in sizes.items() if count < FEWEST_PER_CLASS}
    if small:
        raise DatasetUnusable(
            f"{len(small)} of {different} classes of {name!r} have fewer than {FEWEST_PER_CLASS} rows",
            problems=[f"class {value!r}: {count} row{'s' if count > 1 else ''}" for value, count in small.items()],
            hint="Merge these classes, leave their rows out, or add rows: they can be neither learned nor tested.",
        )
    task: Task = "binary" if different == BINARY else "multiclass"
    return task, f"{name!r} takes {different} values: the task is {task} classification."


def _positive(labels: pl.Series, classes: tuple[str, ...]) -> tuple[str, str]:
    for usual in USUAL_POSITIVES:
        for name in classes:
            if name.lower() == usual:
                return name, f"The model predicts the probability of {name!r}, the usual name of the positive class."
    counts = {name: int((as_text(labels) == name).sum()) for name in classes}
    rarer = min(reversed(classes), key=lambda name: counts[name])
    return rarer, f"The model predicts the probability of {rarer!r}, the rarer class ({counts[rarer]} of {len(labels)} rows)."


def _roles(frame: pl.DataFrame, entity: str | None, time: str | None) -> dict[str, str]:
    roles: dict[str, str] = {}
    if entity is not None:
        roles[entity] = "the entity: it says whom or what a row is about, not how they are"
    if time is not None:
        require_order(frame, time)
        roles[time] = "the time of a row: the latest rows are kept for testing"
    return roles


def _columns(frame: pl.DataFrame, target: str, roles: dict[str, str]) -> Columns:
    kinds = {name: kind_of(frame[name]) for name in frame.columns if name != target and name not in roles}
    number = tuple(name for name, kind in kinds.items() if kind.kind == "number")
    category = tuple(name for name, kind in kinds.items() if kind.kind == "category")
    ignored = roles | {name: kind.reason for name, kind in kinds.items() if kind.kind == "ignored"}
    if not number and not category:
        raise DatasetUnusable(
            f"no column is left to learn {target!r} from",
            problems=[f"{name}: {reason}" for name, reason in ignored.items()],
            hint="Add columns that describe each row by numbers or categories.",
        )
    return Columns(number=number, category=category, ignored=ignored)


def _column_notes(frame: pl.DataFrame, columns: Columns, roles: dict[str, str], sensitive: Sequence[str]) -> list[str]:
    notes = [_counted(columns.number, "number", "numbers"), _counted(columns.category, "category", "categories")]
    for reason in dict.fromkeys(columns.ignored.values()):
        names = [name for name, given in columns.ignored.items() if given == reason]
        notes.append(f"{_counted(names, 'ignored', 'ignored')[:-1]} ({reason}).")
    infinite = [name for name in columns.number if frame[name].dtype == pl.Float64 and frame[name].is_infinite().any()]
    if infinite:
        notes.append(f"Infinite numbers in {bounded(', '.join(infinite), 200)} break the contract: mend them before running.")
    for name in sensitive:
        if name in columns.features:
            notes.append(f"{name!r} is sensitive and still a feature; move it to `ignored` if it must not be learned from.")
        elif name not in roles:
            notes.append(f"{name!r} is sensitive, but ignored: {columns.ignored[name]}.")
    return [note for note in notes if note]


def _counted(names: Sequence[str], one: str, many: str) -> str:
    if not names:
        return ""
    start = f"1 column is {_article(one)}{one}" if len(names) == 1 else f"{len(names)} columns are {many}"
    return f"{start}: {bounded(', '.join(names), 200)}."


def _article(word: str) -> str:
    return "" if word == "ignored" else "a "
