"""Prepares columns for a family of estimators: the first step of every candidate pipeline. Called by the training notebooks.

Every step here converts to ONNX and was compared with scikit-learn's own output, unseen categories and missing values
included. What does not convert faithfully is not used: missing-value indicators, `infrequent_if_exist`, and
HistGradientBoosting's `categorical_features`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from workbench.data.contract import Contract

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["Family", "model_input", "preprocessing"]

Family = Literal["linear", "tree", "network"]

RAREST = 10
"""A category with fewer training rows than this shares one column with the other rare ones."""

WIDEST = 1000
"""About how many one-hot columns all category columns may make together."""


def model_input(frame: pl.DataFrame, contract: Contract) -> pd.DataFrame:
    """The features of a frame in the form that scikit-learn takes: contract order, NaN for missing numbers, texts as objects."""
    return frame.select(contract.names).to_pandas()


def preprocessing(contract: Contract, family: Family) -> ColumnTransformer:
    """The preprocessing that suits a family of estimators.

    `linear` and `network`: numbers get the median where missing and are standardised; categories become one-hot columns,
    rare ones share a column and unseen ones are all zeros. `tree`: a missing number becomes a value below all others, so
    that a split can set it apart; categories become whole numbers, unseen ones -1.

    Args:
        contract: Names the columns of each kind.
        family: What the estimator needs.

    Returns:
        An unfitted transformer of the frame that `model_input` makes. Only kinds of columns that exist get a step.
    """
    numbers, categories = contract.of_kind("number"), contract.of_kind("category")
    by_kind = (
        ("number", _below_all(contract) if family == "tree" else _standardised(), numbers),
        ("category", _ordinal() if family == "tree" else _one_hot(len(categories)), categories),
    )
    return ColumnTransformer([step for step in by_kind if step[2]])


def _standardised() -> Any:
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())


def _below_all(contract: Contract) -> SimpleImputer:
    """Missing numbers as a power of two below every minimum: exact in float32 too, where the served model compares it.

    HistGradientBoosting would take NaN itself, but fails on a column that happens to be empty in one fold.
    """
    depth = max([0.0, *(-column.minimum for column in contract.features if column.minimum is not None)])
    return SimpleImputer(strategy="constant", fill_value=-math.ldexp(1, math.frexp(depth)[1]), keep_empty_features=True)


def _ordinal() -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


def _one_hot(columns: int) -> OneHotEncoder:
    most = min(50, max(5, WIDEST // max(columns, 1)))
    return OneHotEncoder(handle_unknown="ignore", min_frequency=RAREST, max_categories=most, sparse_output=False)
