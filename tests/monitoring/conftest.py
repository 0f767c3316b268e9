"""The credit data as a frame of features, its contract, and a prediction log written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import workbench
from workbench.data.contract import Column, Contract

CATEGORIES = ("SEX", "EDUCATION", "MARRIAGE")
START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def credit() -> pl.DataFrame:
    source = Path(workbench.__file__).parent / "data" / "examples" / "credit" / "credit_default.parquet"
    features = pl.read_parquet(source).drop("ID", "default_next_month")
    return features.select(pl.exclude(CATEGORIES).cast(pl.Float64), pl.col(CATEGORIES).cast(pl.String))


@pytest.fixture(scope="session")
def contract(credit: pl.DataFrame) -> Contract:
    def column(values: pl.Series) -> Column:
        if values.dtype == pl.String:
            seen = tuple(values.unique().sort())
            return Column(name=values.name, kind="category", source_type="integer", nullable=False, categories=seen)
        low, high = values.to_numpy().min(), values.to_numpy().max()
        return Column(name=values.name, kind="number", source_type="integer", nullable=True, minimum=low, maximum=high)

    return Contract(
        features=tuple(column(values) for values in credit),
        target="default_next_month",
        task="binary",
        classes=("0", "1"),
        positive="1",
        ignored=("ID",),
    )


@pytest.fixture
def line() -> Callable[..., str]:
    def write(second: int, features: Mapping[str, Any], **changes: Any) -> str:
        fields = {
            "at": (START + timedelta(seconds=second)).isoformat(timespec="milliseconds"),
            "request_id": f"request-{second}",
            "row": 0,
            "model": "credit:v1",
            "digest": "d1",
            "features": features,
            "prediction": "0",
            "probabilities": {"0": 0.75, "1": 0.25},
        }
        return json.dumps(fields | changes) + "\n"

    return write


@pytest.fixture
def write_log(tmp_path: Path) -> Callable[[Mapping[str, Sequence[str]]], Path]:
    def write(files: Mapping[str, Sequence[str]]) -> Path:
        folder = tmp_path / "predictions"
        for name, lines in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("".join(lines), encoding="utf-8")
        return folder

    return write
