"""Small neural networks as scikit-learn estimators: fitted with torch, stored and evaluated as plain numpy arrays.

Used by the network notebook, by packaging (`torch_module` is what becomes ONNX) and by the skops fallback, which needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from workbench.errors import BadInput
from workbench.training.descent import Descent, Epoch, sequential

if TYPE_CHECKING:
    import torch

__all__ = ["NetworkClassifier", "NetworkRegressor"]

Array = npt.NDArray[Any]


class _Network(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """What classifier and regressor share: settings, the forward pass and the torch module.

    Args:
        hidden: Units of each hidden layer, from the input on.
        dropout: Share of hidden units left out at random in each training step.
        epochs: Passes over the rows, at most; early stopping usually ends sooner.
        learning_rate: Step size of AdamW.
        weight_decay: How strongly AdamW shrinks the weights.
        batch_size: Rows per step; None chooses about a hundredth of the rows.
        validation_share: Share of the rows that decides when to stop; 0, or fewer than 50 rows, runs all epochs.
        patience: Epochs without a better validation loss before stopping; the best epoch's weights are kept.
        seed: Makes the fit reproducible on the same machine.
        device: "auto" uses a GPU when torch sees one.

    Attributes:
        weights_: One matrix per layer, inputs by outputs.
        biases_: One vector per layer.
        history_: (epoch, training loss, validation loss or None) for each epoch.
        n_features_in_: Width of the input.
    """

    def __init__(  # noqa: PLR0913 - scikit-learn wants each setting as an argument
        self,
        *,
        hidden: tuple[int, ...] = (64, 32),
        dropout: float = 0.0,
        epochs: int = 100,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-3,
        batch_size: int | None = None,
        validation_share: float = 0.1,
        patience: int = 5,
        seed: int = 0,
        device: Literal["auto", "cpu", "cuda"] = "auto",
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.validation_share = validation_share
        self.patience = patience
        self.seed = seed
        self.device = device

    weights_: list[npt.NDArray[np.float64]]
    biases_: list[npt.NDArray[np.float64]]
    history_: list[Epoch]
    n_features_in_: int

    def _descent(self) -> Descent:
        _check(all(units >= 1 for units in self.hidden), "hidden", self.hidden, "numbers of units, each at least 1")
        _check(0 <= self.dropout < 1, "dropout", self.dropout, "a share from 0 to below 1")
        _check(self.epochs >= 1, "epochs", self.epochs, "at least 1")
        _check(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        _check(self.weight_decay >= 0, "weight_decay", self.weight_decay, "at least 0")
        _check(self.batch_size is None or self.batch_size >= 1, "batch_size", self.batch_size, "at least 1, or None")
        _check(0 <= self.validation_share < 1, "validation_share", self.validation_share, "a share from 0 to below 1")
        _check(self.patience >= 1, "patience", self.patience, "at least 1")
        _check(self.device in ("auto", "cpu", "cuda"), "device", self.device, "'auto', 'cpu' or 'cuda'")
        return Descent(**self.get_params(deep=False))

    def _raw(self, X: Any) -> npt.NDArray[np.float64]:
        """The output of the last layer, computed with numpy in double precision."""
        check_is_fitted(self)
        signal = validate_data(self, X, reset=False, dtype=np.float64)
        for weight, bias in zip(self.weights_[:-1], self.biases_[:-1], strict=True):
            signal = np.maximum(signal @ weight + bias, 0)
        raw: npt.NDArray[np.float64] = signal @ self.weights_[-1] + self.biases_[-1]
        return raw

    def torch_module(self) -> torch.nn.Sequential:
        """The fitted network in torch: it returns one logit per class, or for regression the value itself."""
        import torch

        check_is_fitted(self)
        module = sequential([self.n_features_in_, *(len(bias) for bias in self.biases_)])
        linear = [layer for layer in module if isinstance(layer, torch.nn.Linear)]
        with torch.no_grad():
            for layer, weight, bias in zip(linear, self.weights_, self.biases_, strict=True):
                layer.weight.copy_(torch.from_numpy(weight.T.copy()))
                layer.bias.copy_(torch.from_numpy(bias))
        return module.eval()


class NetworkClassifier(ClassifierMixin, _Network):  # type: ignore[misc]
    """A network with one output per class and softmax probabilities. Settings and fitted attributes as in `_Network`."""

    classes_: Array

    def fit(self, X: Any, y: Any) -> Self:
        """Fits the network; `classes_` holds the classes in sorted order.

        Raises:
            BadInput: a setting is out of range, or the loss stopped being a number.
        """
        descent = self._descent()
        inputs, target = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(target)
        self.classes_, codes = np.unique(target, return_inverse=True)
        layers = descent.run(inputs, codes, outputs=len(self.classes_), classify=True)
        self.weights_, self.biases_, self.history_ = layers.weights, layers.biases, layers.history
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """The probability of each class, columns in the order of `classes_`."""
        probability: npt.NDArray[np.float64] = softmax(self._raw(X), axis=1)
        return probability

    def predict(self, X: Any) -> Array:
        """The most probable class of each row."""
        most_probable = np.argmax(self._raw(X), axis=1)
        label: Array = self.classes_[most_probable]
        return label


class NetworkRegressor(RegressorMixin, _Network):  # type: ignore[misc]
    """A network with one output. It learns the standardised target; the last layer is then scaled back to the target's unit.

    Settings and fitted attributes as in `_Network`, and `target_mean_` and `target_scale_`, the unit of the losses in `history_`.
    """

    target_mean_: float
    target_scale_: float

    def fit(self, X: Any, y: Any) -> Self:
        """Fits the network.

        Raises:
            BadInput: a setting is out of range, or the loss stopped being a number.
        """
        descent = self._descent()
        inputs, target = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        self.target_mean_ = float(np.mean(target))
        self.target_scale_ = float(np.std(target)) or 1.0
        layers = descent.run(inputs, (target - self.target_mean_) / self.target_scale_, outputs=1, classify=False)
        self.weights_, self.biases_, self.history_ = layers.weights, layers.biases, layers.history
        self.weights_[-1] *= self.target_scale_
        self.biases_[-1] = self.biases_[-1] * self.target_scale_ + self.target_mean_
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """The predicted value of each row."""
        return self._raw(X)[:, 0]


def _check(holds: bool, name: str, given: object, expected: str) -> None:
    if not holds:
        raise BadInput(f"{name} is {given!r}, expected {expected}", hint=f"Set {name} to {expected}.")
