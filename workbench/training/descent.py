"""Fits the layers of a small network by gradient descent on torch. Called by `network`; imports torch when a fit starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.errors import BadInput, ComponentMissing

if TYPE_CHECKING:
    import torch

__all__ = ["Descent", "Epoch", "Layers", "sequential"]

Epoch = tuple[int, float, float | None]
"""Number of the epoch, mean training loss, validation loss (None without validation rows)."""

FEWEST_TO_VALIDATE = 50
"""With fewer rows than this, no rows are held out: a handful says nothing about when to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The best layers of a descent as plain arrays, input by output, and how the losses went."""

    weights: list[npt.NDArray[np.float64]]
    biases: list[npt.NDArray[np.float64]]
    history: list[Epoch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """AdamW (Loshchilov and Hutter, 2019) with early stopping: shape of the network and settings of the descent."""

    hidden: Sequence[int]
    dropout: float
    epochs: int
    learning_rate: float
    weight_decay: float
    batch_size: int | None
    validation_share: float
    patience: int
    seed: int
    device: Literal["auto", "cpu", "cuda"]

    def run(self, inputs: npt.NDArray[Any], target: npt.NDArray[Any], *, outputs: int, classify: bool) -> Layers:
        """Fits a network from `inputs` to class numbers (cross-entropy) or values (squared error).

        Raises:
            BadInput: the losses stopped being numbers.
            ComponentMissing: `device` is "cuda" and there is none.
        """
        import torch

        device = _device(self.device)
        matrix = torch.from_numpy(np.array(inputs, dtype=np.float32)).to(device)
        truth = torch.from_numpy(np.array(target, dtype=np.int64 if classify else np.float32)).to(device)
        loss = torch.nn.CrossEntropyLoss() if classify else _squared_error
        devices = [torch.cuda.current_device()] if device == "cuda" else []
        with torch.random.fork_rng(devices=devices), _one_thread():
            torch.default_generator.manual_seed(self.seed)  # torch.manual_seed would also seed GPUs that nobody resets
            if devices:
                torch.cuda.manual_seed(self.seed)
            module = sequential([inputs.shape[1], *self.hidden, outputs], dropout=self.dropout).to(device)
            history, best = self._descend(module, loss, matrix, truth)
        arrays = [parameter.cpu().numpy().astype(np.float64) for parameter in best]
        return Layers(weights=[weight.T.copy() for weight in arrays[::2]], biases=arrays[1::2], history=history)

    def _descend(self, module: torch.nn.Sequential, loss: Any, matrix: Any, truth: Any) -> tuple[list[Epoch], list[Any]]:
        import torch

        kept, held = self._split(len(matrix))
        size = self.batch_size or _batch_for(len(kept))
        optimizer = torch.optim.AdamW(module.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)
        history: list[Epoch] = []
        best, lowest, waited = _copy(module), float("inf"), 0
        for epoch in range(1, self.epochs + 1):
            order = kept[torch.randperm(len(kept))].to(matrix.device)
            training = _one_pass(module, loss, optimizer, matrix, truth, order.split(size))
            validation = _loss_on(module, loss, matrix, truth, held.to(matrix.device)) if len(held) else None
            judged = training if validation is None else validation
            if not np.isfinite(judged):
                raise BadInput(
                    f"the network's loss is {judged} after epoch {epoch}",
                    hint=f"Lower learning_rate (it is {self.learning_rate}), and check that every feature is a finite number.",
                )
            history.append((epoch, training, validation))
            if judged < lowest:
                best, lowest, waited = _copy(module), judged, 0
            else:
                waited += 1
                if validation is not None and waited >= self.patience:
                    break
        return history, best

    def _split(self, rows: int) -> tuple[Any, Any]:
        import torch

        shuffled = torch.randperm(rows)
        held = round(rows * self.validation_share) if rows >= FEWEST_TO_VALIDATE else 0
        return shuffled[held:], shuffled[:held]


def sequential(widths: Sequence[int], *, dropout: float = 0.0) -> torch.nn.Sequential:
    """Linear layers of these widths with rectifiers, and dropout if any, between them; the last layer is bare."""
    from torch import nn

    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers[: -2 if dropout > 0 else -1])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keeps torch to one thread while open: layers this small gain nothing from more, and lose much on a busy machine.

    Two threads that share two cores with other processes took up to thirty times as long, waiting for each other.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _device(wanted: str) -> str:
    import torch

    if wanted == "cpu":  # only to look for a GPU already starts its driver, and then no fork of this process can use one
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise ComponentMissing("device='cuda' was asked for, but torch sees no GPU", hint="Use device='auto' or device='cpu'.")
    return "cpu"


def _batch_for(rows: int) -> int:
    """A power of two near a hundredth of the rows, so that an epoch has about a hundred steps whatever the size."""
    return int(2 ** np.clip(np.round(np.log2(max(rows, 1) / 100)), 5, 12))


def _squared_error(predicted: Any, truth: Any) -> Any:
    return ((predicted[:, 0] - truth) ** 2).mean()


def _one_pass(module: Any, loss: Any, optimizer: Any, matrix: Any, truth: Any, batches: Sequence[Any]) -> float:
    """One epoch of steps; the mean loss is read once at its end, so that a GPU never waits."""
    import torch

    module.train()
    total = torch.zeros((), device=matrix.device)
    for batch in batches:
        optimizer.zero_grad(set_to_none=True)
        value = loss(module(matrix[batch]), truth[batch])
        value.backward()
        optimizer.step()
        total += value.detach() * len(batch)
    return float(total) / sum(len(batch) for batch in batches)


def _loss_on(module: Any, loss: Any, matrix: Any, truth: Any, rows: Any) -> float:
    import torch

    module.eval()
    with torch.no_grad():
        return float(loss(module(matrix[rows]), truth[rows]))


def _copy(module: Any) -> list[Any]:
    return [parameter.detach().clone() for parameter in module.parameters()]
