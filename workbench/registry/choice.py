"""Decides which candidate becomes the model, and says why; a pure function. Called by the choose notebook and by the leaderboard.

The rule: the best value of the project's metric among the candidates whose fairness review did not fail. A winner whose
review is inconclusive waits for a person. That nobody can be chosen is a normal end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbench.records import Estimate, Verdict

__all__ = ["Choice", "Entry", "choose"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One competitor: the ids of its candidate and review records, its name, its verdict and its metrics on the holdout."""

    candidate: str
    name: str
    review: str
    verdict: Verdict
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Who won, or that nobody did, with the reasons a person reads and the ranking of all competitors.

    `winner` and `review` are record ids; both are None when `state` is "none". Each row of `ranking` holds rank, candidate,
    name, review, verdict, value, low and high, best first, with undefined values last.
    """

    state: Literal["chosen", "waiting", "none"]
    winner: str | None
    review: str | None
    reasons: tuple[str, ...]
    ranking: tuple[Mapping[str, Any], ...]


def choose(entries: Sequence[Entry], *, metric: str, higher_is_better: bool) -> Choice:
    """Ranks the candidates by the metric and takes the best one whose review did not fail.

    Equal values are ordered by name. A candidate whose metric is undefined cannot win: nothing says that it is any good.

    Args:
        entries: The reviewed candidates, in any order.
        metric: The name of the metric that decides.
        higher_is_better: Which way is better.
    """
    ranked = sorted(entries, key=lambda entry: (_cost(entry, metric, higher_is_better), entry.name, entry.candidate))
    ranking = tuple(_row(rank, entry, metric) for rank, entry in enumerate(ranked, start=1))
    eligible = [entry for entry in ranked if _obstacle(entry, metric) is None]
    if not eligible:
        return Choice(state="none", winner=None, review=None, reasons=_nobody(ranked, metric), ranking=ranking)
    winner = eligible[0]
    state: Literal["chosen", "waiting"] = "chosen" if winner.verdict == "PASS" else "waiting"
    reasons = (
        _headline(winner, eligible, metric),
        *_passed_over(ranked, metric),
        *_close_call(eligible, metric),
        *(_waits(winner, eligible, metric) if state == "waiting" else ()),
    )
    return Choice(state=state, winner=winner.candidate, review=winner.review, reasons=reasons, ranking=ranking)


def _estimate(entry: Entry, metric: str) -> Estimate:
    return entry.metrics.get(metric, Estimate(value=None))


def _value(entry: Entry, metric: str) -> float | None:
    value = _estimate(entry, metric).value
    return value if value is not None and math.isfinite(value) else None


def _cost(entry: Entry, metric: str, higher_is_better: bool) -> float:
    value = _value(entry, metric)
    if value is None:
        return math.inf
    return -value if higher_is_better else value


def _row(rank: int, entry: Entry, metric: str) -> Mapping[str, Any]:
    estimate, value = _estimate(entry, metric), _value(entry, metric)
    return {
        "rank": rank,
        "candidate": entry.candidate,
        "name": entry.name,
        "review": entry.review,
        "verdict": entry.verdict,
        "value": value,
        "low": None if value is None else estimate.low,
        "high": None if value is None else estimate.high,
    }


def _measured(entry: Entry, metric: str) -> str:
    estimate = _estimate(entry, metric)
    if _value(entry, metric) is None:
        return f"{metric} undefined"
    interval = "" if estimate.low is None or estimate.high is None else f", {estimate.low:.4g} to {estimate.high:.4g}"
    return f"{metric} {estimate.value:.4g}{interval}"


def _headline(winner: Entry, eligible: Sequence[Entry], metric: str) -> str:
    measured = f"{winner.name} ({_measured(winner, metric)})"
    if len(eligible) == 1:
        return f"{measured} is the only candidate that could be chosen."
    return f"{measured} is the best of {len(eligible)} candidates that could be chosen."


def _obstacle(entry: Entry, metric: str) -> str | None:
    """Why a candidate cannot be chosen, or None."""
    if entry.verdict == "FAIL":
        return "its fairness review failed"
    return f"its {metric} is undefined" if _value(entry, metric) is None else None


def _passed_over(ranked: Sequence[Entry], metric: str) -> list[str]:
    """One sentence for each candidate that cannot be chosen."""
    obstacles = [(entry, _obstacle(entry, metric)) for entry in ranked]
    return [f"{entry.name} ({_measured(entry, metric)}) cannot be chosen: {why}." for entry, why in obstacles if why is not None]


def _close_call(eligible: Sequence[Entry], metric: str) -> list[str]:
    """Says so when the winner is hardly, or not at all, ahead of the next candidate."""
    if len(eligible) == 1:
        return []
    first, second = eligible[:2]
    if _value(first, metric) == _value(second, metric):
        tied = [entry.name for entry in eligible if _value(entry, metric) == _value(first, metric)]
        return [f"{', '.join(tied)} have the same {metric}; the first by name was taken."]
    ours, theirs = _estimate(first, metric), _estimate(second, metric)
    if ours.low is None or ours.high is None or theirs.low is None or theirs.high is None:
        return []
    if ours.low <= theirs.high and theirs.low <= ours.high:
        return [f"The lead over {second.name} ({_measured(second, metric)}) is within the noise: their intervals overlap."]
    return []


def _waits(winner: Entry, eligible: Sequence[Entry], metric: str) -> list[str]:
    passed = next((entry for entry in eligible if entry.verdict == "PASS"), None)
    waits = f"The fairness review of {winner.name} is inconclusive: a person has to accept it, with a reason."
    if passed is None:
        return [waits]
    return [waits, f"The best candidate whose review passed is {passed.name} ({_measured(passed, metric)})."]


def _nobody(ranked: Sequence[Entry], metric: str) -> tuple[str, ...]:
    if not ranked:
        return ("There is no candidate to choose from.",)
    return ("No candidate can be chosen, so there is no model.", *_passed_over(ranked, metric))
