"""Training: preprocessing that survives packaging, a small neural network, honest measurement, and pictures of all three.

A candidate is a scikit-learn pipeline of `preprocessing(...)` and an estimator. `cross_validate` measures how it would do
on rows it has not seen, `holdout_evaluation` how it did on rows set aside, each number with its interval; `METRICS` says what the
numbers mean. torch is imported when a network is fitted, matplotlib when a picture is drawn.
"""

from workbench.training.metrics import METRICS, Metric, better, default_metric, higher_is_better, metric, metrics_for
from workbench.training.network import NetworkClassifier, NetworkRegressor
from workbench.training.permutation import ColumnImportance, Importance, importance
from workbench.training.pictures import importance_picture, learning_curve, quality_picture
from workbench.training.preprocessing import model_input, preprocessing
from workbench.training.validation import Evaluation, cross_validate, evaluate, holdout_evaluation

__all__ = [
    "METRICS",
    "ColumnImportance",
    "Evaluation",
    "Importance",
    "Metric",
    "NetworkClassifier",
    "NetworkRegressor",
    "better",
    "cross_validate",
    "default_metric",
    "evaluate",
    "higher_is_better",
    "holdout_evaluation",
    "importance",
    "importance_picture",
    "learning_curve",
    "metric",
    "metrics_for",
    "model_input",
    "preprocessing",
    "quality_picture",
]
