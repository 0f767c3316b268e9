"""A rollout gives a new model a growing share of a service's requests, while the live one, the control, answers the rest.

`rollouts` keeps in the control database where each of them stands.
"""

from workbench.serving.rollout.rollouts import PLANS, Outcome, Plan, Rollout, Rollouts, State, Strategy

__all__ = ["PLANS", "Outcome", "Plan", "Rollout", "Rollouts", "State", "Strategy"]
