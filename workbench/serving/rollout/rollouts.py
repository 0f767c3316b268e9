"""Rollouts under way and ended: one row each in the control database, one audited transaction for each act.

Called by the controller, which carries out what stands here, and by the commands of people who pause, end or look.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update

from workbench.errors import NotFound, Outdated
from workbench.records import new_id, now
from workbench.store import Control
from workbench.store.tables import rollouts

__all__ = ["PLANS", "Outcome", "Plan", "Rollout", "Rollouts", "State", "Strategy"]

Strategy = Literal["blue-green", "canary", "ab", "shadow"]
Outcome = Literal["promoted", "rolled back"]
State = Literal["running", "paused", "promoted", "rolled back"]

PLANS: Mapping[Strategy, tuple[int, ...]] = {"blue-green": (100,), "canary": (10, 50, 100), "ab": (50,), "shadow": (0,)}
"""The share of traffic, in percent, that the new model gets at each step, where a project does not say otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is fixed when a rollout starts: the new model's percentage of traffic at each step, and by what it is judged."""

    weights: tuple[int, ...]
    limits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A model on its way to a service's traffic: `weight` is its share in percent, the rest is the control's.

    `reason` says why it is in this state and at this step, `changed` since when.
    """

    id: str
    service: str
    model: str
    control: str
    strategy: Strategy
    plan: Plan
    state: State
    step: int
    weight: int
    reason: str
    started: str
    changed: str

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.state in ("running", "paused")

    @property
    def at_last_step(self) -> bool:
        """Whether no step is left but to promote the model."""
        return self.step + 1 == len(self.plan.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollouts:
    """The acts on rollouts, done by one person or by the controller in their name. At most one is under way for each service."""

    control: Control
    actor: str

    def start(self, *, service: str, model: str, control: str, strategy: Strategy, plan: Plan) -> Rollout:
        """Starts the first step of a rollout.

        Raises:
            Outdated: another one of this service is under way.
        """
        at = now()
        made = Rollout(
            id=new_id("rollout"),
            service=service,
            model=model,
            control=control,
            strategy=strategy,
            plan=plan,
            state="running",
            step=0,
            weight=plan.weights[0],
            reason=f"started as {strategy} in place of {control}",
            started=at,
            changed=at,
        )
        detail = {"rollout": made.id, "control": control, "strategy": strategy, "weight": made.weight}
        with self.control.write(actor=self.actor, action="start rollout", subject=model, detail=detail) as connection:
            other = _under_way(connection, service)
            if other is not None:
                raise Outdated(
                    f"{other.model} is on its way into {service!r} already, at {other.weight} % of the traffic",
                    hint="End it first: workbench rollout promote, or workbench rollout rollback",
                )
            row = {name: getattr(made, name) for name in Rollout.__slots__}
            connection.execute(insert(rollouts).values(**{**row, "plan": _written(plan)}))
        return made

    def under_way(self, service: str) -> Rollout | None:
        """The rollout of a service that has not ended, or None."""
        with self.control.read() as connection:
            return _under_way(connection, service)

    def listed(self, service: str, *, limit: int = 20) -> list[Rollout]:
        """A service's rollouts, newest first."""
        newest = select(rollouts).where(rollouts.c.service == service).order_by(rollouts.c.id.desc()).limit(limit)
        with self.control.read() as connection:
            return [_rollout(row._mapping) for row in connection.execute(newest)]

    def advance(self, rollout: Rollout, *, reason: str) -> Rollout:
        """Goes on to the next step.

        Raises:
            Outdated: it is not running at the step that the caller has seen, or that was the last one.
        """
        if rollout.at_last_step:
            raise Outdated(f"{rollout.id} is at its last step", hint="Promote the model: workbench rollout promote")
        step = rollout.step + 1
        values = {"step": step, "weight": rollout.plan.weights[step]}
        return self._change("advance rollout", rollout, states=("running",), values=values, reason=reason)

    def pause(self, rollout: Rollout, *, reason: str) -> Rollout:
        """Keeps the traffic as it is until somebody resumes; a harmful model is still rolled back.

        Raises:
            Outdated: it is not running.
        """
        return self._change("pause rollout", rollout, states=("running",), values={"state": "paused"}, reason=reason)

    def resume(self, rollout: Rollout, *, reason: str) -> Rollout:
        """Goes on after a pause.

        Raises:
            Outdated: it is not paused.
        """
        return self._change("resume rollout", rollout, states=("paused",), values={"state": "running"}, reason=reason)

    def end(self, rollout: Rollout, outcome: Outcome, *, reason: str) -> Rollout:
        """Ends it: all traffic to the new model, or none.

        Raises:
            Outdated: it has ended already.
        """
        values = {"state": outcome, "weight": 100 if outcome == "promoted" else 0}
        return self._change(f"rollout {outcome}", rollout, states=("running", "paused"), values=values, reason=reason)

    def _change(
        self, action: str, seen: Rollout, *, states: tuple[State, ...], values: Mapping[str, object], reason: str
    ) -> Rollout:
        with self._acting(action, seen, states) as (connection, detail):
            changed = {**values, "reason": reason, "changed": now()}
            connection.execute(update(rollouts).where(rollouts.c.id == seen.id).values(changed))
            made = _get(connection, seen.id)
            detail |= {"step": made.step, "weight": made.weight, "state": made.state, "reason": reason}
        return made

    @contextmanager
    def _acting(self, action: str, seen: Rollout, states: tuple[State, ...]) -> Iterator[tuple[Connection, dict[str, Any]]]:
        """One transaction about a rollout that is in one of these states, at the step that the caller has seen."""
        detail: dict[str, Any] = {"rollout": seen.id}
        with self.control.write(actor=self.actor, action=action, subject=seen.model, detail=detail) as connection:
            found = _get(connection, seen.id)
            if found.state not in states or found.step != seen.step:
                raise Outdated(
                    f"{found.id} is {found.state} at step {found.step + 1} of {len(found.plan.weights)}, "
                    f"expected {' or '.join(states)} at step {seen.step + 1}",
                    hint="Somebody was quicker; look again: workbench rollout status",
                )
            yield connection, detail


def _under_way(connection: Connection, service: str) -> Rollout | None:
    query = select(rollouts).where(rollouts.c.service == service, rollouts.c.state.in_(("running", "paused")))
    row = connection.execute(query).first()
    return None if row is None else _rollout(row._mapping)


def _get(connection: Connection, rollout: str) -> Rollout:
    row = connection.execute(select(rollouts).where(rollouts.c.id == rollout)).first()
    if row is None:
        raise NotFound(f"no rollout {rollout!r}", hint="List them: workbench rollout status")
    return _rollout(row._mapping)


def _written(plan: Plan) -> str:
    return json.dumps({"weights": plan.weights, "limits": dict(plan.limits)}, allow_nan=False)


def _rollout(row: Any) -> Rollout:
    plan = json.loads(row["plan"])
    return Rollout(**{**row, "plan": Plan(weights=tuple(plan["weights"]), limits=plan["limits"])})
