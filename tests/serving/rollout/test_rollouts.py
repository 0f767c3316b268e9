"""Rollouts in the control database: one at a time for each service, ended once, every act in the audit, whoever is quicker."""

from __future__ import annotations

import json
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy.exc import DatabaseError

from tests.serving.rollout.conftest import add_models
from workbench.errors import NotFound, Outdated
from workbench.serving.rollout.rollouts import PLANS, Plan, Rollout, Rollouts
from workbench.store import Control

CANARY = Plan(weights=PLANS["canary"], limits={"alpha": 0.01})


@pytest.fixture
def rollouts(control: Control) -> Rollouts:
    return Rollouts(control=control, actor="ann")


def started(rollouts: Rollouts, **changes: object) -> Rollout:
    return rollouts.start(
        **{"service": "credit", "model": "new", "control": "old", "strategy": "canary", "plan": CANARY, **changes}
    )


def test_a_rollout_starts_at_its_first_weight_and_is_found_again_as_it_was(rollouts):
    made = started(rollouts)
    assert (made.weight, made.step, made.state) == (10, 0, "running")
    assert rollouts.under_way("credit") == made
    assert rollouts.under_way("other") is None
    assert made.plan == CANARY


def test_a_second_rollout_of_a_service_is_refused_and_one_of_another_service_is_not(rollouts):
    started(rollouts)
    with pytest.raises(Outdated, match="new is on its way into 'credit' already, at 10 %"):
        started(rollouts, model="newer")
    assert started(rollouts, service="other").service == "other"


def test_steps_follow_the_plan_and_after_the_last_only_promotion_is_left(rollouts):
    made = started(rollouts)
    assert not made.at_last_step
    half = rollouts.advance(made, reason="no harm seen")
    whole = rollouts.advance(half, reason="no harm seen")
    assert (half.weight, whole.weight, whole.at_last_step) == (50, 100, True)
    with pytest.raises(Outdated, match="at its last step"):
        rollouts.advance(whole, reason="again")
    assert rollouts.end(whole, "promoted", reason="done").weight == 100


def test_an_ended_rollout_makes_room_for_the_next_and_never_changes_again(rollouts):
    made = rollouts.end(started(rollouts), "rolled back", reason="more errors")
    assert (made.weight, made.state, made.reason, made.under_way) == (0, "rolled back", "more errors", False)
    with pytest.raises(Outdated, match="is rolled back at step 1 of 3, expected running or paused"):
        rollouts.end(made, "promoted", reason="after all")
    assert started(rollouts).id != made.id
    assert [one.state for one in rollouts.listed("credit")] == ["running", "rolled back"]


def test_a_paused_rollout_does_not_advance_but_can_be_rolled_back(rollouts):
    paused = rollouts.pause(started(rollouts), reason="lunch")
    with pytest.raises(Outdated, match="expected running at step 1"):
        rollouts.advance(paused, reason="x")
    assert rollouts.resume(paused, reason="back").state == "running"
    again = rollouts.pause(paused, reason="tea")
    assert rollouts.end(again, "rolled back", reason="harm").weight == 0


def test_who_decides_on_what_was_a_step_ago_is_refused(rollouts):
    seen = started(rollouts)
    rollouts.advance(seen, reason="x")
    with pytest.raises(Outdated, match="running at step 2 of 3, expected running at step 1"):
        rollouts.advance(seen, reason="x")


def test_every_act_is_in_the_audit_with_its_reason(rollouts, control):
    rollouts.end(rollouts.advance(started(rollouts), reason="no harm in 500 answers"), "rolled back", reason="slower")
    acts = [(entry.action, json.loads(entry.detail)) for entry in control.entries() if "rollout" in entry.action]
    assert [action for action, _ in acts] == ["start rollout", "advance rollout", "rollout rolled back"]
    assert [detail.get("reason") for _, detail in acts] == [None, "no harm in 500 answers", "slower"]
    assert [detail["weight"] for _, detail in acts] == [10, 50, 0]


def test_an_unknown_rollout_is_not_found(rollouts):
    made = started(rollouts)
    missing = Rollout(**{**{name: getattr(made, name) for name in Rollout.__slots__}, "id": "rollout-x"})
    with pytest.raises(NotFound, match="no rollout 'rollout-x'"):
        rollouts.pause(missing, reason="x")


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("DELETE FROM rollouts", "rollouts are kept"),
        ("UPDATE rollouts SET model = 'newer'", "what a rollout compares stays"),
        ("UPDATE rollouts SET plan = '{}'", "what a rollout compares stays"),
        ("UPDATE rollouts SET weight = 101", "(?i)check constraint"),
        ("UPDATE rollouts SET state = 'lost'", "(?i)check constraint"),
        (
            "INSERT INTO rollouts SELECT 'r2', service, 'newer', control, strategy, plan, state, 0, 0, '', '', '' FROM rollouts",
            "(?i)unique",
        ),
    ],
)
def test_the_database_itself_keeps_the_rules(rollouts, sql, statement, rule):
    started(rollouts)
    with pytest.raises(DatabaseError, match=rule):
        sql(statement)


def test_the_database_itself_lets_no_ended_rollout_change(rollouts, sql):
    rollouts.end(started(rollouts), "promoted", reason="done")
    with pytest.raises(DatabaseError, match="a rollout ends once"):
        sql("UPDATE rollouts SET state = 'running'")


def test_of_many_who_start_or_end_at_once_exactly_one_does(url, control):
    outcomes: list[str] = []

    def attempt(act) -> None:
        with Control(url) as own:
            try:
                act(Rollouts(control=own, actor="ann"))
                outcomes.append("done")
            except Outdated:
                outcomes.append("late")

    def all_at_once(act) -> None:
        threads = [threading.Thread(target=attempt, args=(act,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    all_at_once(started)
    assert sorted(outcomes) == ["done", *["late"] * 5]
    (seen,) = Rollouts(control=control, actor="ann").listed("credit")
    outcomes.clear()
    all_at_once(lambda rollouts: rollouts.advance(seen, reason="x"))
    assert sorted(outcomes) == ["done", *["late"] * 5]


class Walk(RuleBasedStateMachine):
    """Any order of acts, also on what has been seen long ago: a service has one rollout, and each ends once."""

    @initialize()
    def opened(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.control = Control(f"sqlite:///{Path(self.folder.name) / 'control.db'}")
        add_models(self.control)
        self.rollouts = Rollouts(control=self.control, actor="ann")
        self.seen: list[Rollout] = []
        self.ended: dict[str, Rollout] = {}

    def teardown(self) -> None:
        if hasattr(self, "control"):
            self.control.close()
            self.folder.cleanup()

    def now(self) -> Rollout | None:
        return self.rollouts.under_way("credit")

    @rule(model=st.sampled_from(["new", "newer"]))
    def start(self, model: str) -> None:
        if self.now() is None:
            self.seen.append(started(self.rollouts, model=model))
        else:
            with pytest.raises(Outdated):
                started(self.rollouts, model=model)

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), act=st.sampled_from(["advance", "pause", "resume", "promoted", "rolled back"]))
    def act(self, data: st.DataObject, act: str) -> None:
        seen = data.draw(st.sampled_from(self.seen))
        now = self.now()
        current = now is not None and now.id == seen.id and now.step == seen.step
        allowed = current and {
            "advance": now.state == "running" and not seen.at_last_step,
            "pause": now.state == "running",
            "resume": now.state == "paused",
        }.get(act, True)
        if not allowed:
            with pytest.raises(Outdated):
                self._do(act, seen)
            return
        made = self._do(act, seen)
        if made.under_way:
            self.seen.append(made)
        else:
            self.ended[made.id] = made

    def _do(self, act: str, seen: Rollout) -> Rollout:
        if act in ("promoted", "rolled back"):
            return self.rollouts.end(seen, act, reason="why")
        return getattr(self.rollouts, act)(seen, reason="why")

    @invariant()
    def one_is_under_way_and_what_ended_stays(self) -> None:
        if not hasattr(self, "control"):
            return
        listed = self.rollouts.listed("credit", limit=100)
        assert sum(one.under_way for one in listed) <= 1
        assert {one.id: one for one in listed if not one.under_way} == self.ended
        for one in listed:
            expected = {"promoted": 100, "rolled back": 0}.get(one.state, one.plan.weights[one.step])
            assert one.weight == expected


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
