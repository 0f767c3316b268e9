"""What a gate says: whether it passes, by how much it is missed, whose decisions count, and that nothing passes by accident."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.project import Gates, MetricGate
from workbench.records import Approval, Estimate, Waiver
from workbench.registry.bundle import Bundle
from workbench.registry.gates import NEVER_WAIVED, GateResult, evaluate, has_expired, missed_for

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SCORE = Estimate(value=0.7612, low=0.742, high=0.78)
BUNDLE = Bundle(
    model="model-1",
    service="credit",
    zone="local",
    bento="b",
    format="onnx",
    signature="s",
    dataset="d",
    contract="c",
    contract_passed=True,
    notebooks={"train": "n"},
    revision="r",
    metrics={"roc_auc": SCORE, "log_loss": Estimate(value=0.5, low=0.4, high=0.6)},
    fairness="PASS",
    fairness_reasons=("Too few rows in one group.",),
    accepted=False,
    parity=True,
    made="2026-11-13T12:00:00+00:00",
)
COMMON: dict[str, Any] = {"parent": "bento-1", "zone": "local", "revision": "r", "model": "model-1"}
LATER = (NOW + timedelta(days=1)).isoformat()


def approval(actor: str, policy: Gates, bundle: Bundle = BUNDLE, /, **changes: Any) -> Approval:
    made = {"decision": "approve", "role": "approver", "comment": "c", "expires": LATER, "policy": policy.digest}
    return Approval(**{"id": f"a-{actor}", "actor": actor, "bundle": bundle.digest, **made, **COMMON, **changes})


def waiver(gate: str, policy: Gates, bundle: Bundle = BUNDLE, /, **changes: Any) -> Waiver:
    made = {"gate": gate, "reason": "few rows", "expires": LATER, "policy": policy.digest}
    return Waiver(**{"id": "w-1", "actor": "eve", "bundle": bundle.digest, **made, **COMMON, **changes})


def result(gate: str, policy: Gates, *decisions: Approval | Waiver, bundle: Bundle = BUNDLE, **named: Any) -> GateResult:
    (found,) = [one for one in evaluate(bundle, policy, decisions, NOW, **named) if one.gate == gate]
    return found


def on(name: str = "roc_auc", **bounds: float) -> Gates:
    return Gates(metrics={name: MetricGate(**bounds)})


@pytest.mark.parametrize(
    ("policy", "gate", "passed", "reason"),
    [
        (on(floor=0.75), "floor", False, "roc_auc 0.7612, bound 0.7420 is 0.0080 below the floor 0.7500"),
        (on(floor=0.742), "floor", True, "roc_auc 0.7612, bound 0.7420 is exactly the floor 0.7420"),
        (on(floor=0.74201), "floor", False, "roc_auc 0.7612, bound 0.7420 is 1e-05 below the floor 0.7420"),
        (on(floor=0.7421), "floor", False, "roc_auc 0.7612, bound 0.7420 is 0.0001 below the floor 0.7421"),
        (on(floor=0.7), "floor", True, "roc_auc 0.7612, bound 0.7420 is 0.0420 above the floor 0.7000"),
        (on(ceiling=0.77), "ceiling", False, "roc_auc 0.7612, bound 0.7800 is 0.0100 above the ceiling 0.7700"),
        (on(ceiling=0.78), "ceiling", True, "roc_auc 0.7612, bound 0.7800 is exactly the ceiling 0.7800"),
    ],
)
def test_the_confidence_bound_counts_and_the_sentence_says_by_how_much(policy, gate, passed, reason) -> None:
    assert result(f"metrics.roc_auc.{gate}", policy) == GateResult(gate=f"metrics.roc_auc.{gate}", passed=passed, reason=reason)


@pytest.mark.parametrize(
    ("estimate", "reason"),
    [
        (None, "roc_auc was not measured"),
        (Estimate(value=None), "roc_auc is undefined on the holdout"),
        (Estimate(value=math.nan, low=0.9, high=0.9), "roc_auc is undefined on the holdout"),
        (Estimate(value=0.9), "roc_auc 0.9000 has no confidence bound, and only that counts"),
        (Estimate(value=0.9, low=math.nan, high=math.nan), "roc_auc 0.9000 has no confidence bound, and only that counts"),
    ],
)
def test_what_is_not_known_does_not_pass(estimate: Estimate | None, reason: str) -> None:
    bundle = replace(BUNDLE, metrics={} if estimate is None else {"roc_auc": estimate})
    live = replace(BUNDLE, model="model-0")
    for bound in ("floor", "ceiling", "worse_by"):
        gate = f"metrics.roc_auc.{bound}"
        assert result(gate, on(**{bound: 1.0}), bundle=bundle, live=live) == GateResult(gate=gate, passed=False, reason=reason)


@pytest.mark.parametrize(
    ("metric", "live", "worse_by", "passed", "reason"),
    [
        ("roc_auc", Estimate(value=0.8, low=0.762, high=0.9), 0.03, True, "roc_auc 0.7612, bound 0.7420 is 0.0200 below that of"),
        ("roc_auc", Estimate(value=0.8, low=0.762, high=0.9), 0.01, False, "which is live: 0.0100 more than the 0.0100 allowed"),
        (
            "roc_auc",
            Estimate(value=0.8, low=0.742 + 1e-9, high=0.9),
            0.0,
            False,
            "which is live: 1e-09 more than the 0.0000 allowed",
        ),
        ("roc_auc", SCORE, 0.0, True, "bound 0.7420 is exactly that of model-0, which is live"),
        ("roc_auc", Estimate(value=0.7, low=0.6, high=0.9), 0.0, True, "0.1420 above that of model-0, which is live"),
        ("log_loss", Estimate(value=0.5, low=0.3, high=0.58), 0.01, False, "0.0200 above that of model-0, which is live: 0.0100"),
        ("log_loss", Estimate(value=0.5, low=0.3, high=0.7), 0.0, True, "log_loss 0.5000, bound 0.6000 is 0.1000 below that of"),
        ("roc_auc", Estimate(value=None), 1.0, False, "cannot be compared with model-0, which is live: roc_auc is undefined"),
    ],
)
def test_a_model_is_compared_with_the_live_one_bound_with_bound(metric, live, worse_by, passed, reason) -> None:
    gate = f"metrics.{metric}.worse_by"
    found = result(gate, on(metric, worse_by=worse_by), live=replace(BUNDLE, model="model-0", metrics={metric: live}))
    assert (found.gate, found.passed) == (gate, passed)
    assert reason in found.reason


def test_the_first_model_of_a_service_is_worse_than_none() -> None:
    found = result("metrics.roc_auc.worse_by", on(worse_by=0.0))
    assert found.passed
    assert found.reason == "no model is live yet that it could be worse than"


def test_a_metric_that_nobody_knows_is_no_excuse() -> None:
    found = result("metrics.luck.worse_by", on("luck", worse_by=1.0), live=BUNDLE)
    assert (found.gate, found.passed, found.reason) == ("metrics.luck.worse_by", False, "no metric 'luck'")


@pytest.mark.parametrize(
    ("wanted", "verdict", "accepted", "passed", "reason"),
    [
        ("PASS", "PASS", False, True, "the review says PASS"),
        ("accepted", "PASS", False, True, "the review says PASS"),
        ("accepted", "INCONCLUSIVE", True, True, "the review says INCONCLUSIVE, and a reviewer accepted it"),
        (
            "accepted",
            "INCONCLUSIVE",
            False,
            False,
            "the review says INCONCLUSIVE, PASS, or INCONCLUSIVE and accepted, is asked for; Too few rows in one group.",
        ),
        ("PASS", "INCONCLUSIVE", True, False, "the review says INCONCLUSIVE, PASS is asked for; Too few rows in one group."),
        ("accepted", "FAIL", True, False, "the review says FAIL, PASS, or INCONCLUSIVE and accepted, is asked for; Too few"),
    ],
)
def test_the_fairness_verdict_is_the_one_asked_for(wanted, verdict, accepted, passed, reason) -> None:
    bundle = replace(BUNDLE, fairness=verdict, accepted=accepted)
    found = result("fairness", Gates(fairness=wanted), bundle=bundle)
    assert (found.passed, found.reason[: len(reason)]) == (passed, reason)


@pytest.mark.parametrize(
    ("gate", "changes", "passed", "reason"),
    [
        ("contract", {}, True, "the rows were checked against the data contract"),
        ("contract", {"contract_passed": False}, False, "no record says that the rows were checked against the data contract"),
        ("parity", {}, True, "the served format provably predicts the same"),
        ("parity", {"parity": None}, True, "the trained file itself is served"),
        ("parity", {"parity": False}, False, "nothing proves that the served format predicts the same"),
        ("signature", {}, True, "every packaged file is signed"),
        ("signature", {"signature": None}, False, "it was packaged without a signature: package it again"),
    ],
)
def test_what_was_not_proved_does_not_pass(gate: str, changes: dict[str, Any], passed: bool, reason: str) -> None:
    assert result(gate, Gates(), bundle=replace(BUNDLE, **changes)) == GateResult(gate=gate, passed=passed, reason=reason)


@pytest.mark.parametrize(
    ("days", "made", "passed", "reason"),
    [
        (10, BUNDLE.made, True, "packaged 10.0 days ago, 10 are allowed"),
        (9, BUNDLE.made, False, "packaged 10.0 days ago, 9 are allowed: 1.0 too many"),
        (10, "2026-11-13T12:00:00", True, "packaged 10.0 days ago, 10 are allowed"),
        (10, "long ago", False, "when it was packaged is unknown: 'long ago'"),
    ],
)
def test_an_old_package_does_not_pass(days: int, made: str, passed: bool, reason: str) -> None:
    found = result("oldest_days", Gates(oldest_days=days), bundle=replace(BUNDLE, made=made))
    assert found == GateResult(gate="oldest_days", passed=passed, reason=reason)


def test_each_person_counts_once_and_is_named() -> None:
    policy = Gates(approvals=2)
    twice = [approval("bob", policy), approval("bob", policy, id="a-2")]
    found = result("approvals", policy, *twice)
    assert not found.passed
    assert found.reason == "1 of 2 approvals of this bundle under this policy: bob; 1 more needed, by approver"
    found = result("approvals", policy, *twice, approval("ann", policy))
    assert found.passed
    assert found.reason == "2 of 2 approvals of this bundle under this policy: ann, bob"


def test_without_any_approval_the_roles_that_can_help_are_named() -> None:
    found = result("approvals", Gates(approvals=1, roles=("reviewer", "approver")))
    assert found.reason == "0 of 1 approvals of this bundle under this policy; 1 more needed, by reviewer or approver"


@pytest.mark.parametrize(
    "changes",
    [
        {"bundle": "other"},
        {"policy": "other"},
        {"model": "model-2"},
        {"expires": NOW.isoformat()},
        {"expires": "never"},
        {"role": "reviewer"},
        {"actor": "ann"},
    ],
    ids=str,
)
def test_an_approval_of_something_else_or_by_the_author_counts_for_nothing(changes: dict[str, Any]) -> None:
    policy = Gates(approvals=1)
    assert result("approvals", policy, approval("bob", policy), authors=frozenset({"ann"})).passed
    assert not result("approvals", policy, approval("bob", policy, **changes), authors=frozenset({"ann"})).passed


def test_one_standing_rejection_outweighs_every_approval() -> None:
    policy = Gates(approvals=1)
    rejection = approval("cat", policy, decision="reject", comment="leaks the target")
    found = result("approvals", policy, approval("bob", policy), rejection)
    assert not found.passed
    assert found.reason == "cat rejected this bundle: leaks the target"
    assert result("approvals", policy, approval("bob", policy), replace(rejection, role="reviewer")).passed
    assert result("approvals", policy, approval("bob", policy), replace(rejection, expires=NOW.isoformat())).passed


def test_a_waiver_lets_one_gate_pass_and_is_told() -> None:
    policy = Gates(metrics={"roc_auc": MetricGate(floor=0.75, ceiling=0.1)})
    found = result("metrics.roc_auc.floor", policy, waiver("metrics.roc_auc.floor", policy))
    assert found == GateResult(
        gate="metrics.roc_auc.floor",
        passed=True,
        reason="roc_auc 0.7612, bound 0.7420 is 0.0080 below the floor 0.7500; waived by eve until 2026-11-24: few rows",
        waiver="w-1",
    )
    assert not result("metrics.roc_auc.ceiling", policy, waiver("metrics.roc_auc.floor", policy)).passed


@pytest.mark.parametrize(
    "changes", [{"reason": " "}, {"expires": NOW.isoformat()}, {"bundle": "x"}, {"policy": "x"}, {"actor": "ann"}], ids=str
)
def test_a_waiver_without_reason_expired_or_of_something_else_waives_nothing(changes: dict[str, Any]) -> None:
    policy = on(floor=0.75)
    made = waiver("metrics.roc_auc.floor", policy, **changes)
    assert not result("metrics.roc_auc.floor", policy, made, authors=frozenset({"ann"})).passed


def test_a_gate_that_passes_keeps_its_own_reason_under_a_waiver() -> None:
    found = result("contract", Gates(), waiver("contract", Gates()))
    assert (found.passed, found.waiver) == (True, None)


@pytest.mark.parametrize("gate", sorted(NEVER_WAIVED))
def test_neither_people_nor_signature_are_ever_waived(gate: str) -> None:
    policy, bundle = Gates(approvals=1), replace(BUNDLE, signature=None)
    assert not result(gate, policy, waiver(gate, policy, bundle), bundle=bundle).passed


def test_gates_come_in_the_policy_s_order_and_only_those_declared() -> None:
    policy = Gates(metrics={"f1": MetricGate(worse_by=1, ceiling=1, floor=1)}, oldest_days=1)
    named = [one.gate for one in evaluate(BUNDLE, policy, (), NOW)]
    first = [f"metrics.f1.{bound}" for bound in ("floor", "ceiling", "worse_by")]
    assert named == [*first, "fairness", "contract", "parity", "signature", "oldest_days", "approvals"]
    none = Gates(fairness="any", contract=False, parity=False, signature=False)
    assert [one.gate for one in evaluate(BUNDLE, none, (), NOW)] == ["approvals"]


def test_staging_asks_for_what_no_test_there_could_show_and_production_for_all() -> None:
    policy = Gates(metrics={"f1": MetricGate(floor=1)}, oldest_days=1, approvals=1)
    bundle = replace(BUNDLE, fairness="FAIL", contract_passed=False, parity=False, signature=None)
    results = evaluate(bundle, policy, (), NOW)
    every = [one.gate for one in results]
    assert [one.gate for one in missed_for("staging", results)] == ["fairness", "contract", "parity", "signature"]
    assert [one.gate for one in missed_for("production", results)] == every
    assert missed_for("archived", results) == ()
    assert missed_for("production", evaluate(BUNDLE, Gates(), (), NOW)) == ()


numbers = st.none() | st.floats()
estimates = st.builds(Estimate, value=numbers, low=numbers, high=numbers)
finite = st.floats(0, 1)
gates = st.builds(
    Gates,
    metrics=st.dictionaries(
        st.sampled_from(("roc_auc", "log_loss", "luck")),
        st.builds(MetricGate, floor=st.none() | finite, ceiling=st.none() | finite, worse_by=finite),
    ),
    fairness=st.sampled_from(("PASS", "accepted", "any")),
    oldest_days=st.none() | st.integers(1, 90),
    approvals=st.integers(0, 3),
    roles=st.just(("approver",)) | st.just(("reviewer", "approver")),
)
bundles = st.builds(
    replace,
    st.just(BUNDLE),
    metrics=st.dictionaries(st.sampled_from(("roc_auc", "log_loss", "luck")), estimates),
    fairness=st.sampled_from(("PASS", "FAIL", "INCONCLUSIVE")),
    accepted=st.booleans(),
    parity=st.none() | st.booleans(),
    signature=st.none() | st.just("s"),
    made=st.sampled_from((BUNDLE.made, "2026-01-01", "never", "")),
)
texts = st.sampled_from(("ann", "bob", "cat", ""))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Bundle, Gates, list[Approval | Waiver]]:
    bundle, policy = draw(bundles), draw(gates)
    expires = st.sampled_from((LATER, NOW.isoformat(), "2026-11-22", "9999-12-31T23:59:59+00:00", "never"))
    known = [one.gate for one in evaluate(bundle, policy, (), NOW)]

    def one() -> Approval | Waiver:
        changes = {"actor": draw(texts), "expires": draw(expires), "policy": draw(st.sampled_from((policy.digest, "x")))}
        if draw(st.booleans()):
            decision, role = draw(st.sampled_from(("approve", "reject"))), draw(st.sampled_from(("approver", "reviewer")))
            return approval("eve", policy, bundle, decision=decision, role=role, **changes)
        return waiver(draw(st.sampled_from(known)), policy, bundle, **changes)

    return bundle, policy, [one() for _ in range(draw(st.integers(0, 5)))]


def passing(bundle: Bundle, policy: Gates, decisions: list[Approval | Waiver], **named: Any) -> set[str]:
    return {one.gate for one in evaluate(bundle, policy, decisions, NOW, **named) if one.passed}


@given(case=cases(), live=st.none() | bundles, data=st.data())
def test_taking_an_approval_or_waiver_away_never_makes_a_gate_pass(case, live, data) -> None:
    bundle, policy, decisions = case
    before = passing(bundle, policy, decisions, live=live)
    for decision in decisions:
        if not isinstance(decision, Approval) or decision.decision == "approve":
            rest = [other for other in decisions if other is not decision]
            assert passing(bundle, policy, rest, live=live) <= before


@given(case=cases(), live=st.none() | bundles)
def test_excluding_an_author_or_waiting_never_makes_a_gate_pass_but_by_silencing_a_rejection(case, live) -> None:
    bundle, policy, decisions = case
    agreeing = [one for one in decisions if not isinstance(one, Approval) or one.decision == "approve"]
    before = passing(bundle, policy, agreeing, live=live)
    assert passing(bundle, policy, agreeing, live=live, authors=frozenset({"bob"})) <= before


@given(case=cases())
def test_other_bytes_void_every_decision(case) -> None:
    bundle, policy, decisions = case
    changed = replace(bundle, bento="changed")
    assert passing(changed, policy, decisions) == passing(changed, policy, [])


@given(case=cases(), first=st.sampled_from((BUNDLE, None)))
def test_the_order_of_decisions_does_not_matter(case, first) -> None:
    bundle, policy, decisions = case
    assert passing(bundle, policy, decisions, live=first) == passing(bundle, policy, decisions[::-1], live=first)


def test_a_time_without_a_zone_is_taken_as_utc() -> None:
    policy = Gates(approvals=1)
    assert evaluate(BUNDLE, policy, [approval("bob", policy)], NOW.replace(tzinfo=None))[-1].passed
    local = (NOW + timedelta(minutes=1)).replace(tzinfo=None).isoformat()
    assert result("approvals", policy, approval("bob", policy, expires=local)).passed


def test_expiry_is_a_moment_whatever_zone_it_is_written_in():
    """Without a zone UTC is meant, on either side."""
    policy = Gates(approvals=1)
    for expires, counts in (
        ("2026-11-23T15:30:00+04:00", False),  # half an hour before noon in UTC
        ("2026-11-23T16:30:00+04:00", True),
        ("2026-11-23T12:00:01", True),
        ("2026-11-23T12:00:00", False),
        ("no time", False),
    ):
        given = approval("bob", policy, expires=expires)
        assert result("approvals", policy, given).passed is counts, expires
        assert has_expired(given, NOW) is not counts
        elsewhere = NOW.astimezone(timezone(timedelta(hours=-5)))
        assert has_expired(given, elsewhere) is has_expired(given, NOW.replace(tzinfo=None)) is not counts
