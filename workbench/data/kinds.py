"""Decides what one column is to a model: a number, a category, or ignored for a reason in words. Called by `inspection`.

The rules, in order, over the values that are present:

- dates, durations, lists and bytes are ignored: numbers must be derived from them first;
- columns without values, or with one value only, are ignored;
- identifiers are ignored: text of which every row has its own, and whole numbers of which every row has its own if
  the name says identifier, they only rise or fall from row to row, or they count without gaps;
- text is a category, unless it takes more than 50 values that are more than a fifth of the rows, or more than 255;
- booleans are categories;
- whole numbers with at most 12 values, ten rows per value and no negative value are categories;
- every other number is a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import polars as pl

from workbench.data.representation import is_integral, is_numeric

__all__ = ["Kind", "kind_of"]

MOST_TEXTS = 255
FREE_TEXT_VALUES = 50
FREE_TEXT_SHARE = 0.2
MOST_CODES = 12
ROWS_PER_CODE = 10
IDENTIFIER_NAME = re.compile(r"(^|[_\W])(id|ids|uuid|guid|key|index|idx|row|number|no|nr)$|^id[_\W]|[a-z]I[Dd]$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a column is; `reason` says why an ignored column is ignored."""

    kind: Literal["number", "category", "ignored"]
    reason: str = ""


def kind_of(column: pl.Series) -> Kind:
    """The kind of one canonical column."""
    reason = _why_ignored(column)
    if reason:
        return Kind(kind="ignored", reason=reason)
    if column.dtype in (pl.String, pl.Boolean) or _is_coded(column):
        return Kind(kind="category")
    return Kind(kind="number")


def _why_ignored(column: pl.Series) -> str:
    if column.null_count() == len(column):
        return "all values are missing"
    if column.dtype.is_temporal():
        return "a date or time: derive numbers such as month or age from it in 01_prepare"
    if column.dtype not in (pl.String, pl.Boolean) and not is_numeric(column.dtype):
        return f"holds {_plain(column.dtype)}: derive numbers or categories from it in 01_prepare"
    return _why_uninformative(column, different=column.drop_nulls().n_unique())


def _why_uninformative(column: pl.Series, *, different: int) -> str:
    """One value and gaps still tell two kinds of rows apart, where gaps can be a category of their own."""
    gaps_tell = column.null_count() > 0 and (column.dtype in (pl.String, pl.Boolean) or is_integral(column))
    if different == 1 and not gaps_tell:
        return "constant: one value only"
    if _is_identifier(column, different):
        return "an identifier: every row has its own value"
    if column.dtype == pl.String and _is_too_varied(different, len(column)):
        return f"too many different values ({different} in {len(column)} rows)"
    return ""


def _is_identifier(column: pl.Series, different: int) -> bool:
    if different != len(column):
        return False
    if column.dtype == pl.String:
        return True
    if not is_integral(column):
        return False
    values = column.cast(pl.Int64)
    steps = values.diff().drop_nulls()
    one_way = bool((steps > 0).all()) or bool((steps < 0).all())
    lowest, highest = int(values.to_numpy().min()), int(values.to_numpy().max())
    return one_way or highest - lowest + 1 == len(values) or IDENTIFIER_NAME.search(column.name) is not None


def _is_too_varied(different: int, rows: int) -> bool:
    return different > MOST_TEXTS or (different > FREE_TEXT_VALUES and different > FREE_TEXT_SHARE * rows)


def _is_coded(column: pl.Series) -> bool:
    if not is_integral(column):
        return False
    present = column.drop_nulls()
    different = present.n_unique()
    return different <= MOST_CODES and different * ROWS_PER_CODE <= len(present) and bool((present >= 0).all())


def _plain(dtype: pl.DataType) -> str:
    if dtype.is_nested():
        return "lists or structures"
    return "bytes" if dtype == pl.Binary else f"values of type {dtype}"
