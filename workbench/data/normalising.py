"""Turns rows that met the contract into the feature frame every model sees. Called in 01_prepare."""

from __future__ import annotations

import polars as pl

from workbench.data.contract import Column, Contract
from workbench.data.representation import MISSING, as_text, canonical, is_integral, is_numeric
from workbench.errors import ContractViolated

__all__ = ["dtype_of", "normalise", "settled", "target_column"]


def normalise(frame: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """The feature columns in the contract's order, and the target where the frame has it.

    Numbers become Float64 (missing: null), categories and classes String (missing category: `MISSING`; 1 is "1", true is
    "true"). Rows without a target are dropped, where the frame has the target at all. Values are not judged: `check` does.

    Raises:
        ContractViolated: a feature column is missing or of another type.
    """
    frame = canonical(frame)
    missing = [name for name in contract.names if name not in frame.columns]
    if missing:
        raise ContractViolated(
            f"{len(missing)} of {len(contract.names)} feature columns are missing",
            problems=missing,
            hint="Give every column of the contract; values may be missing, columns may not.",
        )
    ready = [_model_column(frame[column.name], column) for column in contract.features]
    if contract.target not in frame.columns:
        return pl.DataFrame(ready)
    target = frame[contract.target]
    label = as_text(target) if contract.task != "regression" else _model_column(target, target_column(contract))
    return pl.DataFrame([*ready, label]).filter(pl.col(contract.target).is_not_null())


def _model_column(values: pl.Series, column: Column) -> pl.Series:
    same = settled(values, column)
    if same is None:
        raise ContractViolated(
            f"{column.name!r} holds {values.dtype} values; expected {column.source_type} values",
            hint="Mend the column where the data is made; its type changed.",
        )
    return same.cast(pl.Float64) if column.kind == "number" else as_text(same).fill_null(MISSING)


def target_column(contract: Contract) -> Column:
    """The target as a column of the contract: a number or the known classes; a row without a target breaks nothing."""
    if contract.task == "regression":
        return Column(name=contract.target, kind="number", source_type="float", nullable=True)
    return Column(name=contract.target, kind="category", source_type="string", nullable=True, categories=contract.classes)


def settled(values: pl.Series, column: Column) -> pl.Series | None:
    """Canonical values in the type the contract names, or None where they are of another type.

    A column without any value fits every type. Whole numbers and fractions are both numbers; a category of whole numbers
    may arrive as floats, as gaps make it.
    """
    wanted = dtype_of(column)
    if values.null_count() == len(values):
        return pl.repeat(None, len(values), dtype=wanted, eager=True).alias(values.name)
    if values.dtype == wanted:
        return values
    if wanted == pl.Float64 and is_numeric(values.dtype):
        return values.cast(pl.Float64)
    if wanted == pl.Int64 and is_integral(values):
        return values.cast(pl.Int64)
    return None


def dtype_of(column: Column) -> pl.DataType:
    """The type in which a column's settled values are held."""
    if column.source_type == "boolean":
        return pl.Boolean()
    if column.kind == "number":
        return pl.Float64()
    return pl.Int64() if column.source_type == "integer" else pl.String()
