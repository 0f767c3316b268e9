"""Sets rows aside for an honest test: at random, by whole entities, or the latest in time. Called in 01_prepare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.data.representation import as_text, canonical, is_numeric, require_columns
from workbench.errors import DatasetUnusable
from workbench.project import Dataset

__all__ = ["Split", "require_order", "split"]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Rows to learn from, rows to test on, and a sentence on how they were set apart."""

    training: pl.DataFrame
    holdout: pl.DataFrame
    how: str


def split(frame: pl.DataFrame, dataset: Dataset, *, holdout: float, seed: int) -> Split:
    """Splits the labelled rows of a table; rows without a target go to neither side.

    With `time`, the holdout is the latest rows: whole moments, as near to the share asked for as they allow. Else, where
    the entity column repeats, whole entities drawn at random. Else random rows, for classification the same share of
    every class. The same rows, share and seed give the same split; the order of the rows is kept on both sides.

    Args:
        frame: the rows as they were read.
        dataset: names target, task, entity and time.
        holdout: the share of rows to test on, between 0 and 1.
        seed: of the random choice.

    Raises:
        DatasetUnusable: a side would be empty or lack a class, or the time column has no order.
    """
    require_columns(frame, [("target", dataset.target), ("entity", dataset.entity), ("time", dataset.time)])
    rows = canonical(frame).filter(pl.col(dataset.target).is_not_null())
    random = np.random.default_rng(seed)
    entity = dataset.entity
    if dataset.time is not None:
        chosen, how = _latest(rows, dataset.time, holdout)
    elif entity is not None and rows[entity].drop_nulls().is_duplicated().any():
        chosen, how = _whole_entities(rows, entity, holdout, random)
    elif dataset.task == "regression":
        chosen, how = _share_of(np.arange(rows.height), rows.height, holdout, random), "rows drawn at random"
    else:
        chosen, how = _stratified(rows, dataset.target, holdout, random), "rows drawn at random, the same share of every class"
    parts = Split(training=rows.filter(~chosen), holdout=rows.filter(chosen), how=how)
    _require_both_sides(parts, dataset)
    return parts


def require_order(frame: pl.DataFrame, time: str) -> None:
    """Refuses a time column by which rows cannot be put in order.

    Raises:
        DatasetUnusable: it holds text, has gaps, or is the same in every row.
    """
    column = frame[time]
    if not (column.dtype.is_temporal() or is_numeric(column.dtype)):
        raise DatasetUnusable(
            f"the time column {time!r} holds {column.dtype} values; expected ISO dates such as 2024-01-31, or numbers",
            hint="Rewrite its values, or leave --time out.",
        )
    if column.null_count():
        raise DatasetUnusable(
            f"the time column {time!r} has no value in {column.null_count()} of {len(column)} rows",
            hint="Fill these values, leave the rows out, or leave --time out.",
        )
    if column.n_unique() == 1:
        raise DatasetUnusable(f"the time column {time!r} is the same in every row", hint="Leave --time out.")


def _latest(rows: pl.DataFrame, time: str, holdout: float) -> tuple[Mask, str]:
    require_order(rows, time)
    moments = rows[time].value_counts().sort(time)
    later = rows.height - moments["count"].cum_sum().to_numpy()[:-1].astype(np.int64)
    last_training = int(np.argmin(np.abs(later / rows.height - holdout)))
    cut = moments[time][last_training]
    chosen = (rows[time] > cut).to_numpy()
    return chosen, f"the latest rows by {time!r}: every row after {cut}"


def _whole_entities(rows: pl.DataFrame, entity: str, holdout: float, random: np.random.Generator) -> tuple[Mask, str]:
    """A row without an entity stands for itself."""
    codes = rows[entity].rank("dense").cast(pl.Int64).fill_null(-1).to_numpy().copy()
    unknown = codes < 0
    codes[unknown] = codes.max() + 1 + np.arange(int(unknown.sum()))
    names, sizes = np.unique(codes, return_counts=True)
    order = random.permutation(len(names))
    needed = int(np.searchsorted(np.cumsum(sizes[order]), holdout * rows.height)) + 1
    chosen = np.isin(codes, names[order[:needed]])
    return chosen, f"whole entities by {entity!r} drawn at random: no entity is on both sides"


def _stratified(rows: pl.DataFrame, target: str, holdout: float, random: np.random.Generator) -> Mask:
    labels = as_text(rows[target])
    chosen = np.zeros(rows.height, dtype=np.bool_)
    for name in sorted(labels.unique()):
        chosen |= _share_of(np.flatnonzero((labels == name).to_numpy()), rows.height, holdout, random)
    return chosen


def _share_of(places: npt.NDArray[np.intp], rows: int, holdout: float, random: np.random.Generator) -> Mask:
    """A mask over `rows` with the share of `places` drawn, at least one and never all where there are two or more."""
    wanted = min(max(round(len(places) * holdout), 1), max(len(places) - 1, 0))
    chosen = np.zeros(rows, dtype=np.bool_)
    chosen[random.permutation(places)[:wanted]] = True
    return chosen


def _require_both_sides(parts: Split, dataset: Dataset) -> None:
    sides = {"training": parts.training, "holdout": parts.holdout}
    empty = [name for name, side in sides.items() if side.is_empty()]
    if empty:
        raise DatasetUnusable(
            f"no rows would be left for the {empty[0]} side ({parts.how})",
            hint="Change `holdout` under [training], or give more rows.",
        )
    if dataset.task == "regression":
        return
    classes = {name: set(as_text(side[dataset.target])) for name, side in sides.items()}
    problems = [
        f"class {missing!r} has no row on the {name} side"
        for name in sides
        for missing in sorted(set.union(*classes.values()) - classes[name])
    ]
    if problems:
        raise DatasetUnusable(
            f"the split would take a class away from one side ({parts.how})",
            problems=problems,
            hint="Merge rare classes, add rows, change `holdout` under [training], or remove `entity` or `time`.",
        )
