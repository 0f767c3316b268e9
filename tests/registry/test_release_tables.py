"""What the tables refuse whatever the code does, and what happens when many act at once. On both databases."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from workbench.errors import BadInput, GateFailed, NotAllowed, NotFound, Outdated
from workbench.project import Gates
from workbench.records import Release
from workbench.registry.bundle import bundle_of
from workbench.registry.releases import Releases
from workbench.store import Control
from workbench.store.tables import approvals, releases

RACERS = 8


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'control.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres")


@pytest.fixture
def control(url: str) -> Iterator[Control]:
    with Control(url) as opened:
        yield opened


def acts(control: Control, person: str = "ann", **policy: Any) -> Releases:
    return Releases(control=control, actor=person, policy=lambda: Gates(**policy))


@pytest.fixture
def entered(control: Control, packaged: Callable[..., str]) -> Callable[[str], str]:
    """Packages and registers a model."""

    def enter(name: str) -> str:
        model = packaged(control, name)
        acts(control).register(model)
        return model

    return enter


def live(control: Control) -> list[str]:
    with control.read() as connection:
        return list(connection.execute(select(releases.c.model).where(releases.c.stage == "production")).scalars())


def go_live(control: Control, model: str) -> Release:
    acts(control).promote(model, to="staging")
    return acts(control).promote(model, to="production")


def test_the_tables_refuse_two_live_models_of_a_service(control: Control, entered: Callable[[str], str]) -> None:
    first, second = entered("a"), entered("b")
    go_live(control, first)
    with (
        pytest.raises(IntegrityError),
        control.write(actor="eve", action="cheat", subject=second) as connection,
    ):
        connection.execute(update(releases).where(releases.c.model == second).values(stage="production", was_live=1))
    assert live(control) == [first]


@pytest.mark.parametrize("stage", ["candidate", "staging", "production"])
def test_the_tables_refuse_to_wake_what_was_never_live(control: Control, entered: Callable[[str], str], stage: str) -> None:
    model = entered("a")
    acts(control).promote(model, to="archived")
    with (
        pytest.raises(DBAPIError, match="an archived model comes back only if it was live"),
        control.write(actor="eve", action="cheat", subject=model) as connection,
    ):
        connection.execute(update(releases).where(releases.c.model == model).values(stage=stage, was_live=1))


def test_the_tables_refuse_a_second_decision_of_one_person(control: Control, entered: Callable[[str], str]) -> None:
    model = entered("a")
    made = acts(control, "bob").decide(
        model, bundle=bundle_of(model, control).digest, decision="approve", role="approver", comment=""
    )
    with control.read() as connection:
        row = dict(connection.execute(select(approvals)).one()._mapping)
    with pytest.raises(IntegrityError), control.write(actor="eve", action="cheat", subject=made.id) as connection:
        connection.execute(insert(approvals).values(**{**row, "record": "bento-a-0"}))
    with pytest.raises(IntegrityError), control.write(actor="eve", action="cheat", subject=made.id) as connection:
        for record in ("bento-a-0", "review-a"):  # what has expired is superseded once
            connection.execute(insert(approvals).values(**{**row, "record": record, "supersedes": made.id}))


def promote_in_a_process(url: str, model: str, ready: Any, go: Any, results: Any) -> None:
    with Control(url) as control:
        ready.release()
        go.wait()
        try:
            acts(control).promote(model, to="production")
        except Outdated:
            results.put((model, "outdated"))
        else:
            results.put((model, "promoted"))


def race(url: str, models: list[str]) -> list[tuple[str, str]]:
    """Eight processes at the line, then all at once."""
    context = multiprocessing.get_context("spawn")
    ready, go, results = context.Semaphore(0), context.Event(), context.Queue()
    racers = [context.Process(target=promote_in_a_process, args=(url, model, ready, go, results)) for model in models]
    for racer in racers:
        racer.start()
    for _ in racers:
        assert ready.acquire(timeout=120)
    go.set()
    ended = [results.get(timeout=120) for _ in racers]
    for racer in racers:
        racer.join(timeout=60)
        assert racer.exitcode == 0
    return ended


def test_eight_promotions_of_one_model_at_once_are_one(url: str, control: Control, entered: Callable[[str], str]) -> None:
    model = entered("a")
    acts(control).promote(model, to="staging")
    ended = race(url, [model] * RACERS)
    assert sorted(word for _, word in ended) == ["outdated"] * (RACERS - 1) + ["promoted"]
    assert live(control) == [model]
    assert [entry.action for entry in control.entries()].count("promote to production") == 1


def test_of_eight_models_promoted_at_once_one_is_live_and_each_was(
    url: str, control: Control, entered: Callable[[str], str]
) -> None:
    models = [entered(name) for name in "abcdefgh"]
    for model in models:
        acts(control).promote(model, to="staging")
    assert sorted(race(url, models)) == [(model, "promoted") for model in models]
    moved = [record for record in control.all(kind="release") if isinstance(record, Release) and record.stage == "production"]
    assert [record.generation for record in moved] == list(range(1, RACERS + 1))
    assert [record.previous for record in moved] == [None, *(record.model for record in moved[:-1])]
    assert live(control) == [moved[-1].model]


def test_rolling_back_walks_back_one_promotion_at_a_time(control: Control, entered: Callable[[str], str]) -> None:
    first, second, third = (entered(name) for name in "abc")
    for model in (first, second, third):
        go_live(control, model)
    plane = acts(control, "oda")
    for expected, generation in ((second, 4), (first, 5)):
        made = plane.roll_back("scores", model=plane.before("scores"))
        assert (made.model, made.generation, made.rollback, made.stage) == (expected, generation, True, "production")
        assert live(control) == [expected]
    with pytest.raises(NotFound, match="no model was live in 'scores' before"):
        plane.before("scores")
    with pytest.raises(Outdated, match="is not what was live"):
        go_back_twice = go_live(control, entered("d")).model
        plane.roll_back("scores", model=go_back_twice)


def test_a_service_without_a_live_model_gets_the_one_before_back(control: Control, entered: Callable[[str], str]) -> None:
    first, second = entered("a"), entered("b")
    go_live(control, first)
    go_live(control, second)
    assert acts(control).promote(second, to="archived").generation == 3
    assert live(control) == []
    assert acts(control).roll_back("scores", model=first).previous is None
    assert live(control) == [first]


def test_what_was_packaged_anew_has_to_be_entered_and_approved_anew(
    control: Control, entered: Callable[[str], str], packaged: Callable[..., str]
) -> None:
    model = entered("a")
    seen = bundle_of(model, control).digest
    bob = acts(control, "bob", approvals=1)
    made = bob.decide(model, bundle=seen, decision="approve", role="approver", comment="")
    bob.promote(model, to="staging", bundle=seen)
    packaged(control, "a")
    for act in (
        lambda: bob.promote(model, to="production"),
        lambda: bob.decide(model, bundle=seen, decision="approve", role="approver", comment=""),
        lambda: bob.waive(model, gate="contract", bundle=seen, reason="r", days=1),
    ):
        with pytest.raises(Outdated, match="has the bundle"):
            act()
    acts(control).register(model)
    assert bob.standing(model).stage == "candidate"
    with pytest.raises(Outdated, match="has the bundle"):
        bob.promote(model, to="staging", bundle=seen)
    bob.promote(model, to="staging")
    with pytest.raises(GateFailed) as caught:
        bob.promote(model, to="production")
    assert caught.value.problems == ("approvals: 0 of 1 approvals of this bundle under this policy; 1 more needed, by approver",)
    assert bob.standing(model).approvals == (made,)


def test_a_live_model_stays_what_it_is_when_it_is_packaged_anew(
    control: Control, entered: Callable[[str], str], packaged: Callable[..., str]
) -> None:
    first, second = entered("a"), entered("b")
    go_live(control, first)
    go_live(control, second)
    packaged(control, "a")
    acts(control).register(first)
    with pytest.raises(Outdated, match="has the bundle"):
        acts(control).roll_back("scores", model=first)
    assert live(control) == [second]


def test_entering_a_model_again_changes_nothing(control: Control, entered: Callable[[str], str]) -> None:
    model = entered("a")
    before = list(control.entries())
    acts(control).register(model)
    assert list(control.entries()) == before


def test_nobody_else_enters_a_model_again(control: Control, entered: Callable[[str], str]) -> None:
    model = entered("a")
    before = list(control.entries())
    with pytest.raises(NotAllowed, match="ann registered model-a"):
        acts(control, "bob").register(model)
    assert list(control.entries()) == before
    assert acts(control).author(model) == "ann"


def test_what_a_standing_tells(control: Control, entered: Callable[[str], str]) -> None:
    model = entered("a")
    bob = acts(control, "bob", approvals=1)
    digest = bundle_of(model, control).digest
    made = bob.decide(model, bundle=digest, decision="approve", role="approver", comment="read it")
    waived = bob.waive(model, gate="contract", bundle=digest, reason="old data", days=1)
    (standing,) = bob.standings()
    assert (standing.model, standing.service, standing.stage, standing.author) == (model, "scores", "candidate", "ann")
    assert (standing.bundle_digest, standing.policy_digest) == (digest, Gates(approvals=1).digest)
    assert (standing.approvals, standing.waivers, standing.generation) == ((made,), (waived,), 0)
    assert standing.gates[-1].reason == "1 of 1 approvals of this bundle under this policy: bob"


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda bob, model, seen: bob.decide(model, bundle=seen, decision="reject", role="approver", comment=" "), "its reason"),
        (lambda bob, model, seen: bob.waive(model, gate="contract", bundle=seen, reason=" ", days=1), "its reason"),
        (lambda bob, model, seen: bob.waive(model, gate="contract", bundle=seen, reason="r", days=0), "expected 1 to 365"),
        (lambda bob, model, seen: bob.waive(model, gate="contract", bundle=seen, reason="r", days=366), "expected 1 to 365"),
        (lambda bob, model, seen: bob.waive(model, gate="approvals", bundle=seen, reason="r", days=1), "never waived"),
        (lambda bob, model, seen: bob.waive(model, gate="contrakt", bundle=seen, reason="r", days=1), "no gate of this project"),
    ],
)
def test_what_cannot_be_decided_is_refused_and_leaves_no_trace(
    control: Control, entered: Callable[[str], str], act: Callable[..., Any], message: str
) -> None:
    model = entered("a")
    before = list(control.entries())
    with pytest.raises(BadInput, match=message):
        act(acts(control, "bob"), model, bundle_of(model, control).digest)
    assert list(control.entries()) == before


def test_each_person_decides_once(control: Control, entered: Callable[[str], str]) -> None:
    model = entered("a")
    given = {"bundle": bundle_of(model, control).digest, "role": "approver", "comment": "c"}
    acts(control, "bob").decide(model, decision="approve", **given)
    with pytest.raises(BadInput, match="bob has decided on this bundle of model-a under this policy already"):
        acts(control, "bob").decide(model, decision="reject", **given)


def test_an_author_s_own_approval_counts_only_where_nobody_else_is(control: Control, entered: Callable[[str], str]) -> None:
    model = entered("a")
    given = {"bundle": bundle_of(model, control).digest, "decision": "approve", "role": "approver", "comment": ""}
    acts(control, "ann", approvals=1).decide(model, **given)
    acts(control).promote(model, to="staging")
    with pytest.raises(GateFailed, match="misses 1 of the gates to production"):
        acts(control, "ann", approvals=1).promote(model, to="production")
    alone = Releases(control=control, actor="ann", policy=lambda: Gates(approvals=1), apart=False)
    assert alone.promote(model, to="production").parent == control.all(kind="approval")[0].id


@pytest.mark.parametrize(("to", "why"), [("candidate", " already"), ("production", ", from where no way leads to production")])
def test_no_stage_is_skipped_and_none_is_gone_back_to(control: Control, entered: Callable[[str], str], to: Any, why: str) -> None:
    model = entered("a")
    with pytest.raises(Outdated, match=f"is in candidate{why}"):
        acts(control).promote(model, to=to)


def test_what_was_never_entered_is_not_there(control: Control, packaged: Callable[..., str]) -> None:
    model = packaged(control, "a")
    with pytest.raises(NotFound, match="model-a is not registered"):
        acts(control).standing(model)
