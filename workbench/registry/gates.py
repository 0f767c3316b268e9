"""Whether a bundle may be released: one pure function, the same in notebook, command line, server and flow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from workbench.errors import BadInput
from workbench.project import Gates
from workbench.records import Approval, Estimate, Stage, Waiver
from workbench.registry.bundle import Bundle

__all__ = ["NEVER_WAIVED", "GateResult", "evaluate", "has_expired", "missed_for"]

STAGING = frozenset({"fairness", "contract", "parity", "signature"})
"""What holds for staging already: what no test there could show. Production asks for every declared gate."""

NEVER_WAIVED = frozenset({"approvals", "signature"})
"""A waiver stands for a judgement about numbers; it replaces neither other people's decisions nor the proof of the bytes."""


PARITY: Mapping[bool | None, str] = {
    True: "the served format provably predicts the same",
    False: "nothing proves that the served format predicts the same",
    None: "the trained file itself is served",
}

SMALLEST_SHOWN = 0.0001


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate, named by its key in `[gates]`: whether it passes, why and by how much, and the waiver that lets it pass."""

    gate: str
    passed: bool
    reason: str
    waiver: str | None = None


def evaluate(
    bundle: Bundle,
    policy: Gates,
    approvals: Sequence[Approval | Waiver],
    now: datetime,
    *,
    live: Bundle | None = None,
    authors: frozenset[str] = frozenset(),
) -> tuple[GateResult, ...]:
    """Every declared gate's result, in the policy's order. It never raises: what cannot be judged does not pass.

    A decision is an act of the past, made under a role that was held then. Who loses the role later decides nothing more,
    and what they decided stands until it expires. To void it at once, change the policy or reject the bundle.

    Args:
        bundle: what would be released.
        policy: the project's gates.
        approvals: decisions and waivers on this model; those that name another bundle or policy, or have expired, do not count.
        now: the time that decides about expiry and age.
        live: what is in production now, to compare the metrics with.
        authors: whose approvals and waivers do not count.
    """
    counted = [
        decision
        for decision in approvals
        if (decision.model, decision.bundle, decision.policy) == (bundle.model, bundle.digest, policy.digest)
        and decision.actor not in authors
        and not has_expired(decision, now)
    ]
    waivers = {decision.gate: decision for decision in counted if isinstance(decision, Waiver) and decision.reason.strip()}
    decided = [decision for decision in counted if isinstance(decision, Approval)]
    results = (*_numbers(bundle, policy, live), *_facts(bundle, policy, now), _approved(policy, decided))
    return tuple(_waived(result, waivers) for result in results)


def has_expired(decision: Approval | Waiver, now: datetime) -> bool:
    """Whether a decision counts no more at that time; one whose expiry is no time never counts."""
    left = _left(decision.expires, now)
    return left is None or left <= timedelta(0)


def missed_for(stage: Stage, results: Sequence[GateResult]) -> tuple[GateResult, ...]:
    """The gates that keep a model from a stage."""
    asked = {result.gate for result in results} if stage == "production" else STAGING if stage == "staging" else frozenset()
    return tuple(result for result in results if not result.passed and result.gate in asked)


def _waived(result: GateResult, waivers: Mapping[str, Waiver]) -> GateResult:
    waiver = waivers.get(result.gate)
    if result.passed or waiver is None or result.gate in NEVER_WAIVED:
        return result
    told = f"{result.reason}; waived by {waiver.actor} until {waiver.expires[:10]}: {waiver.reason}"
    return replace(result, passed=True, reason=told, waiver=waiver.id)


def _numbers(bundle: Bundle, policy: Gates, live: Bundle | None) -> Iterator[GateResult]:
    """The metrics' gates: one for each bound. The confidence bound on the worse side has to keep it."""
    for name, gate in policy.metrics.items():
        estimate = bundle.metrics.get(name)
        if gate.floor is not None:
            yield _bounded(f"metrics.{name}.floor", name, estimate, gate.floor, higher=True)
        if gate.ceiling is not None:
            yield _bounded(f"metrics.{name}.ceiling", name, estimate, gate.ceiling, higher=False)
        if gate.worse_by is not None:
            yield _compared(f"metrics.{name}.worse_by", name, estimate, gate.worse_by, live)


def _measured(name: str, estimate: Estimate | None, *, higher: bool) -> tuple[float, float] | str:
    """A metric's value and its confidence bound on the worse side, or why they are not known."""
    if estimate is None:
        return f"{name} was not measured"
    if estimate.value is None or not math.isfinite(estimate.value):
        return f"{name} is undefined on the holdout"
    bound = estimate.low if higher else estimate.high
    if bound is None or not math.isfinite(bound):
        return f"{name} {estimate.value:.4f} has no confidence bound, and only that counts"
    return estimate.value, bound


def _bounded(gate: str, name: str, estimate: Estimate | None, limit: float, *, higher: bool) -> GateResult:
    measured = _measured(name, estimate, higher=higher)
    if isinstance(measured, str):
        return GateResult(gate=gate, passed=False, reason=measured)
    value, bound = measured
    passed = bound >= limit if higher else bound <= limit
    what = f"the {'floor' if higher else 'ceiling'} {limit:.4f}"
    return GateResult(gate=gate, passed=passed, reason=f"{name} {value:.4f}, bound {bound:.4f} is {_apart(bound, limit)} {what}")


def _compared(gate: str, name: str, estimate: Estimate | None, worse_by: float, live: Bundle | None) -> GateResult:
    """Compares like with like: the bound of this model with the same bound of the live one."""
    if live is None:
        return GateResult(gate=gate, passed=True, reason="no model is live yet that it could be worse than")
    from workbench.training.metrics import higher_is_better  # loads scikit-learn

    try:
        higher = higher_is_better(name)
    except BadInput as error:
        return GateResult(gate=gate, passed=False, reason=error.message)
    ours, theirs = _measured(name, estimate, higher=higher), _measured(name, live.metrics.get(name), higher=higher)
    if isinstance(ours, str):
        return GateResult(gate=gate, passed=False, reason=ours)
    if isinstance(theirs, str):
        return GateResult(gate=gate, passed=False, reason=f"it cannot be compared with {live.model}, which is live: {theirs}")
    worse = theirs[1] - ours[1] if higher else ours[1] - theirs[1]
    told = f"{name} {ours[0]:.4f}, bound {ours[1]:.4f} is {_apart(ours[1], theirs[1])} that of {live.model}, which is live"
    if worse <= worse_by:
        return GateResult(gate=gate, passed=True, reason=told)
    return GateResult(gate=gate, passed=False, reason=f"{told}: {_shown(worse - worse_by)} more than the {worse_by:.4f} allowed")


def _apart(bound: float, limit: float) -> str:
    """How far a bound is from a limit."""
    return "exactly" if bound == limit else f"{_shown(abs(bound - limit))} {'above' if bound > limit else 'below'}"


def _shown(gap: float) -> str:
    """A difference, precisely enough that what is missed never reads as 0."""
    return f"{gap:.4f}" if gap >= SMALLEST_SHOWN else f"{gap:.2g}"


def _facts(bundle: Bundle, policy: Gates, now: datetime) -> Iterator[GateResult]:
    if policy.fairness != "any":
        yield _fair(bundle, policy)
    if policy.contract:
        kept = (
            "the rows were checked against the data contract"
            if bundle.contract_passed
            else "no record says that the rows were checked against the data contract"
        )
        yield GateResult(gate="contract", passed=bundle.contract_passed, reason=kept)
    if policy.parity:
        yield GateResult(gate="parity", passed=bundle.parity is not False, reason=PARITY[bundle.parity])
    if policy.signature:
        signed = bundle.signature is not None
        reason = "every packaged file is signed" if signed else "it was packaged without a signature: package it again"
        yield GateResult(gate="signature", passed=signed, reason=reason)
    if policy.oldest_days is not None:
        yield _fresh(bundle, policy.oldest_days, now)


def _fair(bundle: Bundle, policy: Gates) -> GateResult:
    accepted = policy.fairness == "accepted" and bundle.fairness == "INCONCLUSIVE" and bundle.accepted
    passed = bundle.fairness == "PASS" or accepted
    reason = f"the review says {bundle.fairness}"
    if accepted:
        reason += ", and a reviewer accepted it"
    elif not passed:
        wanted = "PASS is asked for" if policy.fairness == "PASS" else "PASS, or INCONCLUSIVE and accepted, is asked for"
        reason = f"{reason}, {wanted}" + "".join(f"; {why}" for why in bundle.fairness_reasons[:1])
    return GateResult(gate="fairness", passed=passed, reason=reason)


def _fresh(bundle: Bundle, oldest_days: int, now: datetime) -> GateResult:
    left = _left(bundle.made, now)
    if left is None:
        return GateResult(gate="oldest_days", passed=False, reason=f"when it was packaged is unknown: {bundle.made!r}")
    days = -left / timedelta(days=1)
    reason = f"packaged {days:.1f} days ago, {oldest_days} are allowed"
    if days > oldest_days:
        reason += f": {days - oldest_days:.1f} too many"
    return GateResult(gate="oldest_days", passed=days <= oldest_days, reason=reason)


def _approved(policy: Gates, decided: Sequence[Approval]) -> GateResult:
    """Counts people, not decisions; one standing rejection outweighs every approval."""
    heard = [decision for decision in decided if decision.role in policy.roles]
    rejections = [decision for decision in heard if decision.decision == "reject"]
    if rejections:
        first = rejections[0]
        why = f"{first.actor} rejected this bundle: {first.comment}"
        return GateResult(gate="approvals", passed=False, reason=why)
    people = sorted({decision.actor for decision in heard})
    if not policy.approvals:
        given = f"; approved by {', '.join(people)}" if people else ""
        return GateResult(gate="approvals", passed=True, reason=f"no approval is asked for{given}")
    who = f": {', '.join(people)}" if people else ""
    reason = f"{len(people)} of {policy.approvals} approvals of this bundle under this policy{who}"
    missing = policy.approvals - len(people)
    if missing > 0:
        reason += f"; {missing} more needed, by {' or '.join(policy.roles) or 'nobody: no role may approve'}"
    return GateResult(gate="approvals", passed=missing <= 0, reason=reason)


def _left(when: str, now: datetime) -> timedelta | None:
    """The time from `now` until `when`, negative if it is past; None where that is no time. Without a zone, UTC is meant."""
    try:
        then = datetime.fromisoformat(when)
    except ValueError:
        return None
    return (then if then.tzinfo else then.replace(tzinfo=UTC)) - (now if now.tzinfo else now.replace(tzinfo=UTC))
