"""Brings a training reference and a served window to the same columns and types; called by the drift test and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

from workbench.data.contract import MISSING
from workbench.data.representation import as_text
from workbench.monitoring.windows import PREDICTION

if TYPE_CHECKING:
    from workbench.data.contract import Contract

__all__ = ["Pair", "absent", "align", "converted", "misfit"]

Kind = Literal["number", "category"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One column in both samples: numbers are Float64 with null for missing, categories are String without nulls."""

    name: str
    kind: Kind
    reference: pl.Series
    current: pl.Series


def align(reference: pl.DataFrame, current: pl.DataFrame, contract: Contract) -> tuple[tuple[Pair, ...], Mapping[str, str]]:
    """Pairs up the contract's features, and the model's own `prediction` when both frames hold it.

    Returns:
        The pairs, and for each column that cannot be compared the reason, so that nobody takes it for one that passed.
    """
    kinds: dict[str, Kind] = {column.name: column.kind for column in contract.features}
    if PREDICTION in reference.columns and PREDICTION in current.columns:
        kinds.setdefault(PREDICTION, "number" if reference.schema[PREDICTION].is_numeric() else "category")
    pairs, skipped = [], {}
    for name, kind in kinds.items():
        reason = _reason_to_skip(reference, name, kind, "the reference") or _reason_to_skip(current, name, kind, "the window")
        if reason:
            skipped[name] = reason
            continue
        before, after = converted(reference.get_column(name), kind), converted(current.get_column(name), kind)
        pairs.append(Pair(name=name, kind=kind, reference=before, current=after))
    return tuple(pairs), skipped


def _reason_to_skip(frame: pl.DataFrame, name: str, kind: Kind, place: str) -> str | None:
    if name not in frame.columns:
        return f"absent from {place}"
    reason = misfit(frame.get_column(name), kind)
    return f"{reason} in {place}" if reason else None


def absent(values: pl.Series) -> pl.Series:
    """Which values stand for "no value": null, a number that is not finite, or the contract's own word for missing."""
    if values.dtype.is_float():
        return values.is_null() | ~values.is_finite().fill_null(False)
    if values.dtype == pl.String:
        return values.is_null() | (values == MISSING).fill_null(False)
    return values.is_null()


def misfit(values: pl.Series, kind: Kind) -> str | None:
    """Why values cannot be compared as a kind (none are there, text where numbers belong, the reverse), or None if they can."""
    dtype = values.dtype
    if absent(values).all():
        return "no values"
    if kind == "category":
        if dtype.is_float():
            given = values.filter(~absent(values))
            return None if (given == given.round(0)).all() else "fractional numbers where categories belong"
        fits = dtype in (pl.String, pl.Boolean, pl.Categorical, pl.Enum) or dtype.is_integer()
        return None if fits else f"{dtype} where categories belong"
    if dtype.is_numeric() or dtype == pl.Boolean:
        return None
    if dtype != pl.String:
        return f"{dtype} where numbers belong"
    text = values.cast(pl.Float64, strict=False).null_count() - values.null_count()
    return f"text where numbers belong ({text:,} of {len(values):,} values)" if text else "numbers written as text"


def converted(values: pl.Series, kind: Kind) -> pl.Series:
    """Values that fit their kind, in the one form that every comparison uses."""
    if kind == "number":
        numbers = values.cast(pl.Float64)
        return numbers.zip_with(~absent(numbers), pl.Series([None], dtype=pl.Float64))
    if values.dtype.is_float():
        values = converted(values, "number")
    return as_text(values).fill_null(MISSING)
