"""Cross-validation and holdout: honest folds, intervals that hold what they promise, and small data without surprises."""

from __future__ import annotations

import time

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_wine
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from workbench.data.contract import Column, Contract
from workbench.errors import DatasetUnusable
from workbench.training import cross_validate, evaluate, holdout_evaluation, metrics_for, model_input, preprocessing

BINARY = Contract(features=(), target="t", task="binary", classes=("0", "1"), positive="1")


def pipeline(contract):
    estimator = Ridge() if contract.task == "regression" else LogisticRegression(max_iter=500)
    return make_pipeline(preprocessing(contract, "linear"), estimator)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_both_measure_every_metric_of_the_task_with_an_interval_around_it(labelled, task):
    frame, contract = labelled(task)
    training, rest = frame.head(200), frame.tail(100)
    model = pipeline(contract)
    validated = cross_validate(model, training, contract=contract, folds=5, seed=0)
    model.fit(model_input(training, contract), training["outcome"].to_numpy())
    tested = holdout_evaluation(model, rest, contract=contract, seed=0).metrics
    for measured in (validated, tested):
        assert list(measured) == [metric.name for metric in metrics_for(task)]
        assert all(estimate.low <= estimate.value <= estimate.high for estimate in measured.values())
        assert all(metric.lowest <= measured[metric.name].low for metric in metrics_for(task))


def test_cross_validation_agrees_with_scikit_learn(labelled):
    frame, contract = labelled("regression", rows=400)
    ours = cross_validate(pipeline(contract), frame, contract=contract, folds=10, seed=0)["r2"].value
    theirs = cross_val_score(pipeline(contract), model_input(frame, contract), frame["outcome"].to_numpy(), cv=10).mean()
    assert ours == pytest.approx(theirs, abs=0.02)


def test_the_same_seed_gives_the_same_numbers_and_the_pipeline_stays_unfitted(labelled):
    frame, contract = labelled("binary", rows=120)
    model = pipeline(contract)
    first, again, other = (cross_validate(model, frame, contract=contract, folds=3, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert not hasattr(model[-1], "coef_")


def test_wine_has_three_small_classes_and_does_not_warn():
    wine = load_wine(as_frame=True)
    frame = pl.from_pandas(wine.data).with_columns(outcome=pl.Series(wine.target.astype(str)))
    features = tuple(Column(name=name, kind="number", source_type="float", nullable=False) for name in frame.columns[:-1])
    contract = Contract(features=features, target="outcome", task="multiclass", classes=("0", "1", "2"))
    measured = cross_validate(pipeline(contract), frame, contract=contract, folds=5, seed=0)
    assert measured["balanced_accuracy"].value > 0.95


def test_a_class_with_fewer_rows_than_folds_is_left_out_where_it_is_absent(labelled):
    frame, contract = labelled("multiclass", rows=200)
    rare = frame.head(1).with_columns(outcome=pl.lit("rare"))
    rarer = pl.concat([frame, rare, rare])
    wider = Contract(features=contract.features, target="outcome", task="multiclass", classes=(*contract.classes, "rare"))
    measured = cross_validate(pipeline(wider), rarer, contract=wider, folds=5, seed=0)
    assert 0 < measured["macro_f1"].value < 1


def test_a_metric_undefined_in_some_folds_is_the_mean_of_the_others(labelled):
    frame, contract = labelled("binary", rows=200)
    few = pl.concat([frame.filter(pl.col("outcome") == "no"), frame.filter(pl.col("outcome") == "yes").head(3)])
    measured = cross_validate(pipeline(contract), few, contract=contract, folds=5, seed=0)
    assert 0 <= measured["roc_auc"].value <= 1


def test_rows_of_one_person_never_stand_on_both_sides():
    person = np.repeat(np.arange(60), 5)
    outcome = np.repeat(np.random.default_rng(0).choice(["no", "yes"], 60), 5)
    frame = pl.DataFrame({"who": person.astype(str), "outcome": outcome})
    column = Column(name="who", kind="category", source_type="string", nullable=False)
    contract = Contract(features=(column,), target="outcome", task="binary", classes=("no", "yes"), positive="yes")
    model = make_pipeline(preprocessing(contract, "tree"), _Memory())
    leaking = cross_validate(model, frame, contract=contract, folds=5, seed=0)["accuracy"].value
    honest = cross_validate(model, frame, contract=contract, folds=5, seed=0, groups=person)["accuracy"].value
    assert leaking > 0.95
    assert honest < 0.75


class _Memory(DummyClassifier):
    """Knows the class of every person it has seen; the encoder makes every other person -1."""

    def fit(self, X, y, sample_weight=None):
        self._known = dict(zip(X[:, 0], y, strict=True))
        return super().fit(X, y)

    def predict(self, X):
        return np.array([self._known.get(value, self.classes_[0]) for value in X[:, 0]])

    def predict_proba(self, X):
        return (self.predict(X)[:, None] == self.classes_[None, :]).astype(float)


def test_more_folds_than_rows_or_people_is_an_error_that_says_how_many_there_are(labelled):
    frame, contract = labelled("regression", rows=4)
    with pytest.raises(DatasetUnusable, match="4 rows cannot make 5 folds"):
        cross_validate(pipeline(contract), frame, contract=contract, folds=5, seed=0)
    frame, contract = labelled("regression", rows=40)
    with pytest.raises(DatasetUnusable, match="2 groups"):
        cross_validate(pipeline(contract), frame, contract=contract, folds=5, seed=0, groups=np.arange(40) % 2)


def test_a_single_positive_row_cannot_be_validated_and_the_error_says_so(labelled):
    frame, contract = labelled("binary", rows=80)
    one = pl.concat([frame.filter(pl.col("outcome") == "no"), frame.filter(pl.col("outcome") == "yes").head(1)])
    with pytest.raises(DatasetUnusable, match="single class of 'outcome'"):
        cross_validate(pipeline(contract), one, contract=contract, folds=5, seed=0)


def test_predictions_come_back_as_a_frame_with_one_probability_per_class(labelled):
    frame, contract = labelled("multiclass", rows=150)
    model = pipeline(contract).fit(model_input(frame, contract), frame["outcome"].to_numpy())
    made = holdout_evaluation(model, frame, contract=contract, seed=0).frame()
    assert made.columns == ["truth", "predicted", "probability high", "probability low", "probability middle"]
    assert made["truth"].to_list() == frame["outcome"].to_list()
    assert np.allclose(made.select(pl.sum_horizontal(pl.col("^probability .*$"))).to_numpy(), 1)


def test_a_class_the_model_never_saw_has_probability_zero(labelled):
    frame, contract = labelled("multiclass", rows=150)
    known = frame.filter(pl.col("outcome") != "low")
    model = pipeline(contract).fit(model_input(known, contract), known["outcome"].to_numpy())
    made = holdout_evaluation(model, frame, contract=contract, seed=0)
    assert (made.probability[:, contract.classes.index("low")] == 0).all()
    assert made.metrics["log_loss"].value > 1


def test_a_regression_frame_has_values_only(labelled):
    frame, contract = labelled("regression", rows=50)
    model = pipeline(contract).fit(model_input(frame, contract), frame["outcome"].to_numpy())
    assert holdout_evaluation(model, frame, contract=contract, seed=0).frame().columns == ["truth", "predicted"]


def test_without_an_error_among_few_rows_no_interval_pretends_certainty():
    truth = np.array(["0", "1"] * 18)
    probability = np.column_stack([truth == "0", truth == "1"]) * 0.8 + 0.1
    measured = evaluate(truth, truth, probability, contract=BINARY, seed=0)
    assert measured["accuracy"].value == 1
    assert measured["accuracy"].low is None


def test_what_is_undefined_on_the_holdout_is_recorded_as_such():
    truth = np.array(["0"] * 20)
    probability = np.column_stack([np.linspace(0.5, 0.9, 20), 1 - np.linspace(0.5, 0.9, 20)])
    measured = evaluate(truth, truth, probability, contract=BINARY, seed=0)
    assert measured["roc_auc"].value is None
    assert measured["log_loss"].low < measured["log_loss"].value < measured["log_loss"].high


def test_nineteen_of_twenty_bootstrap_intervals_hold_the_true_value():
    random = np.random.default_rng(0)
    held = {"accuracy": 0, "roc_auc": 0}
    # scores uniform, P(yes) = score: accuracy at one half is 3/4, AUC is 5/6
    true = {"accuracy": 3 / 4, "roc_auc": 5 / 6}
    for repeat in range(200):
        score = random.random(300)
        truth = np.where(random.random(300) < score, "1", "0")
        label = np.where(score > 0.5, "1", "0")
        probability = np.column_stack([1 - score, score])
        measured = evaluate(truth, label, probability, contract=BINARY, seed=repeat, replicates=200)
        for name, value in true.items():
            held[name] += measured[name].low <= value <= measured[name].high
    assert all(0.90 <= count / 200 <= 0.99 for count in held.values()), held


def test_the_interval_of_cross_validation_is_that_of_nadeau_and_bengio():
    column = Column(name="x", kind="number", source_type="float", nullable=False)
    contract = Contract(features=(column,), target="y", task="regression")
    frame = pl.DataFrame({"x": [0.0] * 40, "y": [1.0] * 20 + [3.0] * 20})
    always_zero = make_pipeline(preprocessing(contract, "linear"), DummyRegressor(strategy="constant", constant=0.0))
    measured = cross_validate(always_zero, frame, contract=contract, folds=2, seed=0, groups=np.arange(40) // 20, confidence=0.5)[
        "mae"
    ]
    # The folds measure 1 and 3: variance 2, times 1/folds + test/train = 3/2; Student's t with one degree of freedom is 1 here.
    assert measured.value == pytest.approx(2)
    assert measured.low == pytest.approx(2 - 3**0.5)
    assert measured.high == pytest.approx(2 + 3**0.5)


def test_fifty_five_thousand_rows_are_resampled_four_hundred_times_in_seconds():
    random = np.random.default_rng(0)
    score = random.random(55_000)
    truth = np.where(random.random(55_000) < score, "1", "0")
    started = time.process_time()
    evaluate(truth, np.where(score > 0.5, "1", "0"), np.column_stack([1 - score, score]), contract=BINARY, seed=0)
    assert time.process_time() - started < 10
