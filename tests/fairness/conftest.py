"""Small predictions with known rates, shared by the fairness tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from workbench.fairness import Grouping
from workbench.project import Fairness


@pytest.fixture
def policy() -> Callable[..., Fairness]:
    def make(metric: str = "selection_rate", **changes: object) -> Fairness:
        return Fairness.model_validate({"metric": metric, "minimum_group_size": 20, **changes})

    return make


@pytest.fixture
def grouping() -> Callable[..., Grouping]:
    def make(*sizes: int, attribute: str = "g") -> Grouping:
        labels = tuple("abcdefghijklmnopqrstuvwxyz"[: len(sizes)])
        return Grouping(attribute=attribute, labels=labels, codes=np.repeat(np.arange(len(sizes)), sizes), pooled={})

    return make


@pytest.fixture
def selected() -> Callable[..., list[str]]:
    """Predictions of "1" for the first k of every n rows, given as (k, n), (k, n), ..."""

    def make(*parts: tuple[int, int]) -> list[str]:
        return [label for k, n in parts for label in ["1"] * k + ["0"] * (n - k)]

    return make
