"""Groups predicted probabilities to compare them with what happened; drawn by `pictures`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.training.scoring import Numbers

__all__ = ["Bins", "calibration_bins"]

MOST_BINS, FEWEST_ROWS = 10, 20
Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """For each group of rows: the mean predicted probability, the share that happened, and its 95 % bounds."""

    predicted: Numbers
    share: Numbers
    low: Numbers
    high: Numbers


def calibration_bins(probability: Numbers, happened: npt.NDArray[np.bool_]) -> Bins:
    """Groups of about equally many rows in the order of their probability, at most ten of at least twenty rows.

    A well calibrated model has `share` equal to `predicted` in each group. Bounds are Wilson's score interval (1927), which
    stays inside 0 to 1. Equal probabilities may fall into different groups.
    """
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, int(np.clip(len(order) // FEWEST_ROWS, 1, MOST_BINS)))
    rows = np.array([len(part) for part in parts], dtype=np.float64)
    share = np.array([happened[part].mean() for part in parts])
    centre = (share + Z95**2 / (2 * rows)) / (1 + Z95**2 / rows)
    reach = Z95 * np.sqrt(share * (1 - share) / rows + Z95**2 / (4 * rows**2)) / (1 + Z95**2 / rows)
    return Bins(
        predicted=np.array([probability[part].mean() for part in parts]),
        share=share,
        low=np.minimum(np.maximum(centre - reach, 0), share),
        high=np.maximum(np.minimum(centre + reach, 1), share),
    )
