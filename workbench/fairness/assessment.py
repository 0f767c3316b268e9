"""The three-state verdict on a model's disparities, from confidence bounds. Called by 03_review_fairness.

Rule (the four-fifths rule of 29 CFR 1607.4(D) is the limit 0.8; judging its bounds instead of the point is ours): a group is a
PASS only if the lower bound of its ratio reaches the limit, a FAIL only if the upper bound lies below it, else INCONCLUSIVE. So
few rows lead to "we cannot tell", not to a wrong answer. The whole is a FAIL if any group is, INCONCLUSIVE if any group is or
if an attribute could not be compared at all, and else a PASS.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from workbench.fairness.grouping import Grouping
from workbench.fairness.intervals import Level, level_for, rate_estimate, ratio_estimate, replicates
from workbench.fairness.rates import Booleans, Tally, measure, same_length, tally
from workbench.fairness.reasons import Finding, NotAssessed, reasons_for
from workbench.project import Fairness, Task
from workbench.records import Estimate, GroupAssessment, Verdict

__all__ = ["Assessment", "assess"]

MOST_ROWS_NEEDED = 1_000_000
TABLE = {
    **dict.fromkeys(("attribute", "group", "verdict"), pl.String),
    **dict.fromkeys(("ratio", "low", "high", "rate"), pl.Float64),
    **dict.fromkeys(("rows", "rows_needed"), pl.Int64),
    **dict.fromkeys(("reference", "outcome"), pl.String),
}
SEVERITY: dict[Verdict, int] = {"PASS": 0, "INCONCLUSIVE": 1, "FAIL": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the policy says about a model's disparities, why, and every group behind it, those left out included."""

    metric: str
    verdict: Verdict
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    not_assessed: tuple[NotAssessed, ...]
    limit: float
    confidence: float

    @property
    def groups(self) -> tuple[GroupAssessment, ...]:
        """Every assessed group, as it is recorded."""
        return tuple(finding.group for finding in self.findings)

    def table(self) -> pl.DataFrame:
        """Every assessed group as one row, worst first; for a notebook."""
        return pl.DataFrame(
            [_table_row(finding) for finding in sorted(self.findings, key=_badness, reverse=True)],
            schema=TABLE,
            orient="row",
        )


def assess(
    y_true: Iterable[object],
    y_predicted: Iterable[object],
    groupings: Sequence[Grouping],
    policy: Fairness,
    *,
    task: Task,
    classes: Sequence[str] = (),
    positive: str | None = None,
    seed: int = 0,
) -> Assessment:
    """Compares every group with the best-off one by the policy's metric and judges the bounds of the ratio.

    A rate is compared only if it rests on at least `policy.minimum_group_size` rows (for true_positive_rate: rows with the
    favourable label, for false_positive_rate: rows without it). Without a favourable outcome, a multiclass model is assessed
    for each class against the rest and the worst class of each group decides. `rates` defines the metrics and the reference,
    `intervals` the bounds.

    Args:
        y_true: the labels, as text; numbers for a regression.
        y_predicted: the predictions for the same rows, in the same order.
        groupings: from `groups_of`, for the same rows.
        policy: the [fairness] section of the project.
        task: binary, multiclass or regression.
        classes: all classes; found in the labels when left out.
        positive: the favourable outcome where the policy names none.
        seed: of the resampling.

    Raises:
        BadInput: rows do not match, or metric, task and classes do not go together.
    """
    measured = measure(y_true, y_predicted, policy, task=task, classes=classes, positive=positive)
    for grouping in groupings:
        same_length(len(measured[0].value), len(grouping.codes))
    tallies = [[tally(each, grouping) for each in measured] for grouping in groupings]
    level = level_for(policy.confidence, sum(_comparisons(each, policy) for row in tallies for each in row))
    random = np.random.default_rng(seed)
    findings: list[Finding] = []
    for grouping, row in zip(groupings, tallies, strict=True):
        outcomes = [_findings(grouping, each, policy, level, random) for each in row]
        findings += [max(of_group, key=_badness) for of_group in zip(*outcomes, strict=True)]
    left_out = tuple(small for grouping in groupings for small in _not_assessed(grouping, policy))
    compared = {finding.group.attribute for finding in findings if finding.group.ratio.value is not None}
    uncompared = tuple(grouping.attribute for grouping in groupings if grouping.attribute not in compared)
    verdict = _overall(findings, all_compared=bool(groupings) and not uncompared)
    return Assessment(
        metric=policy.metric,
        verdict=verdict,
        reasons=reasons_for(verdict, findings, left_out, uncompared, policy),
        findings=tuple(findings),
        not_assessed=left_out,
        limit=policy.limit,
        confidence=policy.confidence,
    )


def _eligible(tally_: Tally, policy: Fairness) -> Booleans:
    return tally_.base >= policy.minimum_group_size


def _comparisons(tally_: Tally, policy: Fairness) -> int:
    """How many groups are compared; the reference counts, since which group it is was learned from these rows."""
    groups = int(_eligible(tally_, policy).sum())
    return groups if groups > 1 else 0


def _findings(grouping: Grouping, tally_: Tally, policy: Fairness, level: Level, random: np.random.Generator) -> list[Finding]:
    """One finding for every group with enough rows, in the order of the labels."""
    eligible = _eligible(tally_, policy)
    reference = tally_.best(eligible) if eligible.sum() > 1 else None
    of_reference = None if reference is None else replicates(tally_, reference, level.replicates, random)
    found = []
    for group, (label, rows) in enumerate(zip(grouping.labels, grouping.rows.tolist(), strict=True)):
        if rows < policy.minimum_group_size:
            continue
        drawn = of_reference if group == reference else replicates(tally_, group, level.replicates, random)
        compared = reference is not None and bool(eligible[group])
        value = tally_.ratio(group, reference) if reference is not None and compared else math.nan
        if group == reference and value == 1:
            ratio = Estimate(value=1.0, low=1.0, high=1.0)
        elif tally_.proportion:
            ratio = ratio_estimate(value, drawn, of_reference, level)
        else:
            ratio = ratio_estimate(value, of_reference, drawn, level)
        base = int(tally_.base[group])
        verdict = _verdict(ratio, policy.limit)
        assessed = GroupAssessment(
            attribute=grouping.attribute,
            group=label,
            rows=rows,
            rate=rate_estimate(float(tally_.mean[group]), drawn, level),
            ratio=ratio,
            verdict=verdict,
            rows_needed=_rows_needed(rows, base, ratio, policy) if verdict == "INCONCLUSIVE" else None,
        )
        name = None if reference is None else grouping.labels[reference]
        found.append(Finding(group=assessed, base=base, outcome=tally_.outcome, reference=name))
    return found


def _verdict(ratio: Estimate, limit: float) -> Verdict:
    if ratio.low is None or ratio.high is None:
        return "INCONCLUSIVE"
    if ratio.high < limit:
        return "FAIL"
    return "PASS" if ratio.low >= limit else "INCONCLUSIVE"


def _rows_needed(rows: int, base: int, ratio: Estimate, policy: Fairness) -> int | None:
    """How many more labelled rows of a group would likely settle its verdict, or None when that cannot be told.

    An approximation: the ratio stays where it is and its bounds close in on it as 1/√n, which they do when the reference
    grows as the group does. None where the ratio sits on the limit, or more than a million rows would be needed.
    """
    if base < policy.minimum_group_size:
        return _about((policy.minimum_group_size - base) * rows / base) if base else None
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return None
    gap = abs(ratio.value - policy.limit)
    width = ratio.value - ratio.low if ratio.value >= policy.limit else ratio.high - ratio.value
    if gap * math.sqrt(MOST_ROWS_NEEDED / rows) <= width:
        return None
    return _about(rows * ((width / gap) ** 2 - 1))


def _about(rows: float) -> int:
    """Rounded up to two digits, so as not to promise more than the approximation holds."""
    unit = int(10 ** max(0, math.floor(math.log10(max(rows, 1))) - 1))
    return max(1, math.ceil(rows / unit) * unit)


def _not_assessed(grouping: Grouping, policy: Fairness) -> list[NotAssessed]:
    return [
        NotAssessed(attribute=grouping.attribute, group=label, rows=rows)
        for label, rows in zip(grouping.labels, grouping.rows.tolist(), strict=True)
        if rows < policy.minimum_group_size
    ]


def _overall(findings: Sequence[Finding], *, all_compared: bool) -> Verdict:
    verdicts = {finding.group.verdict for finding in findings}
    if "FAIL" in verdicts:
        return "FAIL"
    return "PASS" if all_compared and verdicts == {"PASS"} else "INCONCLUSIVE"


def _badness(finding: Finding) -> tuple[int, float, float]:
    """Sorts by verdict, then by how low the ratio may be; what could not be compared comes after what could."""
    ratio = finding.group.ratio
    value = 2.0 if ratio.value is None else ratio.value
    return SEVERITY[finding.group.verdict], -(value if ratio.low is None else ratio.low), -value


def _table_row(finding: Finding) -> tuple[object, ...]:
    group, ratio = finding.group, finding.group.ratio
    return (
        *(group.attribute, group.group, group.verdict),
        *(ratio.value, ratio.low, ratio.high, group.rate.value),
        *(group.rows, group.rows_needed, finding.reference, finding.outcome),
    )
