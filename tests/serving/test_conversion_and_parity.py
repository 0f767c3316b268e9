"""What converts is proved to predict the same; what converts wrongly, or not at all, is found out."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
import skl2onnx.common._container as container
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from workbench.data.contract import Column, Contract
from workbench.errors import PackagingFailed
from workbench.serving.conversion import to_onnx
from workbench.serving.parity import LIMIT, Parity, prove_parity
from workbench.training.network import NetworkClassifier
from workbench.training.preprocessing import preprocessing

KINDS = [f"{family} {task}" for family in ("linear", "boosted", "network") for task in ("binary", "multiclass", "regression")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_shipped_kind_of_model_converts_and_predicts_the_same(fitted, kind):
    one = fitted(kind)
    parity = prove_parity(one.pipeline, to_onnx(one.pipeline, one.contract), one.contract, one.holdout)
    assert parity.passed, parity
    assert parity.label_flips == 0
    assert parity.largest_difference <= LIMIT


def test_the_proof_covers_unseen_missing_and_null_in_each_column_and_in_all(fitted):
    one = fitted("boosted binary")
    parity = prove_parity(one.pipeline, to_onnx(one.pipeline, one.contract), one.contract, one.holdout)
    names = {case.name for case in parity.cases}
    assert "holdout" in names
    for column in one.contract.features:
        wanted = {f"null: {column.name}"} if column.kind == "number" else {f"unseen: {column.name}", f"missing: {column.name}"}
        assert wanted <= names
    assert {"null: all", "unseen: all", "missing: all"} <= names
    assert parity.rows == sum(case.rows for case in parity.cases)


def test_a_graph_that_converts_but_predicts_something_else_does_not_pass(wrong_in_onnx):
    one = wrong_in_onnx
    parity = prove_parity(one.pipeline, to_onnx(one.pipeline, one.contract), one.contract, one.holdout)
    assert not parity.passed
    assert parity.label_flips > 0
    assert parity.largest_difference > 0.01


def test_a_change_of_one_weight_is_noticed(fitted):
    one = fitted("linear binary")
    graph = onnx.load_from_string(to_onnx(one.pipeline, one.contract))
    for node in graph.graph.node:
        for attribute in node.attribute:
            if attribute.name == "coefficients":
                attribute.floats[0] += 0.01
    assert not prove_parity(one.pipeline, graph.SerializeToString(), one.contract, one.holdout).passed


def test_rounding_that_changes_predictions_is_not_hidden():
    # Differences of one in numbers beyond 2**24 vanish in float32, and with them everything these trees know.
    numbers = 1e9 + np.arange(400.0)
    contract = Contract(
        features=(Column(name="serial", kind="number", source_type="integer", nullable=False),),
        target="even",
        task="binary",
        classes=("0", "1"),
        positive="1",
    )
    holdout = pl.DataFrame({"serial": numbers})
    labels = np.where(np.arange(400) % 40 < 20, "0", "1")
    pipeline = Pipeline([("columns", preprocessing(contract, "tree")), ("model", HistGradientBoostingClassifier(max_iter=20))])
    pipeline.fit(holdout.to_pandas(), labels)
    parity = prove_parity(pipeline, to_onnx(pipeline, contract), contract, holdout)
    assert parity.rounding_flips > 0
    assert not parity.passed


def test_inputs_are_one_per_column_and_outputs_have_fixed_names(fitted):
    one = fitted("network multiclass")
    session = onnxruntime.InferenceSession(to_onnx(one.pipeline, one.contract))
    kinds = {"number": "tensor(float)", "category": "tensor(string)"}
    assert [given.name for given in session.get_inputs()] == [f"column_{index}" for index in range(len(one.contract.features))]
    assert [given.type for given in session.get_inputs()] == [kinds[column.kind] for column in one.contract.features]
    assert [given.name for given in session.get_outputs()] == ["label", "probabilities"]
    value = fitted("boosted regression")
    session = onnxruntime.InferenceSession(to_onnx(value.pipeline, value.contract))
    assert [(given.name, len(given.shape)) for given in session.get_outputs()] == [("value", 1)]


def test_a_step_that_onnx_cannot_express_is_refused_with_its_reason(fitted):
    one = fitted("linear binary")
    strange = Pipeline(
        [("columns", clone(one.pipeline[0])), ("strange", FunctionTransformer(np.sin)), ("model", LogisticRegression())]
    )
    frame = one.holdout.to_pandas()
    strange.fit(frame, ["0", "1"] * (len(frame) // 2))
    with pytest.raises(PackagingFailed, match="cannot be converted to ONNX"):
        to_onnx(strange, one.contract)


def test_the_converter_is_left_as_it_was_found(fitted):
    before = container.make_node
    to_onnx(fitted("boosted binary").pipeline, fitted("boosted binary").contract)
    assert container.make_node is before


def test_parity_without_rows_is_refused(fitted):
    one = fitted("linear binary")
    with pytest.raises(PackagingFailed, match="no rows"):
        prove_parity(one.pipeline, b"", one.contract, one.holdout.head(0))


def test_a_file_that_is_no_graph_is_refused(fitted):
    one = fitted("linear binary")
    with pytest.raises(PackagingFailed, match="parity cannot be measured"):
        prove_parity(one.pipeline, b"not a graph", one.contract, one.holdout)


def test_a_proof_survives_being_stored(fitted):
    one = fitted("linear regression")
    parity = prove_parity(one.pipeline, to_onnx(one.pipeline, one.contract), one.contract, one.holdout)
    assert Parity.from_json(parity.as_json()) == parity


def test_a_single_row_is_enough(fitted):
    one = fitted("boosted regression")
    assert prove_parity(one.pipeline, to_onnx(one.pipeline, one.contract), one.contract, one.holdout.head(1)).passed


@pytest.mark.parametrize(
    "estimator", [LogisticRegression, lambda: NetworkClassifier(hidden=(4,), epochs=2)], ids=["linear", "network"]
)
def test_any_column_names_can_be_converted(estimator):
    names = [
        "a b",
        "a_b",
        "a.b",
        "é ü",
        "label",
        "probabilities",
        "value",
        "1st",
        "column_1",
        "variable",
        "matrix",
        "raw",
        "first",
    ]
    random = np.random.default_rng(0)
    rows = pl.DataFrame({name: random.normal(size=200) for name in names} | {"classes": random.choice(["x", "y"], 200)})
    numbers = [Column(name=name, kind="number", source_type="float", nullable=False) for name in names]
    category = Column(name="classes", kind="category", source_type="string", nullable=False, categories=("x", "y"))
    contract = Contract(features=(*numbers, category), target="t", task="binary", classes=("no", "yes"), positive="yes")
    pipeline = Pipeline([("columns", preprocessing(contract, "linear")), ("model", estimator())])
    pipeline.fit(rows.to_pandas(), np.where(rows["a b"] - rows["a_b"] + rows["label"] > 0, "yes", "no"))
    assert prove_parity(pipeline, to_onnx(pipeline, contract), contract, rows).passed
