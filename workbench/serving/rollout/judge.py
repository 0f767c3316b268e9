"""Says whether a canary advances, holds or is rolled back; a pure function of counts, called by the controller every second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.project import Rollout
from workbench.serving.rollout.counts import Evidence, Tally
from workbench.serving.rollout.sequential import Arm, Interval, interval_of

__all__ = ["Action", "Judgement", "Signal", "judge"]

Action = Literal["advance", "hold", "roll back"]
Finding = Literal["fine", "worse", "undecided", "too few"]

CONTROL_TRUST, CANARY_TRUST = 1000.0, 100.0
"""For how many answers what was counted before the step may count: more for the model that it was counted of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One comparison of canary and control.

    Attributes:
        name: `errors`, `latency`, `labels`, `predictions: KIND` or `groups: COLUMN=GROUP`.
        control: The control's share; of a group, by how much it is selected less often than the others. None without answers.
        canary: The canary's.
        difference: The interval of canary minus control, which holds at all looks; of a group, that of by how much it got worse.
        tolerated: The difference that is still accepted.
        finding: `worse` beyond what is tolerated, `fine` within it, `undecided`, or `too few` answers to hold a step up.
        sentence: The same in words.
    """

    name: str
    control: float | None
    canary: float | None
    difference: Interval
    tolerated: float
    finding: Finding
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What to do now, why in one sentence, and every comparison behind it."""

    action: Action
    reason: str
    signals: tuple[Signal, ...]


def judge(plan: Rollout, evidence: Evidence, *, minimum_group_size: int = 50, held_seconds: float = 0.0) -> Judgement:
    """Judges one step by what was counted in it; call it as often as you like.

    The canary is rolled back once a signal is certainly worse than tolerated, and advances once errors, latency, every kind of
    prediction and every group of sufficient size are certainly not, after `plan.minimum_answers` of the canary. Labels arrive
    late: they roll back, but are not waited for. Over all signals, steps and looks, a canary that is within what is tolerated
    is rolled back with a probability of `plan.alpha` at most: each interval gets an equal part of it (Bonferroni).

    Args:
        plan: The project's `[rollout]`.
        evidence: The counts since the step began, and those before it.
        minimum_group_size: Rows of a group, and of its others, that each variant has to have answered for the group to be judged.
        held_seconds: For how long the step has lasted; after `plan.max_hold_seconds`, `plan.undecided` decides.

    Raises:
        BadInput: counts that cannot be.
    """
    signals = tuple(_signals(plan, evidence, minimum_group_size))
    answers = evidence.canary.errors.trials
    worse = [signal for signal in signals if signal.finding == "worse"]
    if worse:
        return Judgement(action="roll back", reason=" ".join(signal.sentence for signal in worse), signals=signals)
    if answers < plan.minimum_answers:
        return Judgement(
            action="hold",
            reason=f"The canary has given {answers:,} answers of at least {plan.minimum_answers:,}.",
            signals=signals,
        )
    waiting = [signal.name for signal in signals if _holds_up(signal)]
    if not waiting:
        return Judgement(
            action="advance",
            reason=f"After {answers:,} answers every signal is certainly within what is tolerated.",
            signals=signals,
        )
    undecided = f"After {answers:,} answers these are not decided: {', '.join(waiting)}."
    if held_seconds < plan.max_hold_seconds:
        return Judgement(action="hold", reason=undecided, signals=signals)
    decided = "promote or roll back by hand" if plan.undecided == "hold" else f"the plan says to {plan.undecided}"
    return Judgement(
        action=plan.undecided, reason=f"{undecided} The step has lasted {held_seconds:,.0f} seconds: {decided}.", signals=signals
    )


def _holds_up(signal: Signal) -> bool:
    if signal.name == "labels" or signal.finding == "fine":
        return False
    return signal.finding == "undecided" or not signal.name.startswith("groups")


def _signals(plan: Rollout, evidence: Evidence, minimum_group_size: int) -> Iterator[Signal]:
    control, canary, before, tolerated = evidence.control, evidence.canary, evidence.before, plan.tolerated
    groups = [(column, group) for column, names in before.groups.items() for group in names if len(names) > 1]
    alpha = plan.alpha / (max(1, len(plan.judged)) * (3 + len(before.predictions) + len(groups)))
    one = _Comparison(alpha=alpha, either=False)
    yield one.of("errors", control.errors, canary.errors, before.errors, tolerated.errors)
    yield one.of("latency", control.slow, canary.slow, before.slow, tolerated.latency)
    yield one.of("labels", control.wrong, canary.wrong, before.wrong, tolerated.labels)
    both = _Comparison(alpha=alpha, either=True)
    for kind, was in before.predictions.items():
        old, new = control.predictions.get(kind, Tally()), canary.predictions.get(kind, Tally())
        yield both.of(f"predictions: {kind}", old, new, was, tolerated.predictions)
    for column, group in groups:
        yield _group(column, group, evidence, tolerated.groups, alpha=alpha, fewest=minimum_group_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """Compares one share; a rise counts, or with `either` a change in either direction."""

    alpha: float
    either: bool

    def of(self, name: str, control: Tally, canary: Tally, before: Tally, tolerated: float) -> Signal:
        difference = interval_of(_difference(control, canary, before), self.alpha)
        return _signal(name, control.rate, canary.rate, difference, tolerated, either=self.either)


def _group(column: str, group: str, evidence: Evidence, tolerated: float, *, alpha: float, fewest: int) -> Signal:
    """By how much more a group is selected less often than the others of its column.

    A group that the canary does not put behind the others is not worse off, however much its lead shrank: the change counts
    up to the canary's own gap only. So the interval is that of the smaller of both, each with half of alpha.
    """
    now = {which: getattr(evidence, which) for which in ("control", "canary", "before")}
    own = {which: counts.groups.get(column, {}).get(group, Tally()) for which, counts in now.items()}
    rest = {which: counts.others(column, group) for which, counts in now.items()}
    canary_gap = [
        Arm(weight=1.0, seen=rest["canary"], before=rest["before"], trust=CANARY_TRUST),
        Arm(weight=-1.0, seen=own["canary"], before=own["before"], trust=CANARY_TRUST),
    ]
    control_gap = [
        Arm(weight=-1.0, seen=rest["control"], before=rest["before"], trust=CONTROL_TRUST),
        Arm(weight=1.0, seen=own["control"], before=own["before"], trust=CONTROL_TRUST),
    ]
    gap, change = interval_of(canary_gap, alpha / 2), interval_of([*canary_gap, *control_gap], alpha / 2)
    smallest = min(tally.trials for which in ("control", "canary") for tally in (own[which], rest[which]))
    return _signal(
        f"groups: {column}={group}",
        _gap(rest["control"], own["control"]),
        _gap(rest["canary"], own["canary"]),
        Interval(low=min(gap.low, change.low), high=min(gap.high, change.high)),
        tolerated,
        either=False,
        enough=smallest >= fewest,
    )


def _gap(others: Tally, group: Tally) -> float | None:
    return None if others.rate is None or group.rate is None else others.rate - group.rate


def _difference(control: Tally, canary: Tally, before: Tally) -> Sequence[Arm]:
    return (
        Arm(weight=1.0, seen=canary, before=before, trust=CANARY_TRUST),
        Arm(weight=-1.0, seen=control, before=before, trust=CONTROL_TRUST),
    )


def _signal(
    name: str,
    control: float | None,
    canary: float | None,
    difference: Interval,
    tolerated: float,
    *,
    either: bool,
    enough: bool = True,
) -> Signal:
    least, most = difference.low, difference.high
    finding: Finding = "undecided"
    if control is None or canary is None or not enough:
        finding = "too few"
    elif least > tolerated or (either and most < -tolerated):
        finding = "worse"
    elif most <= tolerated and (least >= -tolerated or not either):
        finding = "fine"
    return Signal(
        name=name,
        control=control,
        canary=canary,
        difference=difference,
        tolerated=tolerated,
        finding=finding,
        sentence=_sentence(name, control, canary, difference, tolerated, finding),
    )


def _sentence(
    name: str, control: float | None, canary: float | None, difference: Interval, tolerated: float, finding: Finding
) -> str:
    title = name[0].upper() + name[1:]
    if control is None or canary is None:
        return f"{title}: nothing to compare yet."
    what = "behind the others by" if name.startswith("groups") else "a share of"
    low, high, most = (f"{100 * value:+.1f}" for value in (difference.low, difference.high, tolerated))
    return (
        f"{title}: {what} {100 * canary:.1f} % with the canary and {100 * control:.1f} % with the control, a difference between "
        f"{low} and {high} points where {most.lstrip('+')} are tolerated: {finding}."
    )
