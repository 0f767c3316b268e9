"""A small model with a column of every sort, packaged and served for real."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from workbench.data.contract import MISSING, Column, Contract
from workbench.serving.formats import write_model
from workbench.serving.packaging import Package, package
from workbench.serving.server import serving
from workbench.serving.signing import Key
from workbench.training.preprocessing import preprocessing

MAX_ROWS = 50
MAX_BODY = 20_000
MADE = "2026-03-01T12:00:00.000000+00:00"


@dataclass(frozen=True)
class Running:
    """A served bento: where it answers and what it should answer."""

    url: str
    package: Package
    pipeline: Pipeline
    rows: pl.DataFrame
    predictions: Path
    log: Path


@pytest.fixture
def free_port() -> int:
    """A port nobody listens on."""
    return unused_port()


def unused_port() -> int:
    """A port nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def small_model() -> tuple[Pipeline, Contract, pl.DataFrame]:
    """A fitted pipeline on 300 invented rows: numbers and categories, nullable and not, of each source type."""
    random = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "age": random.integers(20, 70, 300).astype(float),
            "limit bal": np.where(random.random(300) < 0.1, np.nan, random.normal(1000, 200, 300)),
            "SEX": random.choice(["1", "2"], 300),
            "copy": random.choice(["a", "b", MISSING], 300),
            "_own": random.choice(["true", "false"], 300),
        }
    ).with_columns(pl.col("limit bal").fill_nan(None))
    contract = Contract(
        features=(
            Column(name="age", kind="number", source_type="integer", nullable=False, minimum=20.0, maximum=69.0),
            Column(name="limit bal", kind="number", source_type="float", nullable=True, minimum=0.0, maximum=2000.0),
            Column(name="SEX", kind="category", source_type="integer", nullable=False, categories=("1", "2")),
            Column(name="copy", kind="category", source_type="string", nullable=True, categories=("a", "b")),
            Column(name="_own", kind="category", source_type="boolean", nullable=False, categories=("false", "true")),
        ),
        target="default",
        task="binary",
        classes=("no", "yes"),
        positive="yes",
    )
    chance = 1 / (1 + np.exp((rows["age"].to_numpy() - 45) / 10))
    labels = np.where(random.random(300) < chance, "yes", "no")
    pipeline = Pipeline([("columns", preprocessing(contract, "linear")), ("model", LogisticRegression())])
    pipeline.fit(rows.to_pandas(), labels)
    return pipeline, contract, rows


@pytest.fixture(scope="session")
def small_package(small_model, signing_key: Key, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The small model as a built bento."""
    pipeline, contract, rows = small_model
    folder = tmp_path_factory.mktemp("package")
    write_model(pipeline, folder / "model.skops")
    return package(
        model_path=folder / "model.skops",
        contract=contract,
        holdout=rows,
        name="small",
        version="v1",
        max_rows=MAX_ROWS,
        max_body_bytes=MAX_BODY,
        labels={},
        made=MADE,
        key=signing_key,
        build_folder=folder,
    )


@pytest.fixture(scope="session")
def running(small_model, small_package: Package, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The small bento, served until the tests end."""
    folder = tmp_path_factory.mktemp("served")
    predictions, log = folder / "predictions", folder / "serve.log"
    with serving(small_package.tag, port=unused_port(), predictions=predictions, log=log) as server:
        yield Running(
            url=server.url, package=small_package, pipeline=small_model[0], rows=small_model[2], predictions=predictions, log=log
        )
