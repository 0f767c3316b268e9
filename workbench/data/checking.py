"""Checks rows against the data contract and says what is wrong, without flooding anyone. Called in 01_prepare."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from workbench.data.contract import Column, Contract
from workbench.data.normalising import dtype_of, settled, target_column
from workbench.data.representation import as_text, canonical
from workbench.errors import ContractViolated, bounded

if TYPE_CHECKING:
    from pandera.errors import SchemaError
    from pandera.polars import PolarsData

__all__ = ["CheckName", "ContractReport", "Failure", "check"]

CheckName = Literal["missing_column", "unexpected_column", "type", "empty", "null", "infinite", "unseen_category", "range"]
MOST_EXAMPLES = 5

_SENTENCES: dict[CheckName, str] = {
    "missing_column": "the column is missing",
    "unexpected_column": "listed nowhere in workbench.toml",
    "type": "values of another type than agreed",
    "empty": "no row has a value",
    "null": "values are missing in {rows}",
    "infinite": "infinite numbers in {rows}",
    "unseen_category": "values that the contract does not know in {rows}",
    "range": "values outside the known range in {rows}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One broken promise: the column, the check, how many rows break it, and a few of their values (of a type: its name).

    `examples` is empty for sensitive columns.
    """

    column: str
    check: CheckName
    rows: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        counted = f"{self.rows} row{'' if self.rows == 1 else 's'}"
        shown = f" (such as {', '.join(self.examples)})" if self.examples else ""
        return f"{self.column}: {_SENTENCES[self.check].format(rows=counted)}{shown}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractReport:
    """How many rows were checked, and every way in which they break the contract, in the order of its columns."""

    rows: int
    failures: tuple[Failure, ...]

    @property
    def passed(self) -> bool:
        """Whether the rows keep the contract."""
        return not self.failures

    def raise_if_failed(self) -> None:
        """Stops where rows break the contract.

        Raises:
            ContractViolated: with one line per failure.
        """
        if self.failures:
            raise ContractViolated(
                f"{self.rows} rows break the data contract in {len(self.failures)} way{'' if len(self.failures) == 1 else 's'}",
                problems=[str(failure) for failure in self.failures],
                hint="Mend the data where it is made, or change what workbench.toml says about these columns.",
            )


def check(frame: pl.DataFrame, contract: Contract, *, ranges: bool = True, sensitive: Collection[str] = ()) -> ContractReport:
    """Compares rows, as they were read, with the contract.

    Columns without any value are reported as `empty`, whatever their type. The target is checked only where it is there.

    Args:
        frame: the rows; pandera judges values on eager frames only, so no lazy frame is taken.
        contract: what was agreed.
        ranges: whether a number outside the range seen at training counts as a failure.
        sensitive: columns whose values must not be shown.
    """
    from pandera.errors import SchemaErrors  # takes a second, and most who import this package never check

    frame = canonical(frame)
    columns = [*contract.features, *([target_column(contract)] if contract.target in frame.columns else [])]
    judged = _comparable(frame, columns, contract)
    try:
        _schema(judged, columns, ranges=ranges).validate(judged, lazy=True)
    except SchemaErrors as errors:
        found = [_failure(error, judged) for error in errors.schema_errors]
    else:
        found = []
    order = {name: place for place, name in enumerate((*(column.name for column in columns), *frame.columns))}
    shown = [_without_values(failure) if failure.column in sensitive else failure for failure in found]
    return ContractReport(
        rows=frame.height, failures=tuple(sorted(shown, key=lambda failure: (order[failure.column], failure.check)))
    )


def _comparable(frame: pl.DataFrame, columns: list[Column], contract: Contract) -> pl.DataFrame:
    """The frame without its ignored columns, each column in the contract's type where it has one of that kind."""
    wanted = {column.name: column for column in columns}
    ready = []
    for name in frame.columns:
        values = frame[name]
        if name == contract.target and contract.task != "regression" and not values.dtype.is_nested():
            values = as_text(values) if values.dtype != pl.Null else values
        if name in wanted:
            same = settled(values, wanted[name])
            ready.append(values if same is None else same)
        elif name not in contract.ignored and name != contract.target:
            ready.append(values)
    return pl.DataFrame(ready)


def _schema(frame: pl.DataFrame, columns: list[Column], *, ranges: bool) -> Any:
    import pandera.polars as pandera  # see check

    def promised(column: Column) -> Any:
        wanted = dtype_of(column)
        if column.name not in frame.columns or frame.schema[column.name] != wanted:
            return pandera.Column(wanted, nullable=True)
        empty = frame.height > 0 and frame[column.name].null_count() == frame.height
        checks = [pandera.Check(test, name=name) for name, test in _tests(column, ranges=ranges)]
        return pandera.Column(wanted, checks, nullable=column.nullable and not empty)

    return pandera.DataFrameSchema({column.name: promised(column) for column in columns}, strict=True)


def _tests(column: Column, *, ranges: bool) -> Iterator[tuple[CheckName, Any]]:
    """The checks on a column's values; nulls are not theirs to judge."""

    def test(holds: pl.Expr) -> Any:
        def judge(data: PolarsData) -> pl.LazyFrame:
            return data.lazyframe.select(holds.fill_null(True))

        return judge

    value = pl.col(column.name)
    if column.kind == "category":
        if column.source_type != "boolean":
            yield "unseen_category", test(value.cast(pl.String).is_in(list(column.categories)))
    elif column.source_type != "boolean":
        yield "infinite", test(value.is_finite())
        if ranges and column.minimum is not None and column.maximum is not None:
            yield "range", test(value.is_between(column.minimum, column.maximum) | value.is_infinite())


def _failure(error: SchemaError, frame: pl.DataFrame) -> Failure:
    """Translates one of pandera's errors, which name a column in three different places."""
    reason = error.reason_code.name if error.reason_code is not None else ""
    cases = error.failure_cases
    if reason == "COLUMN_NOT_IN_DATAFRAME":
        return Failure(column=str(cases), check="missing_column", rows=frame.height)
    if reason == "COLUMN_NOT_IN_SCHEMA":
        return Failure(column=str(cases), check="unexpected_column", rows=frame.height)
    column = str(error.schema.name)
    if reason == "WRONG_DATATYPE":
        return Failure(column=column, check="type", rows=frame.height, examples=(str(frame.schema[column]),))
    if reason == "SERIES_CONTAINS_NULLS":
        missing = frame[column].null_count()
        return Failure(column=column, check="empty" if missing == frame.height else "null", rows=missing)
    broken = cases[column]
    examples = tuple(bounded(value, 40) for value in broken.unique(maintain_order=True).head(MOST_EXAMPLES))
    return Failure(column=column, check=error.check.name, rows=len(broken), examples=examples)


def _without_values(failure: Failure) -> Failure:
    return Failure(column=failure.column, check=failure.check, rows=failure.rows)
