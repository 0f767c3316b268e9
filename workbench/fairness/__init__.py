"""Assessing disparities between groups of people: the groups, one metric, bounds on each ratio, and a verdict of three states.

A model is never judged on a point value: PASS and FAIL need a whole confidence interval on one side of the policy's limit,
and everything else is INCONCLUSIVE, with the number of rows that would help. There is no single definition of fairness, so a
verdict speaks of one metric, one limit and the declared columns, in a context that only people can judge.
"""

from workbench.fairness.assessment import Assessment, assess
from workbench.fairness.frames import rate_frame
from workbench.fairness.grouping import Grouping, groups_of
from workbench.fairness.pictures import forest
from workbench.fairness.reasons import Finding, NotAssessed
from workbench.fairness.thresholds import threshold_curve

__all__ = [
    "Assessment",
    "Finding",
    "Grouping",
    "NotAssessed",
    "assess",
    "forest",
    "groups_of",
    "rate_frame",
    "threshold_curve",
]
