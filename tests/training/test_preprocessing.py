"""What a candidate's columns become, and that the served model makes the same of them."""

from __future__ import annotations

import numpy as np
import onnxruntime
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from workbench.data.contract import MISSING, Column, Contract
from workbench.serving.conversion import to_onnx
from workbench.training.preprocessing import model_input, preprocessing

ESTIMATORS = {"linear": LogisticRegression(), "tree": HistGradientBoostingClassifier(max_iter=30, random_state=0)}


def contract(*names: str, kind: str = "number", minimum: float | None = None) -> Contract:
    columns = (Column(name=name, kind=kind, source_type="float", nullable=True, minimum=minimum) for name in names)
    return Contract(features=tuple(columns), target="t", task="regression")


@pytest.mark.parametrize("family", ESTIMATORS)
def test_the_onnx_graph_gives_the_same_probabilities_also_for_unseen_categories_and_missing_values(labelled, family):
    frame, contract = labelled("binary", rows=600)
    model = make_pipeline(preprocessing(contract, family), ESTIMATORS[family])
    model.fit(model_input(frame, contract), frame["outcome"].to_numpy())
    strange = frame.head(80).with_columns(
        colour=pl.Series(["never seen"] * 40 + [MISSING] * 40), size=pl.lit(None, dtype=pl.Float64), weight=pl.lit(1e6)
    )
    rows = model_input(pl.concat([frame.head(200), strange]), contract)
    session = onnxruntime.InferenceSession(to_onnx(model, contract), providers=["CPUExecutionProvider"])
    given = {
        asked.name: rows[[name]].to_numpy(object if name == "colour" else np.float32)
        for asked, name in zip(session.get_inputs(), contract.names, strict=True)
    }
    label, probability = session.run(["label", "probabilities"], given)
    assert np.abs(probability - model.predict_proba(rows)).max() < 1e-5
    assert (label == model.predict(rows)).all()


@pytest.mark.parametrize("family", ["linear", "tree", "network"])
@pytest.mark.parametrize("kind", ["number", "category"])
def test_columns_of_one_kind_alone_are_enough(family, kind):
    only = contract("a", "b", kind=kind)
    values = [1.0, 2.0, None] if kind == "number" else ["x", "y", MISSING]
    made = preprocessing(only, family).fit_transform(model_input(pl.DataFrame({"a": values, "b": values}), only))
    assert made.shape[0] == 3
    assert np.isfinite(made).all()


@pytest.mark.parametrize("family", ["linear", "tree", "network"])
def test_a_column_that_is_empty_in_the_training_rows_does_no_harm(family):
    two = contract("a", "b")
    training = pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [None, None, None]}, schema={"a": pl.Float64, "b": pl.Float64})
    fitted = preprocessing(two, family).fit(model_input(training, two))
    later = fitted.transform(model_input(pl.DataFrame({"a": [1.0], "b": [7.0]}), two))
    assert later.shape == (1, 2)
    assert np.isfinite(later).all()


@pytest.mark.parametrize("minimum", [None, 0.0, 5.0, -3.0, -4.0, -1e9])
def test_a_missing_number_lies_below_every_other_for_trees_and_is_exact_in_single_precision(minimum):
    one = contract("a", minimum=minimum)
    (value,) = preprocessing(one, "tree").fit_transform(model_input(pl.DataFrame({"a": [None]}, schema={"a": pl.Float64}), one))[
        0
    ]
    assert value < (0 if minimum is None else minimum)
    assert float(np.float32(value)) == value


def test_linear_models_get_standardised_numbers():
    one = contract("a")
    made = preprocessing(one, "linear").fit_transform(model_input(pl.DataFrame({"a": [10.0, 20.0, None, 30.0]}), one))
    assert made.mean() == pytest.approx(0)
    assert made.std() == pytest.approx(1)
    assert made[2] == pytest.approx(0)  # the median


def test_a_category_with_ten_thousand_values_stays_narrow():
    one = contract("a", kind="category")
    values = [f"customer {number % 10_000}" for number in range(12_000)] + ["common"] * 500
    made = preprocessing(one, "linear").fit_transform(model_input(pl.DataFrame({"a": values}), one))
    assert made.shape[1] <= 50


def test_two_hundred_wide_category_columns_stay_near_a_thousand_one_hot_columns():
    names = [f"c{number}" for number in range(200)]
    many = contract(*names, kind="category")
    random = np.random.default_rng(0)
    frame = pl.DataFrame({name: random.choice([f"v{value}" for value in range(30)], 900) for name in names})
    assert preprocessing(many, "network").fit_transform(model_input(frame, many)).shape == (900, 1000)


def test_the_model_input_has_the_columns_in_contract_order_with_nan_for_missing(labelled):
    frame, contract = labelled("binary", rows=50)
    made = model_input(frame.select(reversed(frame.columns)), contract)
    assert list(made.columns) == ["size", "weight", "colour"]
    assert made["weight"].isna().any()
    assert made["weight"].dtype == np.float64
    assert made["colour"].dtype == object
