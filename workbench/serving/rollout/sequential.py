"""Compares shares at any moment and as often as one likes, from totals alone; called by `judge`, and at the end of an A/B.

A fixed-size test repeated at each look sooner or later rejects what is true. The intervals here hold at all looks at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from scipy.optimize import brentq

from workbench.errors import BadInput
from workbench.serving.rollout.counts import Tally

__all__ = ["Arm", "Effect", "Interval", "effect_of", "interval_of"]

STEEPEST = 60.0
"""The logarithm of the steepest multiplier: past it, a rate is at its end of [0, 1] to the last digit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One share of a comparison.

    Attributes:
        weight: Its factor in the sum that is estimated, such as 1 for the canary and -1 for the control.
        seen: What was counted.
        before: What had been counted before, of the same kind; fixed when counting began.
        trust: The most answers that `before` may count for.
    """

    weight: float
    seen: Tally
    before: Tally = field(default_factory=Tally)
    trust: float = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Holds the true value at every look, but for a probability agreed beforehand."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The end of an A/B comparison: both shares, the interval of second minus first, and a sentence that says it."""

    first: float | None
    second: float | None
    difference: Interval
    sentence: str


def interval_of(arms: Sequence[Arm], alpha: float) -> Interval:
    """A confidence sequence for the weighted sum of the arms' rates, from the totals so far.

    With probability 1 - `alpha`, the true sum lies in the intervals of all moments together: look whenever, stop whenever.
    Arms may be of any size, and traffic may be split unequally. Each arm's answers have to be independent, with a rate that
    stays while it is counted.

    Method: the answers' likelihood, averaged over a Beta prior of each rate, is divided by their highest likelihood under
    rates that give the supposed sum. Under the true rates this ratio is at most a nonnegative martingale that starts at 1, so
    it ever reaches 1/`alpha` with probability `alpha` at most (Ville's inequality); the interval holds the sums for which it
    has not. That is the running maximum-likelihood e-process of Wasserman, Ramdas and Balakrishnan, "Universal inference"
    (PNAS 2020), with the mixture of Robbins (1970) above the line; the interval is its inversion, a confidence sequence as in
    Howard, Ramdas, McAuliffe and Sekhon (Annals of Statistics 2021). Any prior keeps it valid. This one is Jeffreys' plus what
    was counted before, which is why it is narrow where the past still holds.

    Raises:
        BadInput: `alpha` is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise BadInput(f"alpha is {alpha}", hint="Expected a probability between 0 and 1.")
    least = sum(_averaged(arm) for arm in arms) + math.log(alpha)
    return Interval(low=_end(arms, least, 1.0), high=_end(arms, least, -1.0))


def effect_of(first: Tally, second: Tally, *, of: str, alpha: float = 0.05) -> Effect:
    """Compares two variants' shares in both directions, at any moment.

    Args:
        first: What the first variant did.
        second: What the second did.
        of: What is counted, as the end of "the share of": "accepted offers".
        alpha: The probability that any interval of this comparison, whenever taken, misses the truth.

    Raises:
        BadInput: `alpha` is not between 0 and 1.
    """
    difference = interval_of([Arm(weight=1.0, seen=second), Arm(weight=-1.0, seen=first)], alpha)
    if first.rate is None or second.rate is None:
        told = f"Nothing can be said of the share of {of} yet: one variant has no answers."
    else:
        if difference.low > 0:
            found = "is higher with the second variant"
        elif difference.high < 0:
            found = "is lower with the second variant"
        else:
            found = "does not differ for certain"
        low, high = (f"{100 * value:+.2f}" for value in (difference.low, difference.high))
        told = (
            f"The share of {of} {found}: {100 * first.rate:.2f} % and {100 * second.rate:.2f} %, a difference between "
            f"{low} and {high} points ({100 * (1 - alpha):g} % confidence at any time)."
        )
    return Effect(first=first.rate, second=second.rate, difference=difference, sentence=told)


def _averaged(arm: Arm) -> float:
    """The logarithm of the likelihood, averaged over the prior."""
    worth = min(1.0, arm.trust / arm.before.trials) if arm.before.trials else 0.0
    hits = 0.5 + worth * arm.before.hits
    misses = 0.5 + worth * (arm.before.trials - arm.before.hits)
    return _log_beta(hits + arm.seen.hits, misses + arm.seen.trials - arm.seen.hits) - _log_beta(hits, misses)


def _log_beta(first: float, second: float) -> float:
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)


def _end(arms: Sequence[Arm], least: float, direction: float) -> float:
    """Where the highest likelihood for a sum falls to `least`: below the estimate for direction 1, above it for -1.

    The rates that are likeliest for a sum are those of one Lagrange multiplier, so the way outwards is a walk along it.
    """

    def above(steepness: float) -> float:
        multiplier = direction * math.exp(steepness)
        return sum(_likeliest(arm.seen, multiplier * arm.weight)[1] for arm in arms) - least

    steepness = _crossing(above)
    multiplier = direction * math.exp(steepness)
    return sum(arm.weight * _likeliest(arm.seen, multiplier * arm.weight)[0] for arm in arms)


def _crossing(above: Callable[[float], float]) -> float:
    """Where a falling function passes 0, or the end of the range if it never does."""
    start, stop = -STEEPEST, 0.0
    while above(stop) > 0:
        start, stop = stop, stop + 4.0
        if stop > STEEPEST:
            return STEEPEST
    return float(brentq(above, start, stop, xtol=1e-9))


def _likeliest(seen: Tally, pull: float) -> tuple[float, float]:
    """The rate with the highest log-likelihood minus `pull` times the rate, and its log-likelihood; solves a quadratic.

    Each branch is written so that nothing cancels: a positive pull makes the rate small, a negative one its complement.
    """
    misses = seen.trials - seen.hits
    wanted, rest = (seen.hits, misses) if pull > 0 else (misses, seen.hits)
    size = seen.trials + abs(pull)
    small = 2 * wanted / (size + math.sqrt(max(0.0, size * size - 4 * abs(pull) * wanted)))
    likelihood = (wanted * math.log(small) if wanted else 0.0) + (rest * math.log1p(-small) if rest else 0.0)
    return (small if pull > 0 else 1 - small), likelihood
