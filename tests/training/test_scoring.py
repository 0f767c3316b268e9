"""Every metric equals scikit-learn's, for plain and for weighted rows, and is undefined where it has no meaning."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from workbench.data.contract import Contract
from workbench.training.scoring import scorer

BINARY = Contract(features=(), target="t", task="binary", classes=("no", "yes"), positive="yes")
THREE = Contract(features=(), target="t", task="multiclass", classes=("a", "b", "c"))
NUMBER = Contract(features=(), target="t", task="regression")


def binary_case(seed: int, rows: int, *, ties: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    score = random.random(rows)
    score = np.round(score, 1) if ties else score
    truth = np.where(random.random(rows) < 0.2 + 0.6 * score, "yes", "no")
    truth[:2] = ["yes", "no"]
    weights = random.integers(0, 4, rows).astype(float)
    weights[:2] = 1
    return truth, np.where(score > 0.5, "yes", "no"), np.column_stack([1 - score, score]), weights


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(4, 120), ties=st.booleans())
def test_binary_metrics_equal_those_of_scikit_learn(seed, rows, ties):
    truth, label, probability, weights = binary_case(seed, rows, ties=ties)
    measured = scorer(truth, label, probability, BINARY)(weights)
    weighted, positive = {"sample_weight": weights}, truth == "yes"
    assert measured["roc_auc"] == pytest.approx(reference.roc_auc_score(positive, probability[:, 1], **weighted))
    assert measured["log_loss"] == pytest.approx(reference.log_loss(truth, probability, labels=["no", "yes"], **weighted))
    assert measured["brier"] == pytest.approx(reference.brier_score_loss(positive, probability[:, 1], **weighted))
    assert measured["accuracy"] == pytest.approx(reference.accuracy_score(truth, label, **weighted))
    assert measured["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(truth, label, **weighted))
    assert measured["f1"] == pytest.approx(reference.f1_score(truth, label, pos_label="yes", **weighted))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(6, 120))
def test_multiclass_metrics_equal_those_of_scikit_learn(seed, rows):
    random = np.random.default_rng(seed)
    probability = random.dirichlet(np.ones(3), rows)
    truth = random.choice(["a", "b", "c"], rows)
    truth[:3] = ["a", "b", "c"]
    label = np.array(["a", "b", "c"])[probability.argmax(axis=1)]
    weights = random.integers(1, 4, rows).astype(float)
    measured = scorer(truth, label, probability, THREE)(weights)
    weighted = {"sample_weight": weights}
    assert measured["log_loss"] == pytest.approx(reference.log_loss(truth, probability, labels=["a", "b", "c"], **weighted))
    assert measured["accuracy"] == pytest.approx(reference.accuracy_score(truth, label, **weighted))
    assert measured["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(truth, label, **weighted))
    assert measured["macro_f1"] == pytest.approx(reference.f1_score(truth, label, average="macro", **weighted))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(3, 120), offset=st.sampled_from([0.0, 1e6]))
def test_regression_metrics_equal_those_of_scikit_learn(seed, rows, offset):
    random = np.random.default_rng(seed)
    truth = offset + random.normal(size=rows)
    label = truth + random.normal(size=rows)
    weights = random.integers(1, 4, rows).astype(float)
    measured = scorer(truth, label, None, NUMBER)(weights)
    weighted = {"sample_weight": weights}
    assert measured["rmse"] == pytest.approx(reference.root_mean_squared_error(truth, label, **weighted))
    assert measured["mae"] == pytest.approx(reference.mean_absolute_error(truth, label, **weighted))
    assert measured["r2"] == pytest.approx(reference.r2_score(truth, label, **weighted), rel=1e-6)


def test_weights_count_rows_as_if_they_were_repeated():
    truth, label, probability, weights = binary_case(3, 50, ties=True)
    times = weights.astype(int)
    repeated = scorer(np.repeat(truth, times), np.repeat(label, times), np.repeat(probability, times, axis=0), BINARY)
    assert scorer(truth, label, probability, BINARY)(weights) == pytest.approx(repeated(np.ones(times.sum())))


def test_what_one_class_cannot_define_is_undefined_not_zero():
    probability = np.array([[0.9, 0.1], [0.8, 0.2]])
    measured = scorer(np.array(["no", "no"]), np.array(["no", "no"]), probability, BINARY)(np.ones(2))
    assert math.isnan(measured["roc_auc"])
    assert math.isnan(measured["f1"])
    assert measured["balanced_accuracy"] == 1


def test_r2_of_a_constant_target_is_undefined():
    measured = scorer(np.full(5, 3.3), np.arange(5.0), None, NUMBER)(np.ones(5))
    assert math.isnan(measured["r2"])
    assert measured["rmse"] > 0


def test_being_sure_and_wrong_costs_much_but_not_infinitely_much():
    probability = np.array([[1.0, 0.0]])
    measured = scorer(np.array(["yes"]), np.array(["no"]), probability, BINARY)(np.ones(1))
    assert measured["log_loss"] == pytest.approx(36.04, abs=0.01)


def test_the_positive_class_need_not_be_the_last():
    turned = Contract(features=(), target="t", task="binary", classes=("no", "yes"), positive="no")
    truth, label, probability, weights = binary_case(5, 80, ties=False)
    measured = scorer(truth, label, probability, turned)(weights)
    assert measured["f1"] == pytest.approx(reference.f1_score(truth, label, pos_label="no", sample_weight=weights))
    assert measured["roc_auc"] == pytest.approx(scorer(truth, label, probability, BINARY)(weights)["roc_auc"])
