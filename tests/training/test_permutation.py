"""What a model depends on is found, and what it ignores is not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from workbench.training import importance, model_input, permutation, preprocessing
from workbench.training.permutation import ALWAYS_DEFINED


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_column_of_noise_comes_last(labelled, task):
    frame, contract = labelled(task, rows=400)
    target = frame["outcome"].to_numpy()
    noisy = frame.with_columns(size=pl.Series(np.random.default_rng(9).normal(size=400)))
    estimator = Ridge() if task == "regression" else LogisticRegression()
    model = make_pipeline(preprocessing(contract, "linear"), estimator).fit(model_input(noisy, contract), target)
    measured = importance(model, noisy, contract=contract, seed=0, rows=300)
    assert [column.name for column in measured.columns][-1] == "size"
    assert measured.columns[0].mean > 0
    assert (measured.metric, measured.rows, measured.repeats) == (ALWAYS_DEFINED[task], 300, 5)


def test_it_agrees_with_scikit_learn(labelled):
    frame, contract = labelled("regression", rows=400)
    inputs, target = model_input(frame, contract), frame["outcome"].to_numpy()
    model = make_pipeline(preprocessing(contract, "linear"), Ridge()).fit(inputs, target)
    ours = {column.name: column.mean for column in importance(model, frame, contract=contract, seed=0, repeats=20).columns}
    theirs = permutation_importance(model, inputs, target, scoring="neg_root_mean_squared_error", n_repeats=20, random_state=0)
    assert list(theirs.importances_mean) == pytest.approx([ours[name] for name in contract.names], rel=0.1)


def test_many_columns_are_measured_in_several_predictions(labelled, monkeypatch):
    frame, contract = labelled("binary", rows=100)
    model = make_pipeline(preprocessing(contract, "linear"), LogisticRegression())
    model.fit(model_input(frame, contract), frame["outcome"].to_numpy())
    together = importance(model, frame, contract=contract, seed=0)
    monkeypatch.setattr(permutation, "MOST_ROWS", 1)
    assert importance(model, frame, contract=contract, seed=0) == together


def test_a_sample_of_one_class_still_has_importances(labelled):
    frame, contract = labelled("binary", rows=200)
    model = make_pipeline(preprocessing(contract, "linear"), LogisticRegression())
    model.fit(model_input(frame, contract), frame["outcome"].to_numpy())
    measured = importance(model, frame.filter(pl.col("outcome") == "yes"), contract=contract, seed=0)
    assert all(np.isfinite(column.mean) for column in measured.columns)
