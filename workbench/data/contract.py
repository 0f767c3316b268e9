"""The data contract: what each column of a dataset must look like. Checked at prepare, compiled into the served model's schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["MISSING", "Column", "Contract"]

MISSING = "(missing)"
"""The category that stands for "no value", so that no category column ever holds a null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One feature column: its kind, the type its values had in the source, and the range or categories seen there."""

    name: str
    kind: Literal["number", "category"]
    source_type: Literal["integer", "float", "string", "boolean"]
    nullable: bool
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The features in the order the model sees them, and the target: its task and, for classification, its classes as text."""

    features: tuple[Column, ...]
    target: str
    task: Literal["binary", "multiclass", "regression"]
    classes: tuple[str, ...] = ()
    positive: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The feature names, in order."""
        return tuple(column.name for column in self.features)

    def of_kind(self, kind: Literal["number", "category"]) -> list[str]:
        """The names of the features of one kind."""
        return [column.name for column in self.features if column.kind == kind]
