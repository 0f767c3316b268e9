"""What each act on a release writes and says, and when a decision counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from workbench.errors import BadInput, GateFailed, NotAllowed, Outdated, WorkbenchError
from workbench.governance.access import Principal, Role
from workbench.project import Gates, MetricGate
from workbench.records import Release
from workbench.registry.bundle import bundle_of
from workbench.registry.embedded import EmbeddedControlPlane
from workbench.registry.releases import Releases
from workbench.store import Control
from workbench.store.tables import approvals

ONE = Gates(approvals=1)
OTHER = "f" * 64
NO_WORSE = Gates(metrics={"roc_auc": MetricGate(worse_by=0.0)})


def acts(control: Control, person: str = "ann", policy: Gates = ONE) -> Releases:
    return Releases(control=control, actor=person, policy=lambda: policy)


def live(control: Control, model: str) -> Release:
    acts(control).promote(model, to="staging")
    return acts(control, policy=Gates()).promote(model, to="production")


@pytest.fixture
def model(control: Control, packaged: Callable[..., str]) -> str:
    made = packaged(control, "a")
    acts(control).register(made)
    return made


@pytest.fixture
def seen(control: Control, model: str) -> str:
    return bundle_of(model, control).digest


@pytest.fixture
def second(control: Control, packaged: Callable[..., str], model: str) -> str:
    """A model that was registered when the first was live already."""
    live(control, model)
    made = packaged(control, "b")
    acts(control).register(made)
    return made


def told(control: Control) -> tuple[str, str, dict[str, Any]]:
    (entry,) = control.newest_entries(1)
    return entry.action, entry.subject, json.loads(entry.detail)


def test_the_audit_tells_what_was_entered(control: Control, model: str, seen: str) -> None:
    assert told(control) == ("register", model, {"bundle": seen})


def test_the_audit_tells_who_decided_what_in_which_role(control: Control, model: str, seen: str) -> None:
    for person, decision in (("bob", "approve"), ("cat", "reject")):
        made = acts(control, person).decide(model, bundle=seen, decision=decision, role="reviewer", comment="read it")
        assert made.id.startswith("approval-")
        about = {"bundle": seen, "policy": ONE.digest, "record": made.id, "role": "reviewer"}
        assert told(control) == (decision, model, about)


def test_the_audit_tells_which_gate_was_waived(control: Control, model: str, seen: str) -> None:
    made = acts(control, "bob").waive(model, gate="contract", bundle=seen, reason="old data", days=365)
    assert made.id.startswith("waiver-")
    about = {"bundle": seen, "policy": ONE.digest, "record": made.id, "gate": "contract"}
    assert told(control) == ("waive", model, about)


def test_the_audit_and_the_record_tell_what_a_release_replaced(control: Control, model: str, second: str) -> None:
    made = live(control, second)
    assert made.id.startswith("release-")
    assert (made.previous, made.generation, made.reasons) == (
        model,
        2,
        tuple(f"{result.gate}: {result.reason}" for result in acts(control, policy=Gates()).standing(second).gates),
    )
    about = {"bundle": made.bundle, "policy": Gates().digest, "record": made.id, "stage": "production"}
    assert told(control) == ("promote to production", second, {**about, "generation": 2, "previous": model})
    back = acts(control, policy=Gates()).roll_back("scores", model=model)
    about |= {"bundle": back.bundle, "record": back.id, "generation": 3, "previous": second}
    assert told(control) == ("roll back", model, about)


def test_decisions_expire_after_the_policy_s_days_told_in_utc(control: Control, model: str, seen: str) -> None:
    before = datetime.now().astimezone()
    made = acts(control, "bob").decide(model, bundle=seen, decision="approve", role="approver", comment="")
    waived = acts(control, "bob").waive(model, gate="contract", bundle=seen, reason="r", days=7)
    for expires, days in ((made.expires, 90), (waived.expires, 7)):
        assert expires.endswith("+00:00")
        assert timedelta(days=days) <= datetime.fromisoformat(expires) - before < timedelta(days=days, minutes=5)


REFUSED: list[tuple[Callable[[Releases, str, str], Any], str, str]] = [
    (
        lambda bob, model, seen: bob.decide(model, bundle=seen, decision="reject", role="approver", comment=" "),
        "a rejection needs its reason",
        'Say why: --comment "…"',
    ),
    (
        lambda bob, model, seen: bob.waive(model, gate="contract", bundle=seen, reason=" ", days=1),
        "a waiver needs its reason",
        'Say why: --reason "…"',
    ),
    (
        lambda bob, model, seen: bob.waive(model, gate="contract", bundle=seen, reason="r", days=366),
        "a waiver for 366 days, expected 1 to 365",
        "Waive it for as long as needed only.",
    ),
    (
        lambda bob, model, seen: bob.waive(model, gate="approvals", bundle=seen, reason="r", days=1),
        "'approvals' is never waived",
        "Known: contract, fairness, parity.",
    ),
    (
        lambda bob, model, seen: bob.waive(model, gate="contrakt", bundle=seen, reason="r", days=1),
        "'contrakt' is no gate of this project",
        "Did you mean 'contract'?",
    ),
    (
        lambda bob, model, seen: bob.promote(model, to="production"),
        "model-a is in candidate, from where no way leads to production",
        "It can go to staging or archived.",
    ),
    (
        lambda bob, model, seen: [bob.promote(model, to="archived"), bob.promote(model, to="staging")],
        "model-a is in archived, from where no way leads to staging",
        "It can go to nowhere; an archived model comes back only by rolling back.",
    ),
    (
        lambda bob, model, seen: bob.before("scores"),
        "no model was live in 'scores' before",
        "See what is there: workbench models registered",
    ),
    (
        lambda bob, model, seen: bob.standing("model-z"),
        "model-z is not registered as a candidate",
        "Package it first: workbench package model-z",
    ),
    (
        lambda bob, model, seen: [bob.promote(model, to="staging"), bob.promote(model, to="production")],
        "model-a misses 1 of the gates to production",
        "See every gate: workbench models show model-a",
    ),
]


@pytest.mark.parametrize(("act", "message", "hint"), REFUSED, ids=[message for _, message, _ in REFUSED])
def test_what_is_refused_is_told_with_what_to_do(
    control: Control, model: str, seen: str, act: Callable[..., Any], message: str, hint: str
) -> None:
    with pytest.raises(WorkbenchError) as caught:
        act(acts(control, "bob"), model, seen)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_who_decided_decides_again_once_that_has_expired(
    control: Control, model: str, seen: str, turn: Callable[[int], None]
) -> None:
    given: dict[str, Any] = {"bundle": seen, "role": "approver", "comment": "seen"}
    bob = acts(control, "bob")
    first = bob.decide(model, decision="approve", **given)
    turn(89)
    with pytest.raises(BadInput) as caught:
        bob.decide(model, decision="reject", **given)
    assert caught.value.message == "bob has decided on this bundle of model-a under this policy already"
    assert caught.value.hint == (
        "Each person decides once, and again when that has expired. Other bytes or another policy need it anew."
    )
    turn(91)
    second = bob.decide(model, decision="reject", **given)
    with pytest.raises(BadInput, match="has decided on this bundle"):
        bob.decide(model, decision="approve", **given)
    turn(182)
    third = bob.decide(model, decision="approve", **given)
    with control.read() as connection:
        line = connection.execute(select(approvals.c.record, approvals.c.supersedes)).all()
    assert set(map(tuple, line)) == {(first.id, None), (second.id, first.id), (third.id, second.id)}
    assert bob.standing(model).gates[-1].passed, "the rejection has expired, the approval counts"


def test_an_approval_stops_counting_when_it_expires(control: Control, model: str, seen: str, turn: Callable[[int], None]) -> None:
    acts(control, "bob").decide(model, bundle=seen, decision="approve", role="approver", comment="")
    acts(control).promote(model, to="staging")
    turn(90)
    with pytest.raises(GateFailed):
        acts(control).promote(model, to="production")
    turn(89)
    assert acts(control).promote(model, to="production").stage == "production"


def test_a_decision_is_about_the_bundle_that_was_seen(control: Control, model: str) -> None:
    bob = acts(control, "bob")
    for act in (
        lambda: bob.decide(model, bundle=OTHER, decision="approve", role="approver", comment=""),
        lambda: bob.waive(model, gate="contract", bundle=OTHER, reason="r", days=1),
        lambda: bob.promote(model, to="staging", bundle=OTHER),
    ):
        with pytest.raises(Outdated, match=f"has the bundle .*… now, not {OTHER[:12]}…"):
            act()


def test_a_standing_is_judged_against_the_live_model_of_the_service(control: Control, model: str, second: str) -> None:
    told = "roc_auc 0.7612, bound 0.7420 is exactly that of model-a, which is live"
    plane = acts(control, "bob", NO_WORSE)
    assert plane.standing(second).gates[0].reason == told
    assert plane.standing(second).bundle == bundle_of(second, control)
    assert plane.standing(model).gates[0].reason == "no model is live yet that it could be worse than", "it is not its own peer"
    plane.promote(second, to="staging")
    assert plane.promote(second, to="production").reasons[0] == f"metrics.roc_auc.worse_by: {told}"


def test_a_standing_does_not_count_what_its_author_decided(control: Control, model: str, seen: str) -> None:
    acts(control).decide(model, bundle=seen, decision="approve", role="approver", comment="mine")
    assert not acts(control).standing(model).gates[-1].passed


def test_a_model_enters_with_the_generation_that_its_service_has(control: Control, second: str) -> None:
    assert acts(control).standing(second).generation == 1


def test_what_is_live_stays_live_when_it_was_packaged_anew(control: Control, packaged: Callable[..., str], model: str) -> None:
    live(control, model)
    packaged(control, "a")
    acts(control).register(model)
    assert acts(control).standing(model).stage == "production"


def person(name: str, *roles: Role) -> Principal:
    return Principal(id=f"id-{name}", name=name, grants=frozenset((role, "credit") for role in roles))


def test_an_approval_outlives_the_role_it_was_given_in_and_its_person_decides_nothing_more(
    control: Control, model: str, seen: str
) -> None:
    def plane(who: Principal) -> EmbeddedControlPlane:
        return EmbeddedControlPlane(project="credit", control=control, principal=who, policy=lambda: ONE, verify=lambda _: None)

    plane(person("bob", "approver")).approve(model, bundle=seen)
    with pytest.raises(NotAllowed, match="bob holds viewer"):
        plane(person("bob", "viewer")).reject(model, bundle=seen, comment="on second thoughts")
    operator = plane(person("oda", "operator"))
    operator.promote(model, to="staging")
    assert operator.promote(model, to="production").stage == "production"
