"""One way to hold values, whatever file they came from: integers, floats, booleans, texts, dates. Used by all of `data`."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from workbench.errors import DatasetUnusable, did_you_mean

__all__ = ["MISSING", "as_text", "canonical", "is_integral", "is_numeric", "require_columns"]

MISSING = "(missing)"
"""The category that stands for "no value", so that no category column ever holds a null."""


def canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows with Int64, Float64, String, Boolean and date columns only; "not a number" becomes null.

    Types that no table model can use (lists, structs, bytes, durations) are left as they are, for `inspect` to name.
    """
    return frame.with_columns(_canonical(frame[name]) for name in frame.columns)


def _canonical(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if dtype.is_integer() and dtype != pl.Int64:
        exact = column.cast(pl.Int64, strict=False)
        return exact if exact.null_count() == column.null_count() else column.cast(pl.Float64)
    if dtype.is_float() or dtype.is_decimal():
        return column.cast(pl.Float64).fill_nan(None)
    if dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    return column


def is_numeric(dtype: pl.DataType) -> bool:
    """Whether a canonical column holds integers or floats."""
    return dtype in (pl.Int64, pl.Float64)


def is_integral(column: pl.Series) -> bool:
    """Whether a canonical column holds whole numbers, also when gaps in the source turned them into floats."""
    if column.dtype == pl.Float64:
        present = column.drop_nulls()
        return len(present) > 0 and bool((present.is_finite() & (present == present.floor())).all())
    return column.dtype == pl.Int64


def as_text(column: pl.Series) -> pl.Series:
    """Values as category or class names: 1 and 1.0 are both "1", booleans "true" and "false"; null stays null."""
    if column.dtype != pl.Float64:
        return column.cast(pl.String)
    value = pl.col(column.name)
    whole = value.cast(pl.Int64, strict=False).cast(pl.String)
    text = pl.when(value == value.floor()).then(whole).otherwise(value.cast(pl.String))
    return column.to_frame().select(text).to_series()


def require_columns(frame: pl.DataFrame, roles: Iterable[tuple[str, str | None]]) -> None:
    """Refuses a table that lacks a column it is asked for; `roles` pairs what a column is with its name.

    Raises:
        DatasetUnusable: naming the first missing column and the closest one that exists.
    """
    for role, name in roles:
        if name is not None and name not in frame.columns:
            raise DatasetUnusable(
                f"the {role} column {name!r} is not among the {frame.width} columns of the data",
                hint=did_you_mean(name, frame.columns),
            )
