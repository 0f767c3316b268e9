"""The bounds of a fairness review, from labels to intervals, against fairlearn's own bootstrap."""

from __future__ import annotations

import numpy as np
import polars as pl
from fairlearn.metrics import MetricFrame, selection_rate

from tests.benchmarks.table import Measurement
from tests.benchmarks.timing import cpu_seconds, interleaved
from workbench.fairness import assess, groups_of
from workbench.fairness.intervals import level_for
from workbench.project import Fairness

ROWS = 50_000
GROUPS = 18
RESAMPLES = 1_000
FEW, MORE = 2, 6
ROUNDS = 5


def run(rows: int = ROWS) -> list[Measurement]:
    """Measures CPU; fairlearn does a few resamples, and the cost of one more is multiplied."""
    random = np.random.default_rng(0)
    group = random.integers(GROUPS, size=rows)
    truth = random.binomial(1, 0.3, rows)
    predicted = random.binomial(1, 0.3 + 0.005 * group)
    people = pl.DataFrame({"group": [f"group {number:02}" for number in group]})
    labels, answers = truth.astype(str), predicted.astype(str)
    policy = Fairness(metric="selection_rate", favourable="1")

    def ours() -> object:
        groupings = groups_of(people, ["group"], minimum=policy.minimum_group_size, intersections=policy.intersections)
        return assess(labels, answers, groupings, policy, task="binary", classes=("0", "1"), positive="1")

    def peer(resamples: int) -> object:
        frame = MetricFrame(
            metrics=selection_rate,
            y_true=truth,
            y_pred=predicted,
            sensitive_features=people["group"].to_numpy(),
            n_boot=resamples,
            ci_quantiles=[0.025, 0.975],
            random_state=0,
        )
        return frame.by_group_ci

    own, few, more, once = interleaved(
        lambda: cpu_seconds(ours),
        lambda: cpu_seconds(lambda: peer(FEW)),
        lambda: cpu_seconds(lambda: peer(MORE)),
        lambda: cpu_seconds(lambda: np.bincount(2 * group + predicted)),
        rounds=ROUNDS,
    )
    each = (more - few) / (MORE - FEW)
    theirs = few + (RESAMPLES - FEW) * each
    drawn = level_for(policy.confidence, GROUPS).replicates
    return [
        Measurement(
            path=f"fairness bounds, {rows:,} rows, {GROUPS} groups, {RESAMPLES:,} resamples: CPU seconds",
            ours=own,
            peer=theirs,
            ratio=theirs / own,
            goal="≥ 1,000 (fairlearn n_boot / ours)",
            limit=(
                f"counting the rows once: {1000 * once:.2f} ms CPU. The peer is extrapolated from n_boot {FEW} and {MORE}: "
                f"{each:.3f} s for each resample. Ours draws {drawn:,}, as {GROUPS} comparisons at {policy.confidence:.0%} need"
            ),
        )
    ]
