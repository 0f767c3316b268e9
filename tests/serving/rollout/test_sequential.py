"""Comparisons of shares that may be looked at whenever one likes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from workbench.errors import BadInput
from workbench.serving.rollout import Arm, Tally, effect_of, interval_of

TALLIES = st.integers(0, 3000).flatmap(lambda trials: st.builds(Tally, hits=st.integers(0, trials), trials=st.just(trials)))
ALPHAS = st.sampled_from([0.2, 0.05, 0.001])


def difference(control: Tally, canary: Tally, alpha: float, before: Tally | None = None):
    known = before or Tally()
    arms = [Arm(weight=1, seen=canary, before=known), Arm(weight=-1, seen=control, before=known, trust=1000)]
    return interval_of(arms, alpha)


def missed(rates: tuple[float, float], share: float, alpha: float, before: Tally, seed: int) -> bool:
    """Whether any of many looks at one rollout, a look after every few answers, had an interval without the truth."""
    random = np.random.default_rng(seed)
    canary = control = Tally()
    for look in range(60):
        new = int(random.binomial(10 + 5 * look, share))
        old = 10 + 5 * look - new
        canary += Tally(hits=int(random.binomial(new, rates[1])), trials=new)
        control += Tally(hits=int(random.binomial(old, rates[0])), trials=old)
        found = difference(control, canary, alpha, before)
        if not found.low <= rates[1] - rates[0] <= found.high:
            return True
    return False


@pytest.mark.parametrize(
    ("rates", "share", "before"),
    [
        ((0.3, 0.3), 0.1, Tally(hits=300, trials=1000)),
        ((0.02, 0.02), 0.1, Tally(hits=20, trials=1000)),
        ((0.3, 0.4), 0.5, Tally()),
        ((0.3, 0.3), 0.1, Tally(hits=800, trials=1000)),  # the past is no guide any more
    ],
)
def test_of_all_looks_at_a_rollout_none_misses_the_truth_but_as_often_as_agreed(rates, share, before):
    """With alpha 0.2, at most 20 of 100 rollouts miss it at any of 60 looks; the mean of a bound that holds is far below."""
    missing = sum(missed(rates, share, 0.2, before, seed) for seed in range(100))
    assert missing <= 20


@settings(max_examples=200, deadline=None)
@given(control=TALLIES, canary=TALLIES, alpha=ALPHAS)
def test_an_interval_is_within_what_shares_can_be_and_holds_the_estimate(control, canary, alpha):
    found = difference(control, canary, alpha)
    assert -1 <= found.low <= found.high <= 1
    if control.rate is not None and canary.rate is not None:
        assert found.low <= canary.rate - control.rate <= found.high


@settings(max_examples=100, deadline=None)
@given(control=TALLIES, canary=TALLIES, alpha=ALPHAS)
def test_exchanging_the_variants_mirrors_the_interval(control, canary, alpha):
    one, other = difference(control, canary, alpha), difference(canary, control, alpha)
    plain = interval_of([Arm(weight=1, seen=canary), Arm(weight=-1, seen=control)], alpha)
    mirrored = interval_of([Arm(weight=1, seen=control), Arm(weight=-1, seen=canary)], alpha)
    assert (one.low <= one.high, other.low <= other.high) == (True, True)
    assert (plain.low, plain.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-7)


@settings(max_examples=50, deadline=None)
@given(control=TALLIES, canary=TALLIES)
def test_more_certainty_takes_a_wider_interval(control, canary):
    wide, narrow = difference(control, canary, 0.001), difference(control, canary, 0.2)
    assert wide.low <= narrow.low + 1e-9
    assert narrow.high <= wide.high + 1e-9


@pytest.mark.parametrize(("control", "canary"), [((30, 300), (12, 60)), ((0, 50), (3, 40)), ((700, 2000), (150, 500))])
def test_the_ends_are_where_the_averaged_likelihood_exceeds_the_best_supposed_one_by_one_over_alpha(control, canary):
    """Found again by a general optimiser, which knows nothing of multipliers."""
    alpha = 0.01
    old, new = Tally(hits=control[0], trials=control[1]), Tally(hits=canary[0], trials=canary[1])
    found = interval_of([Arm(weight=1, seen=new), Arm(weight=-1, seen=old)], alpha)

    def averaged(tally: Tally) -> float:
        hits, misses = 0.5 + tally.hits, 0.5 + tally.trials - tally.hits
        return math.lgamma(hits) + math.lgamma(misses) - math.lgamma(hits + misses) - math.log(math.pi)

    def log_likelihood(tally: Tally, rate: float) -> float:
        return (tally.hits * math.log(rate) if tally.hits else 0.0) + (tally.trials - tally.hits) * math.log1p(-rate)

    for end in (found.low, found.high):
        low, high = max(1e-12, -end), min(1.0, 1 - end) - 1e-12

        def worst(rate: np.ndarray, end: float = end) -> float:
            return -log_likelihood(old, float(rate[0])) - log_likelihood(new, min(max(float(rate[0]) + end, 1e-300), 1 - 1e-12))

        start = min(max((old.hits + new.hits) / (old.trials + new.trials), low), high)
        best = -min(minimize(worst, [at], bounds=[(low, high)], tol=1e-14).fun for at in (start, low, (low + high) / 2))
        assert averaged(old) + averaged(new) - best == pytest.approx(math.log(1 / alpha), abs=1e-3)


def test_what_was_counted_before_narrows_the_interval_where_it_still_holds_and_never_decides():
    old, new = Tally(hits=2250, trials=9000), Tally(hits=250, trials=1000)
    without, with_it = difference(old, new, 0.001), difference(old, new, 0.001, Tally(hits=500, trials=2000))
    assert with_it.high - with_it.low < 0.85 * (without.high - without.low)
    assert difference(Tally(), Tally(), 0.001, Tally(hits=500, trials=2000)) == interval_of(
        [Arm(weight=1, seen=Tally()), Arm(weight=-1, seen=Tally())], 0.001
    )


def test_nothing_counted_excludes_nothing_and_a_hundred_million_answers_are_no_trouble():
    assert difference(Tally(), Tally(), 0.05) == interval_of([Arm(weight=1, seen=Tally()), Arm(weight=-1, seen=Tally())], 0.05)
    assert difference(Tally(), Tally(), 0.05).low == pytest.approx(-1)
    many = Tally(hits=20_000_000, trials=100_000_000)
    found = difference(many, many, 0.001)
    assert 0 < found.high < 0.001
    assert found.low == pytest.approx(-found.high, rel=1e-3)


def test_counts_that_cannot_be_and_an_alpha_that_is_none_are_refused():
    with pytest.raises(BadInput, match="5 of 3 answers"):
        Tally(hits=5, trials=3)
    for alpha in (0.0, 1.0, math.nan):
        with pytest.raises(BadInput, match="alpha is"):
            difference(Tally(), Tally(), alpha)


def test_an_ab_comparison_ends_with_a_sentence():
    one, other = Tally(hits=100, trials=1000), Tally(hits=200, trials=1000)
    risen = effect_of(one, other, of="accepted offers")
    assert risen.difference.low > 0
    assert risen.sentence.startswith("The share of accepted offers is higher with the second variant: 10.00 % and 20.00 %, a")
    assert "95 % confidence at any time" in risen.sentence
    assert "is lower with the second variant" in effect_of(other, one, of="accepted offers").sentence
    assert "does not differ for certain" in effect_of(one, one, of="accepted offers").sentence
    assert "Nothing can be said" in effect_of(one, Tally(), of="accepted offers").sentence
