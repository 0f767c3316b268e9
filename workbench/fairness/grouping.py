"""Splits the rows of a table into groups of people by the declared sensitive columns. Called by 03_review_fairness."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.data.contract import MISSING
from workbench.errors import BadInput, did_you_mean

__all__ = ["Grouping", "groups_of"]

MOST_DISTINCT_NUMBERS = 12
QUARTILES = (0.25, 0.5, 0.75)
JOIN = " × "
EXACT_INTEGERS = 1e15

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grouping:
    """Every row assigned to one group of one attribute: `labels[codes[i]]` is the group of row i.

    `pooled` names the groups that were too small to stand alone, with their rows; together they are the last label.
    """

    attribute: str
    labels: tuple[str, ...]
    codes: Codes
    pooled: Mapping[str, int]

    @property
    def rows(self) -> Codes:
        """How many rows each label has, in the order of `labels`."""
        return np.bincount(self.codes, minlength=len(self.labels)).astype(np.int64)

    @property
    def label_of_each_row(self) -> list[str]:
        """The label of every row, in the order of the rows; for tables and plots."""
        return [self.labels[code] for code in self.codes.tolist()]

    def __repr__(self) -> str:
        sizes = ", ".join(f"{label}: {rows:,}" for label, rows in zip(self.labels, self.rows.tolist(), strict=True))
        return f"Grouping({self.attribute} — {sizes})"


def groups_of(frame: pl.DataFrame, sensitive: Sequence[str], *, minimum: int, intersections: bool) -> tuple[Grouping, ...]:
    """One grouping for each sensitive column and, when wanted, one for their full intersection.

    A number column with more than 12 distinct values is cut at its quartiles into bands such as 21–28. Missing values are
    a group of their own, "(missing)". Two or more groups below `minimum` rows are pooled as "other small groups (k)".
    No group is dropped: what stays below `minimum` is listed by `assess` as not assessed.

    Args:
        frame: the rows to split, in the order of the predictions that will be assessed.
        sensitive: columns of `frame` that describe people.
        minimum: the fewest rows with which a group stands alone.
        intersections: also split by all sensitive columns at once (needs two or more).

    Raises:
        BadInput: a column is unknown, or holds values that cannot name a group, such as lists.
    """
    names = tuple(dict.fromkeys(sensitive))
    for name in names:
        if name not in frame.columns:
            raise BadInput(f"the sensitive column {name!r} is not in the table", hint=did_you_mean(name, frame.columns))
    parts = [_encoded(frame[name]) for name in names]
    groupings = [_pooled(name, labels, codes, minimum) for name, (labels, codes) in zip(names, parts, strict=True)]
    if intersections and len(names) > 1:
        labels, codes = parts[0]
        for more_labels, more_codes in parts[1:]:
            labels, codes = _crossed(labels, codes, more_labels, more_codes)
        groupings.append(_pooled(JOIN.join(names), labels, codes, minimum))
    return tuple(groupings)


def _encoded(column: pl.Series) -> tuple[list[str], Codes]:
    """The labels of a column in reading order, and each row's position among them."""
    if column.dtype.is_numeric():
        return _encoded_numbers(column.cast(pl.Float64).fill_nan(None))
    try:
        texts = column.cast(pl.String).fill_null(MISSING)
    except pl.exceptions.PolarsError as error:
        raise BadInput(
            f"the sensitive column {column.name!r} holds {column.dtype} values, which cannot name groups",
            hint="Declare a column of text, numbers, truth values or dates.",
        ) from error
    labels = sorted(texts.unique().to_list(), key=_reading_order)
    codes = texts.replace_strict(labels, list(range(len(labels))), return_dtype=pl.Int64) if labels else texts
    return labels, codes.to_numpy().astype(np.int64)


def _reading_order(label: str) -> tuple[int, float, str]:
    """Numbers by size, then words, then the missing."""
    if label == MISSING:
        return 2, 0.0, label
    try:
        number = float(label)
    except ValueError:
        return 1, 0.0, label
    return (0, number, label) if math.isfinite(number) else (1, 0.0, label)


def _encoded_numbers(column: pl.Series) -> tuple[list[str], Codes]:
    known = column.is_not_null().to_numpy()
    values = column.drop_nulls().to_numpy()
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) > MOST_DISTINCT_NUMBERS:
        edges = np.unique(np.quantile(values, QUARTILES, method="inverted_cdf"))
        bands, places = np.unique(np.searchsorted(edges, values), return_inverse=True)
        inside = [values[places == band] for band in range(len(bands))]
        labels = _band_labels([(float(band.min()), float(band.max())) for band in inside])
    else:
        labels = [_exact(value) for value in distinct.tolist()]
    codes = np.full(len(column), len(labels), dtype=np.int64)
    codes[known] = places
    return (labels if known.all() else [*labels, MISSING]), codes


def _exact(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < EXACT_INTEGERS else repr(value)


def _band_labels(bands: list[tuple[float, float]]) -> list[str]:
    """Bands as text with the fewest digits that keep every end apart from its neighbours."""
    joiner = " to " if min(low for low, _ in bands) < 0 else "–"
    ends = sorted({end for band in bands for end in band})
    whole = all(end.is_integer() for end in ends)
    digits = next((d for d in range(3, 17) if len({f"{end:.{d}g}" for end in ends}) == len(ends)), 17)

    def shown(end: float) -> str:
        return _exact(end) if whole else f"{end:.{digits}g}"

    return [shown(low) if low == high else f"{shown(low)}{joiner}{shown(high)}" for low, high in bands]


def _crossed(labels: list[str], codes: Codes, more_labels: list[str], more_codes: Codes) -> tuple[list[str], Codes]:
    present, places = np.unique(codes * max(1, len(more_labels)) + more_codes, return_inverse=True)
    pairs = (divmod(pair, len(more_labels)) for pair in present.tolist())
    return [f"{labels[first]}{JOIN}{more_labels[second]}" for first, second in pairs], places.astype(np.int64)


def _pooled(attribute: str, labels: list[str], codes: Codes, minimum: int) -> Grouping:
    """Pools the small groups, when there are at least two: a single one keeps its own, more telling, name."""
    rows = np.bincount(codes, minlength=len(labels))
    small = rows < minimum
    if small.sum() <= 1:
        return Grouping(attribute=attribute, labels=tuple(labels), codes=codes, pooled={})
    kept = [label for label, alone in zip(labels, ~small, strict=True) if alone]
    place = np.where(small, len(kept), np.cumsum(~small) - 1)
    pooled = {label: int(count) for label, count, part in zip(labels, rows, small, strict=True) if part}
    return Grouping(
        attribute=attribute,
        labels=(*kept, f"other small groups ({len(pooled)})"),
        codes=place[codes].astype(np.int64),
        pooled=pooled,
    )
