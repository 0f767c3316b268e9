"""Where models stand and what was live before, whose work a model is, and what a review changes for who has registered it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from workbench.errors import NotAllowed, NotFound
from workbench.governance.access import Principal
from workbench.project import Gates
from workbench.records import BentoBuild, Candidate, ModelVersion, Saved
from workbench.registry import standings
from workbench.registry.bundle import bundle_of
from workbench.registry.embedded import EmbeddedControlPlane
from workbench.registry.releases import Releases
from workbench.registry.standings import placed, require_author
from workbench.store import Control

Packaged = Callable[..., str]
GATES = Gates(approvals=1)


def of(person: str, role: str, control: Control) -> EmbeddedControlPlane:
    grants = frozenset({(role, "*"), ("scientist", "*")})
    return EmbeddedControlPlane(
        project="p",
        control=control,
        principal=Principal(id=f"user-{person}", name=person, grants=grants),  # type: ignore[arg-type]
        policy=lambda: GATES,
        verify=lambda _: None,
    )


def test_who_registered_the_same_package_under_another_id_does_not_decide_on_it(control: Control, packaged: Packaged) -> None:
    """Two people with both roles send each other's bytes: neither of them may approve either."""
    first = packaged(control, "a", actor="ann", digest="same")
    second = packaged(control, "b", actor="bob", digest="same")
    of("ann", "approver", control).register(first)
    of("bob", "approver", control).register(second)
    for person, model in (("bob", first), ("ann", second)):
        plane = of(person, "approver", control)
        with pytest.raises(NotAllowed, match=f"{person} made this model"):
            plane.approve(model, bundle=plane.standing(model).bundle_digest)
    cleo = of("cleo", "approver", control)
    cleo.approve(first, bundle=cleo.standing(first).bundle_digest)


def test_who_trained_the_same_file_does_not_decide_on_it(control: Control, packaged: Packaged) -> None:
    first, second = packaged(control, "a", actor="ann"), packaged(control, "b", actor="ann")
    trained = Saved(name="model", format="skops", digest="weights", size=1)
    for number, actor in ((1, "ann"), (2, "bob")):
        old = control.get("candidate-a")
        assert isinstance(old, Candidate)
        control.add(replace(old, id=f"trained-{number}", actor=actor, saved={"model": trained}))
        version, bento = control.get(first), control.all(kind="bento", parent=second)[0]
        assert isinstance(version, ModelVersion)
        assert isinstance(bento, BentoBuild)
        review = replace(control.get("review-a"), id=f"review-{number}", parent=f"trained-{number}")
        control.add(review)
        control.add(replace(version, id=f"model-{number}", parent=review.id, actor=actor))
        control.add(replace(bento, id=f"bento-{number}", parent=f"model-{number}", digest=str(number), actor=actor))
    of("ann", "approver", control).register("model-1")
    plane = of("bob", "approver", control)
    with pytest.raises(NotAllowed, match="bob made this model"):
        plane.approve("model-1", bundle=plane.standing("model-1").bundle_digest)


def test_nobody_else_registers_what_somebody_has_registered(control: Control, packaged: Packaged) -> None:
    model = packaged(control, "a")
    require_author(model, "bob", control)
    of("ann", "approver", control).register(model)
    require_author(model, "ann", control)
    with pytest.raises(NotAllowed, match="ann registered model-a"):
        of("bob", "approver", control).register(model)


@pytest.fixture
def waiting(control: Control, packaged: Packaged) -> str:
    """A registered model whose review was inconclusive."""
    packaged(control, "a")
    version, review = control.get("model-a"), control.get("review-a")
    assert isinstance(version, ModelVersion)
    control.add(replace(review, id="review-w", verdict="INCONCLUSIVE"))
    control.add(replace(version, id="model-w", parent="review-w", state="waiting"))
    control.add(replace(control.all(kind="bento")[0], id="bento-w", parent="model-w", digest="w"))
    of("ann", "viewer", control).register("model-w")
    return "model-w"


def test_after_a_review_the_author_need_not_register_again(control: Control, waiting: str) -> None:
    bea, otto = of("bea", "approver", control), of("otto", "operator", control)
    before = bea.standing(waiting).bundle_digest
    bea.approve(waiting, bundle=before)
    of("mia", "reviewer", control).review(waiting, reason="large enough")
    after = bea.standing(waiting)
    assert after.bundle_digest == bundle_of(waiting, control).digest != before
    assert {gate.gate: gate.passed for gate in after.gates}["approvals"] is False, "the approval was of what it was before"
    bea.approve(waiting, bundle=after.bundle_digest)
    otto.promote(waiting, to="staging")
    assert otto.promote(waiting, to="production").stage == "production"


def test_a_review_does_not_register_what_was_packaged_since(control: Control, waiting: str) -> None:
    before = of("bea", "approver", control).standing(waiting)
    control.add(replace(control.get("bento-w"), id="bento-new", digest="new", at="2999-01-01T00:00:00+00:00"))
    of("mia", "reviewer", control).review(waiting, reason="large enough")
    with control.read() as connection:
        assert placed(connection, waiting).bundle == before.bundle_digest


def test_a_review_of_what_is_not_registered_binds_nothing(control: Control, packaged: Packaged) -> None:
    packaged(control, "a")
    version = control.get("model-a")
    assert isinstance(version, ModelVersion)
    control.add(replace(version, id="model-w", state="waiting"))
    made = of("mia", "reviewer", control).review("model-w", reason="large enough")
    assert (made.parent, made.actor) == ("model-w", "mia")
    assert of("mia", "reviewer", control).standings() == []


@pytest.fixture
def released(control: Control, packaged: Callable[..., str]) -> Callable[..., str]:
    """Packages a model for a service, and takes it to production."""

    def release(name: str, service: str = "scores") -> str:
        model = packaged(control, name, tag=f"{service}:{name}")
        acts = Releases(control=control, actor="ann", policy=Gates)
        acts.register(model)
        acts.promote(model, to="staging")
        acts.promote(model, to="production")
        return model

    return release


def test_each_service_has_its_own_live_model_and_its_own_past(control: Control, released: Callable[..., str]) -> None:
    first, other, second, third = released("a"), released("b", "limits"), released("c"), released("d", "limits")
    acts = Releases(control=control, actor="ann", policy=Gates)
    with control.read() as connection:
        assert (standings.live_of(connection, "scores"), standings.live_of(connection, "limits")) == (second, third)
        assert standings.live_of(connection, "nothing") is None
        assert (standings.generation_of(connection, "scores"), standings.generation_of(connection, "nothing")) == (2, 0)
    assert (acts.before("scores"), acts.before("limits")) == (first, other)
    with pytest.raises(NotFound, match="no model was live in 'nothing' before"):
        acts.before("nothing")


def test_what_was_archived_by_hand_is_not_come_back_to(control: Control, released: Callable[..., str]) -> None:
    first, second, third = released("a"), released("b"), released("c")
    acts = Releases(control=control, actor="ann", policy=Gates)
    acts.promote(third, to="archived")
    assert acts.before("scores") == second
    assert acts.roll_back("scores", model=second).previous is None
    acts.promote(second, to="archived")
    assert acts.before("scores") == first


def test_archiving_a_candidate_leaves_what_was_live_before(
    control: Control, released: Callable[..., str], packaged: Callable[..., str]
) -> None:
    first, second = released("a"), released("b")
    acts = Releases(control=control, actor="ann", policy=Gates)
    acts.register(packaged(control, "c"))
    acts.promote("model-c", to="archived")
    assert acts.before("scores") == first
    assert acts.standing(second).stage == "production"


def test_models_are_listed_by_id_and_each_has_its_own_decisions(control: Control, packaged: Callable[..., str]) -> None:
    acts = Releases(control=control, actor="bob", policy=Gates)
    for name in "cab":
        acts.register(packaged(control, name))
    first = acts.standing("model-a")
    made = acts.decide("model-a", bundle=first.bundle_digest, decision="reject", role="approver", comment="no")
    assert [(standing.model, standing.approvals) for standing in acts.standings()] == [
        ("model-a", (made,)),
        ("model-b", ()),
        ("model-c", ()),
    ]
    assert standings.decisions_on("model-b", control) == []


def test_an_author_who_was_erased_is_told_by_pseudonym(control: Control, packaged: Callable[..., str]) -> None:
    acts = Releases(control=control, actor="ann", policy=Gates)
    acts.register(packaged(control, "a"))
    assert acts.author("model-a") == "ann"
    pseudonym = control.erase("ann", actor="root")
    assert acts.author("model-a") == pseudonym
    with control.read() as connection:
        assert [place.author for place in standings.placed_all(connection)] == [pseudonym]


def test_alone_one_person_registers_anew_under_another_name(control: Control, packaged: Callable[..., str]) -> None:
    model = packaged(control, "a")
    for name in ("ann", "ann-at-home"):
        Releases(control=control, actor=name, policy=Gates, apart=False).register(model)
        packaged(control, "a")
    with control.read() as connection:
        assert placed(connection, model).author == "ann-at-home"


def test_a_model_that_nobody_trained_has_no_standing(control: Control, packaged: Callable[..., str]) -> None:
    packaged(control, "a")
    version, bento = control.get("model-a"), control.all(kind="bento")[0]
    assert isinstance(version, ModelVersion)
    assert isinstance(bento, BentoBuild)
    control.add(replace(version, id="model-x", parent="prepared-a"))
    control.add(replace(bento, id="bento-x", parent="model-x", digest="x"))
    place = standings.Placed(
        model="model-x", service="scores", author="ann", stage="candidate", bundle="", generation=0, was_live=False
    )
    with pytest.raises(NotFound, match="model-x does not come from a candidate"):
        standings.makers_of(place, control)
