"""What both control planes keep, whoever asks: the same acts, the same answers, the same refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.conftest import Office
from tests.server.team import PROJECT
from workbench.errors import BadInput, GateFailed, NotAllowed, NotFound, Outdated, Tampered, WorkbenchError
from workbench.registry.control_plane import ControlPlane
from workbench.store.objects import digest_of

ACTS: dict[str, tuple[str, Callable[[ControlPlane, str, str], Any]]] = {
    "standings": ("viewer scientist reviewer approver operator auditor service", lambda plane, model, bundle: plane.standings()),
    "standing": (
        "viewer scientist reviewer approver operator auditor service",
        lambda plane, model, bundle: plane.standing(model),
    ),
    "papers": ("scientist reviewer approver auditor", lambda plane, model, bundle: plane.papers(model)),
    "register": ("scientist", lambda plane, model, bundle: plane.register(model)),
    "review": ("reviewer", lambda plane, model, bundle: plane.review(model, reason="small groups")),
    "approve": ("approver", lambda plane, model, bundle: plane.approve(model, bundle=bundle)),
    "approve as reviewer": ("reviewer", lambda plane, model, bundle: plane.approve(model, bundle=bundle, role="reviewer")),
    "reject": ("approver", lambda plane, model, bundle: plane.reject(model, bundle=bundle, comment="no")),
    "waive": ("approver", lambda plane, model, bundle: plane.waive(model, gate="parity", bundle=bundle, reason="r", days=1)),
    "promote": ("operator", lambda plane, model, bundle: plane.promote(model, to="staging")),
    "roll back": ("operator", lambda plane, model, bundle: plane.roll_back(PROJECT)),
    "erase": ("admin", lambda plane, model, bundle: plane.erase("nobody-of-this-name")),
}
ROLES = ["viewer", "scientist", "reviewer", "approver", "operator", "auditor", "admin", "service"]


def released(office: Office, model: str) -> str:
    """Takes a model to production; returns its bundle's digest."""
    bundle = office.of("scientist").register(model).bundle_digest
    office.of("approver").approve(model, bundle=bundle, comment="seen")
    office.of("operator").promote(model, to="staging")
    office.of("operator").promote(model, to="production")
    return bundle


def test_two_people_and_an_operator_take_a_model_from_candidate_to_production(office: Office) -> None:
    model = office.models[0]
    entered = office.of("scientist").register(model)
    assert (entered.stage, entered.author, entered.approvals) == ("candidate", "scientist", ())
    approval = office.of("approver").approve(model, bundle=entered.bundle_digest, comment="seen")
    assert (approval.actor, approval.bundle, approval.policy) == ("approver", entered.bundle_digest, entered.policy_digest)
    office.of("operator").promote(model, to="staging")
    release = office.of("operator").promote(model, to="production")
    assert (release.stage, release.generation, release.previous) == ("production", 1, None)
    standing = office.of("viewer").standing(model)
    assert standing.stage == "production"
    assert [record.actor for record in standing.approvals] == ["approver"]
    assert all(gate.passed for gate in standing.gates)


def test_registering_again_changes_nothing(office: Office) -> None:
    first = office.of("scientist").register(office.models[0])
    assert office.of("scientist").register(office.models[0]) == first
    assert [standing.model for standing in office.of("viewer").standings()] == [office.models[0]]


def test_without_an_approval_production_is_refused_and_the_gate_is_named(office: Office) -> None:
    office.of("scientist").register(office.models[0])
    office.of("operator").promote(office.models[0], to="staging")
    with pytest.raises(GateFailed) as caught:
        office.of("operator").promote(office.models[0], to="production")
    assert any("approvals" in problem for problem in caught.value.problems)


def test_a_decision_on_another_bundle_than_there_is_is_outdated(office: Office) -> None:
    office.of("scientist").register(office.models[0])
    with pytest.raises(Outdated):
        office.of("approver").approve(office.models[0], bundle="0" * 64)


def test_each_person_decides_once(office: Office) -> None:
    bundle = office.of("scientist").register(office.models[0]).bundle_digest
    office.of("approver").approve(office.models[0], bundle=bundle)
    with pytest.raises(BadInput, match="decided"):
        office.of("approver").reject(office.models[0], bundle=bundle, comment="on second thoughts")


def test_a_rejection_keeps_a_model_out(office: Office) -> None:
    bundle = office.of("scientist").register(office.models[0]).bundle_digest
    office.of("operator").promote(office.models[0], to="staging")
    office.of("approver").reject(office.models[0], bundle=bundle, comment="the groups are too small")
    with pytest.raises(GateFailed) as caught:
        office.of("operator").promote(office.models[0], to="production")
    assert any("reject" in problem for problem in caught.value.problems)


def test_rolling_back_brings_the_model_back_that_was_live_before(office: Office) -> None:
    first, second = office.models
    released(office, first)
    released(office, second)
    release = office.of("operator").roll_back(PROJECT)
    assert (release.model, release.rollback, release.generation) == (first, True, 3)
    assert [standing.stage for standing in office.of("viewer").standings()] == ["production", "archived"]


def test_what_is_unknown_is_not_found(office: Office) -> None:
    with pytest.raises(NotFound):
        office.of("viewer").standing("model-none")
    with pytest.raises(NotFound):
        office.of("scientist").register("model-none")


@pytest.mark.parametrize("name", ["src/model/model.onnx", "README.md", "src/model/manifest.json"])
def test_a_changed_byte_in_any_file_stops_approval_and_promotion(name: str, office: Office) -> None:
    model = office.models[0]
    digest = digest_of(office.files[model][name])
    bundle = office.of("scientist").register(model).bundle_digest
    office.of("approver").approve(model, bundle=bundle)
    kept = office.kept(digest)
    kept.chmod(0o600)
    kept.write_bytes(bytes([kept.read_bytes()[0] ^ 1]) + kept.read_bytes()[1:])
    with pytest.raises(Tampered):
        office.of("operator").promote(model, to="staging")
    with pytest.raises(Tampered):
        office.of("reviewer").approve(model, bundle=bundle, role="reviewer")


def test_who_acts_is_told_with_roles(office: Office) -> None:
    asked = office.of("approver").whoami()
    assert (asked.name, asked.grants) == ("approver", frozenset({("approver", "*")}))


@pytest.mark.parametrize("role", ROLES)
def test_each_role_can_do_what_the_table_here_says_and_nothing_else(role: str, office: Office) -> None:
    bundle = office.of("scientist").register(office.models[0]).bundle_digest
    wrong = []
    for act, (allowed, do) in ACTS.items():
        try:
            do(office.of(role), office.models[0], bundle)
        except NotAllowed:
            refused = True
        except (BadInput, NotFound, Outdated, GateFailed):
            refused = False
        else:
            refused = False
        if refused == (role in allowed.split()):
            wrong.append((act, refused))
    assert wrong == []


Try = Callable[[ControlPlane, str, str], Any]
NONE = "model-none"
OTHER = "0" * 64
REFUSED: dict[str, tuple[str, type[WorkbenchError], str, Try]] = {
    "papers of nothing": ("auditor", NotFound, "is not registered", lambda plane, _, seen: plane.papers(NONE)),
    "review of what passed": ("reviewer", BadInput, "waits for a person", lambda plane, it, seen: plane.review(it, reason="r")),
    "review of nothing": ("reviewer", NotFound, "no record", lambda plane, _, seen: plane.review(NONE, reason="r")),
    "rejection unseen": (
        "approver",
        Outdated,
        "now, not 0000",
        lambda plane, it, seen: plane.reject(it, bundle=OTHER, comment="no"),
    ),
    "waiver unseen": (
        "approver",
        Outdated,
        "now, not 0000",
        lambda plane, it, seen: plane.waive(it, gate="parity", bundle=OTHER, reason="r", days=1),
    ),
    "waiver of no gate": (
        "approver",
        BadInput,
        "no gate of this project",
        lambda plane, it, seen: plane.waive(it, gate="none", bundle=seen, reason="r", days=1),
    ),
    "waiver for years": (
        "approver",
        BadInput,
        "365",
        lambda plane, it, seen: plane.waive(it, gate="contract", bundle=seen, reason="r", days=4000),
    ),
    "production at once": ("operator", Outdated, "no way leads", lambda plane, it, seen: plane.promote(it, to="production")),
    "promotion unseen": (
        "operator",
        Outdated,
        "now, not 0000",
        lambda plane, it, seen: plane.promote(it, to="staging", bundle=OTHER),
    ),
    "roll back to nothing": ("operator", NotFound, "no model was live", lambda plane, it, seen: plane.roll_back(PROJECT)),
    "erasure of nobody": ("admin", NotFound, "nobody here is called", lambda plane, it, seen: plane.erase("no-such-name")),
    "papers for a viewer": ("viewer", NotAllowed, "does not allow evidence:export", lambda plane, it, seen: plane.papers(it)),
}


@pytest.mark.parametrize("act", REFUSED)
def test_what_is_refused_is_refused_with_the_same_error_everywhere_and_changes_nothing(act: str, office: Office) -> None:
    person, error, words, do = REFUSED[act]
    before = office.of("scientist").register(office.models[0])
    with pytest.raises(WorkbenchError) as caught:
        do(office.of(person), office.models[0], before.bundle_digest)
    assert type(caught.value) is error
    assert words in " ".join((caught.value.message, *caught.value.problems))
    assert caught.value.hint
    assert office.of("viewer").standing(office.models[0]) == before


def test_the_papers_hold_what_was_decided_and_each_record_that_the_model_came_from(office: Office) -> None:
    bundle = released(office, office.models[0])
    papers = office.of("auditor").papers(office.models[0])
    kinds = {record.kind for record in papers.records}
    assert {"dataset", "prepared", "candidate", "model", "bento", "approval", "release"} <= kinds, kinds
    assert office.of("auditor").standing(office.models[0]).bundle_digest == bundle


def test_a_waiver_lets_its_gate_pass_and_names_who_gave_it(office: Office) -> None:
    bundle = office.of("scientist").register(office.models[0]).bundle_digest
    waiver = office.of("approver").waive(office.models[0], gate="contract", bundle=bundle, reason="known", days=3)
    assert (waiver.actor, waiver.gate, waiver.bundle) == ("approver", "contract", bundle)
