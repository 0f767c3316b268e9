"""Small fitted pipelines on the credit example, shared by the tests of serving."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from workbench.data.contract import Column, Contract
from workbench.training.network import NetworkClassifier, NetworkRegressor
from workbench.training.preprocessing import Family, preprocessing

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

CREDIT = Path(__file__).parents[2] / "workbench" / "data" / "examples" / "credit" / "credit_default.parquet"
CATEGORIES = ["SEX", "EDUCATION", "MARRIAGE"]
NUMBERS = ["LIMIT_BAL", "AGE", "PAY_1", "PAY_2", "BILL_AMT1", "PAY_AMT1"]


@dataclass(frozen=True)
class Fitted:
    """A fitted pipeline with what it was fitted for, and rows it has not seen."""

    pipeline: Pipeline
    contract: Contract
    holdout: pl.DataFrame


@pytest.fixture(scope="session")
def credit() -> pl.DataFrame:
    """2,000 rows as prepare hands them over, with a number target and a three-class target besides the real one."""
    rows = pl.read_parquet(CREDIT).sample(2000, seed=0)
    features = [pl.col(name).cast(pl.Float64) for name in NUMBERS] + [pl.col(name).cast(pl.String) for name in CATEGORIES]
    quarter = (pl.col("PAY_1") > 0).cast(pl.Int64) + (pl.col("LIMIT_BAL") > 150_000).cast(pl.Int64)
    return rows.select(
        *features,
        default=pl.col("default_next_month").cast(pl.String),
        level=pl.concat_str(pl.lit("level "), quarter.cast(pl.String)),
        paid=(pl.col("PAY_AMT2") + 0.3 * pl.col("BILL_AMT2")).cast(pl.Float64),
    )


def contract_for(rows: pl.DataFrame, target: str) -> Contract:
    """The contract of the credit columns for one of the targets."""
    numbers = [
        Column(
            name=name,
            kind="number",
            source_type="integer",
            nullable=name == "AGE",
            minimum=rows[name].min(),
            maximum=rows[name].max(),
        )
        for name in NUMBERS
    ]
    categories = [
        Column(
            name=name,
            kind="category",
            source_type="integer",
            nullable=name == "MARRIAGE",
            categories=tuple(sorted(rows[name].unique())),
        )
        for name in CATEGORIES
    ]
    features = (*numbers, *categories)
    if target == "paid":
        return Contract(features=features, target=target, task="regression")
    classes = tuple(sorted(rows[target].unique()))
    task, positive = ("binary", classes[-1]) if len(classes) == 2 else ("multiclass", None)
    return Contract(features=features, target=target, task=task, classes=classes, positive=positive)


def fit(rows: pl.DataFrame, target: str, family: Family, estimator: BaseEstimator) -> Fitted:
    """A pipeline fitted on three quarters of the rows."""
    contract = contract_for(rows, target)
    train, holdout = rows[:1500], rows[1500:]
    pipeline = Pipeline([("columns", preprocessing(contract, family)), ("model", estimator)])
    pipeline.fit(train.select(contract.names).to_pandas(), train[target].to_numpy())
    return Fitted(pipeline, contract, holdout.select(contract.names))


KINDS = {
    "linear binary": ("default", "linear", lambda: LogisticRegression(max_iter=500)),
    "linear multiclass": ("level", "linear", lambda: LogisticRegression(max_iter=500)),
    "linear regression": ("paid", "linear", Ridge),
    "boosted binary": ("default", "tree", lambda: HistGradientBoostingClassifier(max_iter=20)),
    "boosted multiclass": ("level", "tree", lambda: HistGradientBoostingClassifier(max_iter=10)),
    "boosted regression": ("paid", "tree", lambda: HistGradientBoostingRegressor(max_iter=20)),
    "network binary": ("default", "network", lambda: NetworkClassifier(hidden=(8,), epochs=3)),
    "network multiclass": ("level", "network", lambda: NetworkClassifier(hidden=(8,), epochs=3)),
    "network regression": ("paid", "network", lambda: NetworkRegressor(hidden=(8,), epochs=3)),
}


@pytest.fixture(scope="session")
def fitted(credit: pl.DataFrame):
    """Gives the fitted pipeline of a kind, fitting it once."""
    known: dict[str, Fitted] = {}

    def get(kind: str) -> Fitted:
        if kind not in known:
            target, family, estimator = KINDS[kind]
            known[kind] = fit(credit, target, family, estimator())
        return known[kind]

    return get


@pytest.fixture(scope="session")
def wrong_in_onnx(credit: pl.DataFrame) -> Fitted:
    """HistGradientBoosting with categorical features: it converts without an error into a graph that predicts something else."""
    boosted = HistGradientBoostingClassifier(max_iter=20, categorical_features=list(range(len(NUMBERS), len(NUMBERS) + 3)))
    return fit(credit, "default", "tree", boosted)
