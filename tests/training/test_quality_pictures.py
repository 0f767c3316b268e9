"""The pictures draw what was measured, for every task and for awkward data."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib import pyplot
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from workbench.data.contract import Contract
from workbench.training import (
    Evaluation,
    evaluate,
    holdout_evaluation,
    importance_picture,
    learning_curve,
    model_input,
    preprocessing,
    quality_picture,
)


def drawn(figure) -> list[str]:
    """All texts of a figure, after drawing it; nothing is left open."""
    figure.savefig(io.BytesIO(), dpi=40)
    assert pyplot.get_fignums() == []
    return [text.get_text() for axes in figure.axes for text in [*axes.texts, axes.title, axes.get_legend() or axes.title][:40]
            if hasattr(text, "get_text")] + [axes.get_title(loc="left") for axes in figure.axes]  # fmt: skip


@pytest.fixture
def fitted(labelled):
    def fit(task):
        frame, contract = labelled(task, rows=300)
        estimator = Ridge() if task == "regression" else LogisticRegression(max_iter=500)
        model = make_pipeline(preprocessing(contract, "linear"), estimator)
        return model.fit(model_input(frame, contract), frame["outcome"].to_numpy()), frame, contract

    return fit


@pytest.mark.parametrize(("task", "shown"), [("binary", "AUC"), ("multiclass", "Accuracy"), ("regression", "RMSE")])
def test_the_quality_picture_shows_the_measured_value(fitted, task, shown):
    model, frame, contract = fitted(task)
    evaluation = holdout_evaluation(model, frame, contract=contract, seed=0)
    metric = {"AUC": "roc_auc", "Accuracy": "accuracy", "RMSE": "rmse"}[shown]
    titles = drawn(quality_picture(evaluation, contract))
    assert any(shown in title and f"{evaluation.metrics[metric].value:.3g}" in title for title in titles)


def test_the_confusion_matrix_counts_every_row(fitted):
    model, frame, contract = fitted("multiclass")
    figure = quality_picture(holdout_evaluation(model, frame, contract=contract, seed=0), contract)
    assert sum(int(text.get_text()) for text in figure.axes[0].texts) == frame.height


def test_a_holdout_of_one_class_is_drawn_with_its_auc_undefined():
    contract = Contract(features=(), target="t", task="binary", classes=("0", "1"), positive="1")
    truth = np.array(["0"] * 30)
    probability = np.column_stack([np.linspace(0.4, 0.9, 30), 1 - np.linspace(0.4, 0.9, 30)])
    metrics = evaluate(truth, truth, probability, contract=contract, seed=0)
    evaluation = Evaluation(metrics=metrics, truth=truth, label=truth, probability=probability, classes=contract.classes)
    assert "ROC: AUC undefined" in drawn(quality_picture(evaluation, contract))


def test_twenty_thousand_values_and_a_perfect_model_are_drawn():
    contract = Contract(features=(), target="t", task="regression")
    for rows in (2, 20_000):
        truth = np.linspace(0, 1, rows)
        metrics = evaluate(truth, truth, None, contract=contract, seed=0, replicates=20)
        drawn(quality_picture(Evaluation(metrics=metrics, truth=truth, label=truth, probability=None, classes=()), contract))


def test_dollars_in_names_are_drawn_as_they_are():
    contract = Contract(features=(), target="cost in $\\frac$", task="multiclass", classes=("$", "$_$", "a$b"))
    truth = np.array(["$", "$_$", "a$b"] * 10)
    probability = np.full((30, 3), 1 / 3)
    metrics = evaluate(truth, truth, probability, contract=contract, seed=0, replicates=20)
    evaluation = Evaluation(metrics=metrics, truth=truth, label=truth, probability=probability, classes=contract.classes)
    figure = quality_picture(evaluation, contract)
    drawn(figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [r"\$", r"\$_\$", r"a\$b"]


def test_the_importance_picture_names_every_column(fitted):
    model, frame, contract = fitted("binary")
    figure = importance_picture(model, frame, contract=contract, seed=0)
    drawn(figure)
    assert sorted(label.get_text() for label in figure.axes[0].get_yticklabels()) == ["colour", "size", "weight"]


def test_the_learning_curve_marks_the_epoch_that_was_kept():
    figure = learning_curve([(1, 0.9, 0.8), (2, 0.7, 0.6), (3, 0.5, 0.7)])
    figure.savefig(io.BytesIO(), dpi=40)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()][-1] == "kept: epoch 2"


def test_a_history_without_validation_is_drawn_too():
    figure = learning_curve([(1, 0.9, None), (2, 0.7, None)])
    assert len(figure.axes[0].get_legend().get_texts()) == 2
