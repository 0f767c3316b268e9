"""The state machine of releases holds, and it would notice: each of ten faults, planted alone, is found, and for its own reason.

The faults are planted from here, by taking one defence away. Where code and schema defend the same rule, the other one would
hide the fault, so the schema's part is taken away as well, and it is tested by itself in test_release_tables.
"""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import delete, insert, select, text

from tests.registry.releasing import AUTHOR, BYTES, EXPIRY, OWN, POLICY, REJECTION, STAGES, YES, ReleaseMachine
from workbench.project import Gates
from workbench.records import Waiver
from workbench.registry import releases
from workbench.registry.gates import evaluate
from workbench.registry.releases import NEXT, Releases
from workbench.store import Control, tables
from workbench.store import database as store

WALK = settings(
    max_examples=15,
    stateful_step_count=12,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    derandomize=True,
    database=None,
)
LONG = settings(WALK, max_examples=60, stateful_step_count=40)
SEARCH = settings(WALK, max_examples=200)


@pytest.fixture
def walk(packaged: Callable[..., str], turn: Callable[[int], None]) -> Callable[[Callable[[], Control], settings], None]:
    """Runs the machine on databases from `fresh`."""

    def run(fresh: Callable[[], Control], how: settings) -> None:
        members = {"fresh": staticmethod(fresh), "packaged": staticmethod(packaged), "turn": staticmethod(turn)}
        run_state_machine_as_test(type("Machine", (ReleaseMachine,), members), settings=how)

    return run


@pytest.fixture
def begun(packaged: Callable[..., str]) -> Callable[[Control], None]:
    """Gives a service its history: each model stands as in STAGES."""

    def begin(control: Control) -> None:
        acts = Releases(control=control, actor=AUTHOR, policy=Gates)
        for model, stage in STAGES.items():
            packaged(control, model.removeprefix("model-"))
            acts.register(model)
            for to in ("staging", "production") if stage != "candidate" else ():
                acts.promote(model, to=to)

    return begin


@pytest.fixture
def copies(tmp_path: Path, begun: Callable[[Control], None]) -> Callable[..., Callable[[], Control]]:
    """A maker of SQLite databases, each a copy of one made by `begun`; `prepare` takes a defence out of their schema."""
    template, numbers = tmp_path / "template.db", itertools.count()
    with Control(f"sqlite:///{template}") as control:
        begun(control)

    def fresh() -> Control:
        place = tmp_path / f"{next(numbers)}.db"
        shutil.copyfile(template, place)
        return Control(f"sqlite:///{place}")

    def make(prepare: tuple[str, ...] = ()) -> Callable[[], Control]:
        with Control(f"sqlite:///{template}") as control, control._engine.begin() as connection:
            for statement in prepare:
                connection.execute(text(statement))
        return fresh

    return make


def test_no_order_of_acts_breaks_a_rule(walk: Callable[..., None], copies: Callable[..., Callable[[], Control]]) -> None:
    walk(copies(), WALK)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_longer_order_of_acts_breaks_a_rule(walk: Callable[..., None], copies: Callable[..., Callable[[], Control]]) -> None:
    walk(copies(), LONG)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_order_of_acts_breaks_a_rule_on_postgresql(
    walk: Callable[..., None], begun: Callable[..., None], postgres: str
) -> None:
    """Between examples every table is put back, past the triggers that would refuse."""
    listed = tables.metadata.sorted_tables
    with Control(postgres) as control:
        begun(control)
        with control.read() as connection:
            rows = {table: [dict(row._mapping) for row in connection.execute(select(table))] for table in listed}

    def fresh() -> Control:
        control = Control(postgres)
        with control._engine.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for table in listed:
                connection.execute(delete(table))
                if rows[table]:
                    connection.execute(insert(table), rows[table])
        return control

    walk(fresh, LONG)


Plant = Callable[[pytest.MonkeyPatch], tuple[str, ...]]


def judging(patch: pytest.MonkeyPatch, change: Callable[..., tuple[Any, Any, Any]], **always: Any) -> tuple[str, ...]:
    """Lets the gates judge other decisions, or at another time, than there are."""

    def judged(bundle: Any, policy: Any, decisions: Any, now: Any, **named: Any) -> Any:
        return evaluate(bundle, policy, *change(bundle, policy, decisions, now), **{**named, **always})

    patch.setattr(releases, "evaluate", judged)
    return ()


def two_live(patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    move = Releases._move
    patch.setattr(Releases, "_move", lambda self, act, to, **given: move(self, dataclasses.replace(act, live=None), to, **given))
    return ("DROP INDEX one_live_model",)


def self_approval(patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    return judging(patch, lambda bundle, policy, decisions, now: (decisions, now), authors=frozenset())


def surviving_bytes(patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    return judging(patch, lambda bundle, policy, decisions, now: (approvals_moved(decisions, bundle=bundle.digest), now))


def policy_swap(patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    return judging(patch, lambda bundle, policy, decisions, now: (approvals_moved(decisions, policy=policy.digest), now))


def approvals_moved(decisions: Any, **to: str) -> Any:
    return [dataclasses.replace(d, **to) if getattr(d, "decision", "") == YES else d for d in decisions]


def expired_waiver(patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    def kept(bundle: Any, policy: Any, decisions: Any, now: Any) -> Any:
        return [dataclasses.replace(d, expires="9999-01-01") if isinstance(d, Waiver) else d for d in decisions], now

    return judging(patch, kept)


def forgotten_rejection(patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    def heard(bundle: Any, policy: Any, decisions: Any, now: Any) -> Any:
        return [decision for decision in decisions if getattr(decision, "decision", "") != "reject"], now

    return judging(patch, heard)


def resurrected_archive(patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    patch.setattr(releases, "NEXT", {**NEXT, "archived": ("staging",)})
    return ("DROP TRIGGER an_archived_model_comes_back_only_if_it_was_live_update",)


def double_promotion(patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    patch.setattr(releases, "NEXT", {**NEXT, "production": ("production", "archived")})
    return ()


def lost_audit_row(patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Of one act only, and the rarest."""
    write = Control.write

    @contextmanager
    def unseen(self: Control, *, actor: str, action: str, subject: str, detail: Any = None) -> Iterator[Any]:
        with (
            self._writing()
            if action == "roll back"
            else write(self, actor=actor, action=action, subject=subject, detail=detail) as connection
        ):
            yield connection

    patch.setattr(store.Control, "write", unseen)
    return ()


def endless_decision(patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    patch.setattr(Releases, "_expired", lambda *_: False)
    return ()


FAULTS: dict[Plant, str] = {
    two_live: "two models of one service are live",
    self_approval: OWN,
    surviving_bytes: BYTES,
    expired_waiver: EXPIRY,
    resurrected_archive: "it went from archived to staging",
    lost_audit_row: "what was done has one entry in the audit",
    policy_swap: POLICY,
    double_promotion: "it went from production to production",
    forgotten_rejection: REJECTION,
    endless_decision: "each person decides once, and again when that has expired",
}


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found_and_named(
    plant: Plant, walk: Callable[..., None], copies: Callable[..., Callable[[], Control]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = copies(plant(monkeypatch))
    with pytest.raises(AssertionError) as caught:
        walk(fresh, SEARCH)
    assert FAULTS[plant] in str(caught.value)
