"""Small labelled frames of each task, with their contract."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from workbench.data.contract import MISSING, Column, Contract

Labelled = tuple[pl.DataFrame, Contract]


def contract_of(frame: pl.DataFrame, task: str) -> Contract:
    """A contract for a frame whose target is called `outcome`."""
    columns = [
        Column(name=name, kind="number", source_type="float", nullable=True, minimum=frame[name].min(), maximum=frame[name].max())
        if frame[name].dtype == pl.Float64
        else Column(name=name, kind="category", source_type="string", nullable=True)
        for name in frame.columns
        if name != "outcome"
    ]
    classes = () if task == "regression" else tuple(sorted(set(frame["outcome"])))
    positive = "yes" if task == "binary" else None
    return Contract(features=tuple(columns), target="outcome", task=task, classes=classes, positive=positive)


@pytest.fixture
def labelled() -> Callable[..., Labelled]:
    """Makes rows of two numbers (one with gaps) and one category that all tell something about the outcome."""

    def make(task: str, rows: int = 300, seed: int = 0) -> Labelled:
        random = np.random.default_rng(seed)
        size, weight = random.normal(size=rows), random.normal(50, 10, rows)
        colour = random.choice(["red", "green", MISSING], rows)
        signal = size + (weight - 50) / 10 + 1.5 * (colour == "red") + random.normal(0, 0.7, rows)
        outcome = {
            "binary": np.where(signal > 0.5, "yes", "no"),
            "multiclass": np.where(signal > 1.5, "high", np.where(signal > 0, "middle", "low")),
            "regression": 1000 + 20 * signal,
        }[task]
        gaps = pl.Series(np.where(random.random(rows) < 0.1, np.nan, weight)).fill_nan(None)
        frame = pl.DataFrame({"size": size, "weight": gaps, "colour": colour, "outcome": outcome})
        return frame, contract_of(frame, task)

    return make
