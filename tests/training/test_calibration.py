"""Groups of predicted probabilities against what happened."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.training.calibration import calibration_bins


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 400))
def test_shares_lie_within_their_bounds_and_bounds_within_zero_and_one(seed, rows):
    random = np.random.default_rng(seed)
    bins = calibration_bins(np.round(random.random(rows), 1), random.random(rows) < 0.5)
    assert (bins.low >= 0).all()
    assert (bins.low <= bins.share).all()
    assert (bins.share <= bins.high).all()
    assert (bins.high <= 1).all()
    assert (np.diff(bins.predicted) >= -1e-12).all()


def test_a_calibrated_model_lies_on_the_diagonal():
    random = np.random.default_rng(0)
    probability = random.random(20_000)
    bins = calibration_bins(probability, random.random(20_000) < probability)
    assert len(bins.share) == 10
    assert bins.share == pytest.approx(bins.predicted, abs=0.03)


def test_few_rows_make_few_groups():
    assert len(calibration_bins(np.linspace(0, 1, 45), np.arange(45) % 2 == 0).share) == 2
    assert len(calibration_bins(np.array([0.3]), np.array([True])).share) == 1
