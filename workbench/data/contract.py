"""The data contract: what each column of the data must look like. Checked at prepare, compiled into the served model's schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from workbench.data.representation import MISSING, as_text, canonical, is_integral, is_numeric, require_columns
from workbench.errors import DatasetUnusable, did_you_mean
from workbench.project import Dataset

__all__ = ["MISSING", "Column", "Contract", "SourceType", "infer_contract"]

BINARY = 2

SourceType = Literal["integer", "float", "string", "boolean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One feature column: its kind, the type its values had in the source, and the range or categories seen there.

    `categories` are sorted texts and never hold `MISSING`: whether values may be missing says `nullable`.
    """

    name: str
    kind: Literal["number", "category"]
    source_type: SourceType
    nullable: bool
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The features in the order the model sees them, and the target: its task and, for classification, its classes as text.

    `ignored` names columns that may accompany the features without being learned from; any other column is unexpected.
    """

    features: tuple[Column, ...]
    target: str
    task: Literal["binary", "multiclass", "regression"]
    classes: tuple[str, ...] = ()
    positive: str | None = None
    ignored: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The feature names, in order."""
        return tuple(column.name for column in self.features)

    def of_kind(self, kind: Literal["number", "category"]) -> list[str]:
        """The names of the features of one kind."""
        return [column.name for column in self.features if column.kind == kind]


def infer_contract(frame: pl.DataFrame, dataset: Dataset) -> Contract:
    """The contract that these rows meet, for the columns that the project lists.

    Raises:
        DatasetUnusable: a listed column does not exist, cannot be what it is listed as, or the target does not fit the task.
    """
    frame = canonical(frame)
    columns = dataset.columns
    listed = [("number", name) for name in columns.number] + [("category", name) for name in columns.category]
    require_columns(frame, [("target", dataset.target), *listed])
    features = (
        *(_number(frame[name]) for name in columns.number),
        *(_category(frame[name]) for name in columns.category),
    )
    beside = [*columns.ignored, dataset.entity, dataset.time, *dataset.sensitive]
    return Contract(
        features=features,
        target=dataset.target,
        task=dataset.task,
        classes=_classes(frame[dataset.target], dataset),
        positive=dataset.positive if dataset.task == "binary" else None,
        ignored=tuple(dict.fromkeys(name for name in beside if name is not None and name not in columns.features)),
    )


def _number(column: pl.Series) -> Column:
    if not (is_numeric(column.dtype) or column.dtype == pl.Boolean or column.null_count() == len(column)):
        raise DatasetUnusable(
            f"{column.name!r} is listed as number, but holds {column.dtype} values",
            hint="Move it to `category` or `ignored` under [dataset.columns].",
        )
    values = column.cast(pl.Float64).drop_nulls()
    finite = values.filter(values.is_finite()).to_numpy()
    source: dict[pl.DataType, SourceType] = {pl.Int64(): "integer", pl.Boolean(): "boolean"}
    return Column(
        name=column.name,
        kind="number",
        source_type=source.get(column.dtype, "float"),
        nullable=column.null_count() > 0,
        minimum=float(finite.min()) if finite.size else None,
        maximum=float(finite.max()) if finite.size else None,
    )


def _category(column: pl.Series) -> Column:
    types: dict[pl.DataType, SourceType] = {pl.String(): "string", pl.Boolean(): "boolean", pl.Null(): "string"}
    source_type: SourceType | None = "integer" if is_integral(column) else types.get(column.dtype)
    if source_type is None:
        raise DatasetUnusable(
            f"{column.name!r} is listed as category, but holds {column.dtype} values",
            hint="Move it to `number` or `ignored` under [dataset.columns].",
        )
    return Column(
        name=column.name,
        kind="category",
        source_type=source_type,
        nullable=column.null_count() > 0,
        categories=tuple(sorted(as_text(column.drop_nulls()).unique())),
    )


def _classes(target: pl.Series, dataset: Dataset) -> tuple[str, ...]:
    if dataset.task == "regression":
        if not is_numeric(target.dtype):
            raise DatasetUnusable(
                f"the target {target.name!r} holds {target.dtype} values; regression needs numbers",
                hint="Change `task` under [dataset], or name another target.",
            )
        return ()
    classes = tuple(sorted(as_text(target.drop_nulls()).unique()))
    task = "binary" if len(classes) == BINARY else "multiclass"
    if dataset.task != task or len(classes) < BINARY:
        raise DatasetUnusable(
            f"the target {target.name!r} has {len(classes)} classes, which is not a {dataset.task} task",
            hint="Change `task` under [dataset] or the rows of the data.",
        )
    if dataset.task == "binary" and dataset.positive not in classes:
        raise DatasetUnusable(
            f"`positive` is {dataset.positive!r}, which is not a class of {target.name!r}",
            hint=did_you_mean(str(dataset.positive), classes),
        )
    return classes
