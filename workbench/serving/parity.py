"""Proves that an ONNX graph predicts what the pipeline predicts, on real rows and on rows made awkward; used by packaging."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from workbench.data.contract import MISSING, Contract
from workbench.errors import PackagingFailed
from workbench.serving.scorer.model import input_names

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

__all__ = ["LIMIT", "Case", "Parity", "prove_parity"]

LIMIT = 1e-5
"""The largest allowed difference: of a probability, or of a regression value in standard deviations of the predictions."""

ROUNDED_ROWS = 1e-3
"""The largest allowed share of rows whose prediction float32 input moves by more than `LIMIT`; no label may change."""

SAMPLE = 200
UNSEEN = "a category nobody saw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One set of rows given to both: how many, the largest difference, and how many labels differ."""

    name: str
    rows: int
    largest_difference: float
    label_flips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """The verdict over all cases. Differences of regression values are in standard deviations of the predictions.

    ONNX takes numbers as float32. The cases give both sides the rounded numbers, so they judge the conversion alone;
    `rounding_moved` and `rounding_flips` count holdout rows that the rounding itself changes.
    """

    rows: int
    largest_difference: float
    label_flips: int
    rounding_moved: int
    rounding_flips: int
    passed: bool
    limit: float
    cases: tuple[Case, ...]

    def as_json(self) -> dict[str, Any]:
        """The proof as plain values, as it is stored beside the model."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Parity:
        """The proof as it was stored."""
        return cls(**{**stored, "cases": tuple(Case(**case) for case in stored["cases"])})


@dataclass(frozen=True, slots=True)
class _Answers:
    """Labels (classification only) and the numbers to compare, one line per row."""

    labels: NDArray[Any] | None
    numbers: NDArray[np.float64]


_Model = Callable[[pl.DataFrame], _Answers]


def prove_parity(pipeline: Pipeline, onnx_bytes: bytes, contract: Contract, holdout: pl.DataFrame) -> Parity:
    """Compares a pipeline with its ONNX graph on the holdout, unseen categories and missing values.

    Passed means: on every case all labels are equal and no number differs by more than `LIMIT`, and rounding the inputs to
    float32 changes no label of the holdout and moves at most one row in a thousand.

    Args:
        pipeline: The fitted pipeline, the reference.
        onnx_bytes: What `conversion.to_onnx` made of it.
        contract: The columns both read.
        holdout: Feature rows that were not trained on.

    Raises:
        PackagingFailed: there is nothing to compare on, or either side cannot answer.
    """
    if holdout.is_empty():
        raise PackagingFailed("the holdout has no rows to prove parity on", hint="Give at least one row that was not trained on.")
    features = holdout.select(contract.names)
    try:
        with threadpool_limits(limits=1):  # many small predictions: threads would mostly wait for each other
            return _measured(_reference(pipeline, contract), _converted(onnx_bytes, contract), contract, features)
    except Exception as error:  # either runtime raises what it likes; each means the graph cannot take the model's place
        raise PackagingFailed(
            f"parity cannot be measured: {type(error).__name__}: {error}", hint="The model can still be packaged as skops."
        ) from error


def _measured(reference: _Model, converted: _Model, contract: Contract, features: pl.DataFrame) -> Parity:
    plain = reference(features)
    scale = _spread(plain.numbers) if contract.task == "regression" else 1.0
    cases = tuple(
        _compare(name, reference(rows), converted(rows), scale)
        for name, rows in _cases(_rounded(features, contract), contract, reference)
    )
    return _verdict(cases, _differences(plain, converted(features), scale))


def _verdict(cases: tuple[Case, ...], rounded: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> Parity:
    differences, flipped = rounded
    largest = max(case.largest_difference for case in cases)
    flips = sum(case.label_flips for case in cases)
    moved, rounding_flips = int((differences > LIMIT).sum()), int(flipped.sum())
    return Parity(
        rows=sum(case.rows for case in cases),
        largest_difference=largest,
        label_flips=flips,
        rounding_moved=moved,
        rounding_flips=rounding_flips,
        passed=largest <= LIMIT and flips == 0 and rounding_flips == 0 and moved <= ROUNDED_ROWS * len(differences),
        limit=LIMIT,
        cases=cases,
    )


def _spread(values: NDArray[np.float64]) -> float:
    """The standard deviation of predictions; of predictions that are all equal, their size."""
    return float(np.std(values)) or float(np.abs(values).max()) or 1.0


def _rounded(features: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    numbers = contract.of_kind("number")
    return features.with_columns(pl.col(numbers).cast(pl.Float32).cast(pl.Float64)) if numbers else features


def _cases(features: pl.DataFrame, contract: Contract, reference: _Model) -> Iterator[tuple[str, pl.DataFrame]]:
    """The holdout as it is, then a sample of it with each column, and all columns, made unseen or missing."""
    yield "holdout", features
    sample = features.head(SAMPLE)
    categories = contract.of_kind("category")
    for text, what in ((UNSEEN, "unseen"), (MISSING, "missing")):
        for name, columns in _one_by_one_and_all(categories):
            yield f"{what}: {name}", sample.with_columns(pl.lit(text).alias(column) for column in columns)
    for name, columns in _one_by_one_and_all(_may_be_null(sample, contract, reference)):
        yield f"null: {name}", sample.with_columns(pl.lit(None, dtype=pl.Float64).alias(column) for column in columns)


def _one_by_one_and_all(columns: list[str]) -> Iterator[tuple[str, list[str]]]:
    yield from ((column, [column]) for column in columns)
    if len(columns) > 1:
        yield "all", columns


def _may_be_null(sample: pl.DataFrame, contract: Contract, reference: _Model) -> list[str]:
    """Every number column if the pipeline itself takes nulls, else those where a request may carry one."""
    numbers = contract.of_kind("number")
    try:
        reference(sample.head(1).with_columns(pl.lit(None, dtype=pl.Float64).alias(column) for column in numbers))
    except ValueError:
        return [column.name for column in contract.features if column.kind == "number" and column.nullable]
    return numbers


def _reference(pipeline: Pipeline, contract: Contract) -> _Model:
    def answer(rows: pl.DataFrame) -> _Answers:
        frame = rows.to_pandas()
        if contract.task == "regression":
            return _Answers(None, np.asarray(pipeline.predict(frame), dtype=np.float64).reshape(-1, 1))
        return _Answers(np.asarray(pipeline.predict(frame)), np.asarray(pipeline.predict_proba(frame), dtype=np.float64))

    return answer


def _converted(onnx_bytes: bytes, contract: Contract) -> _Model:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # it would print what the exception says anyway
    session = onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])

    def answer(rows: pl.DataFrame) -> _Answers:
        feeds = {
            given: rows[column.name].cast(pl.Float32).fill_null(float("nan")).to_numpy().reshape(-1, 1)
            if column.kind == "number"
            else rows[column.name].to_numpy().astype(object).reshape(-1, 1)
            for given, column in zip(input_names(len(contract.features)), contract.features, strict=True)
        }
        if contract.task == "regression":
            return _Answers(None, np.asarray(session.run(["value"], feeds)[0], dtype=np.float64).reshape(-1, 1))
        labels, probabilities = session.run(["label", "probabilities"], feeds)
        return _Answers(np.asarray(labels), np.asarray(probabilities, dtype=np.float64))

    return answer


def _compare(name: str, expected: _Answers, given: _Answers, scale: float) -> Case:
    differences, flipped = _differences(expected, given, scale)
    return Case(name=name, rows=len(differences), largest_difference=float(differences.max()), label_flips=int(flipped.sum()))


def _differences(expected: _Answers, given: _Answers, scale: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Per row: the largest difference of its numbers, and whether its label differs. A number on one side only is infinite."""
    if expected.numbers.shape != given.numbers.shape:
        raise ValueError(f"{given.numbers.shape[1]} outputs per row, expected {expected.numbers.shape[1]}")
    differences = np.abs(expected.numbers - given.numbers) / scale
    both_undefined = np.isnan(expected.numbers) & np.isnan(given.numbers)
    differences = np.where(both_undefined, 0.0, np.nan_to_num(differences, nan=np.inf)).max(axis=1)
    if expected.labels is None or given.labels is None:
        return differences, np.zeros(len(differences), dtype=bool)
    return differences, np.asarray(expected.labels.astype(str) != given.labels.astype(str))
