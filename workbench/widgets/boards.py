"""The three boards of 00_explore; each redraws one picture when a control changes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from workbench.registry.pictures import leaderboard_picture
from workbench.widgets.pictures import column_figure, threshold_figure

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from workbench.fairness import Grouping
    from workbench.registry import Entry

__all__ = ["DataBoard", "Leaderboard", "ThresholdBoard"]

WIDE = ipywidgets.Layout(width="420px")
NAMED = {"description_width": "120px"}


class _Board(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets ships no types
    """Controls above one picture, which `draw` makes for the controls as they stand."""

    def __init__(self, controls: Sequence[ipywidgets.Widget], draw: Callable[[], Figure]) -> None:
        self._draw = draw
        self._image = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="760px"))
        super().__init__([*controls, self._image])
        for control in controls:
            control.observe(self._redraw, names="value")
        self._redraw()

    def picture(self) -> Figure:
        """The figure for the controls as they stand; what `session.show` takes where nobody looks."""
        return self._draw()

    def _redraw(self, _change: Mapping[str, Any] | None = None) -> None:
        buffer = io.BytesIO()
        self.picture().savefig(buffer, format="png", dpi=110)
        self._image.value = buffer.getvalue()


class DataBoard(_Board):
    """One column at a time, split by the target.

    Args:
        frame: rows as `01_prepare` saved them, with the target.
        target: the target's name.
    """

    def __init__(self, frame: pl.DataFrame, target: str) -> None:
        self._frame, self._target = frame, target
        columns = [name for name in frame.columns if name != target]
        self._column = ipywidgets.Dropdown(options=columns, description="column", style=NAMED, layout=WIDE)
        super().__init__([self._column], self._figure)

    def _figure(self) -> Figure:
        """The distribution of the chosen column."""
        return column_figure(self._frame, self._column.value, self._target)


class Leaderboard(_Board):
    """All candidates by one metric, with intervals and verdicts.

    Args:
        entries: what `session.load("candidates")` returns.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        metrics = list(entries[0].metrics)
        self._metric = ipywidgets.Dropdown(options=metrics, description="metric", style=NAMED, layout=WIDE)
        super().__init__([self._metric], self._figure)

    def _figure(self) -> Figure:
        """Every candidate's estimate and interval."""
        return leaderboard_picture(self._entries, self._metric.value)


class ThresholdBoard(_Board):
    """What a decision threshold means: how many of each group are selected, and how often the decision is right.

    Args:
        truth: the labels of the holdout.
        probability: the model's probability of the positive class, one per row.
        groupings: what `groups_of` returns for the same rows.
        positive: the label that counts as positive.
        favourable: the label people want to get; selecting means answering it.
        limit: the smallest acceptable ratio between selection rates.
    """

    def __init__(
        self,
        truth: pl.Series,
        probability: pl.Series,
        groupings: Sequence[Grouping],
        *,
        positive: str,
        favourable: str,
        limit: float,
    ) -> None:
        self._positive_truth = (truth == positive).to_numpy()
        self._probability = probability.to_numpy()
        self._groups = {grouping.attribute: np.asarray(grouping.label_of_each_row) for grouping in groupings}
        self._favours_positive = favourable == positive
        self._by = ipywidgets.Dropdown(options=list(self._groups), description="groups", style=NAMED, layout=WIDE)
        self._threshold = ipywidgets.FloatSlider(
            value=0.5, min=0.02, max=0.98, step=0.02, description="threshold", continuous_update=False, style=NAMED, layout=WIDE
        )
        self._limit = ipywidgets.FloatSlider(
            value=limit, min=0, max=1, step=0.01, description="fairness limit", continuous_update=False, style=NAMED, layout=WIDE
        )
        super().__init__([self._by, self._threshold, self._limit], self._figure)

    def _figure(self) -> Figure:
        """Selection rates by group under the threshold, against the limit."""
        positive = self._probability >= self._threshold.value
        return threshold_figure(
            selected=positive == self._favours_positive,
            right=positive == self._positive_truth,
            groups=self._groups[self._by.value],
            limit=self._limit.value,
        )
