"""A rollout gives a new model, the canary, a growing share of the requests while the live one, the control, answers the rest.

`rollouts` keeps in the control database where each of them stands, `counts` holds what both models have answered since a step
began, `sequential` compares such counts at any time, and `judge` says from them whether the canary advances, holds or is rolled
back. An A/B comparison ends with `effect_of`.
"""

from workbench.serving.rollout.counts import Counts, Evidence, Tally
from workbench.serving.rollout.judge import Action, Judgement, Signal, judge
from workbench.serving.rollout.rollouts import PLANS, Outcome, Plan, Rollout, Rollouts, State, Strategy
from workbench.serving.rollout.sequential import Arm, Effect, Interval, effect_of, interval_of

__all__ = [
    "PLANS",
    "Action",
    "Arm",
    "Counts",
    "Effect",
    "Evidence",
    "Interval",
    "Judgement",
    "Outcome",
    "Plan",
    "Rollout",
    "Rollouts",
    "Signal",
    "State",
    "Strategy",
    "Tally",
    "effect_of",
    "interval_of",
    "judge",
]
