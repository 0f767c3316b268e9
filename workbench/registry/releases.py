"""The way of a model from candidate to production, and who decided so: one transaction for each act. Called by the control plane.

What is decided upon is read again inside the transaction, which no other writer overlaps. So an act either sees what its
caller saw, or is refused as outdated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update

from workbench.errors import BadInput, GateFailed, Outdated, did_you_mean
from workbench.project import Gates
from workbench.records import Approval, Release, Stage, Waiver, new_id
from workbench.registry import standings
from workbench.registry.bundle import Bundle, bento_of, bundle_of
from workbench.registry.gates import NEVER_WAIVED, GateResult, evaluate, has_expired, missed_for
from workbench.registry.standings import Placed, Standing
from workbench.store import Control, Unchanged, append
from workbench.store.people import pseudonym_of
from workbench.store.tables import approvals, releases

__all__ = ["Releases"]

NEXT: Mapping[Stage, tuple[Stage, ...]] = {
    "candidate": ("staging", "archived"),
    "staging": ("production", "archived"),
    "production": ("archived",),
    "archived": (),
}
"""Where a model may go from where it stands. Out of the archive leads only rolling back."""

LONGEST_WAIVER = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
    """One transaction about a model, with what holds in it; `detail` becomes the audit's."""

    connection: Connection
    place: Placed
    bundle: Bundle
    policy: Gates
    live: str | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Releases:
    """The acts on one project's models, done by one person.

    `policy` gives the gates that hold at that moment. `apart` says that an author's own decisions do not count; where one
    person does everything, there is nobody else to ask.
    """

    control: Control
    actor: str
    policy: Callable[[], Gates]
    apart: bool = True

    def standings(self) -> list[Standing]:
        """Every registered model, oldest first."""
        with self.control.read() as connection:
            listed = standings.placed_all(connection)
        return [self.standing(place.model) for place in listed]

    def standing(self, model: str) -> Standing:
        """Where one registered model stands, with every gate's result as of now.

        Raises:
            NotFound: it is not registered.
        """
        with self.control.read() as connection:
            place = standings.placed(connection, model)
            live = standings.live_of(connection, place.service)
        bundle, policy = bundle_of(model, self.control), self.policy()
        decisions = standings.decisions_on(model, self.control)
        return Standing(
            model=model,
            service=place.service,
            stage=place.stage,
            author=place.author,
            bundle=bundle,
            bundle_digest=bundle.digest,
            policy_digest=policy.digest,
            gates=self._judged(place, bundle, policy, live),
            approvals=tuple(decision for decision in decisions if isinstance(decision, Approval)),
            waivers=tuple(decision for decision in decisions if isinstance(decision, Waiver)),
            generation=place.generation,
        )

    def author(self, model: str) -> str:
        """Who registered a model.

        Raises:
            NotFound: it is not registered.
        """
        with self.control.read() as connection:
            return standings.placed(connection, model).author

    def makers(self, model: str) -> frozenset[str]:
        """Everybody whose work a model is, and who therefore does not decide on it; see `makers_of`.

        Raises:
            NotFound: it is not registered.
        """
        with self.control.read() as connection:
            place = standings.placed(connection, model)
        return standings.makers_of(place, self.control)

    def register(self, model: str) -> None:
        """Enters a packaged model as a candidate. Doing it again changes nothing.

        One that was packaged anew since, with other bytes, becomes a candidate again; what is live or archived stays.

        Raises:
            NotFound: there is no such model version, or it is not packaged.
            NotAllowed: somebody else registered it; with one person alone, nobody else is there.
        """
        detail: dict[str, Any] = {}
        with self.control.write(actor=self.actor, action="register", subject=model, detail=detail) as connection:
            if self.apart:
                standings.require_author(model, self.actor, self.control)
            bundle = bundle_of(model, self.control)
            detail["bundle"] = bundle.digest
            entry = {"author": pseudonym_of(connection, self.actor), "bundle": bundle.digest, "stage": "candidate"}
            entered = connection.execute(select(releases.c.stage, releases.c.bundle).where(releases.c.model == model)).first()
            if entered is None:
                generation = standings.generation_of(connection, bundle.service)
                row = {"model": model, "service": bundle.service, "generation": generation, "was_live": 0, **entry}
                connection.execute(insert(releases).values(row))
            elif entered.bundle == bundle.digest or entered.stage in ("production", "archived"):
                raise Unchanged
            else:
                connection.execute(update(releases).where(releases.c.model == model).values(entry))

    def decide(self, model: str, *, bundle: str, decision: Literal["approve", "reject"], role: str, comment: str) -> Approval:
        """Approves or rejects exactly the bundle with this digest, under the policy that holds now.

        Raises:
            NotFound: the model is not registered.
            BadInput: this person has decided on it already and that still counts, or a rejection says no reason.
            Outdated: there is another bundle now.
        """
        if decision == "reject" and not comment.strip():
            raise BadInput("a rejection needs its reason", hint='Say why: --comment "…"')
        with self._acting(decision, model, bundle) as act:
            made = Approval(
                **self._record("approval", act),
                policy=act.policy.digest,
                decision=decision,
                role=role,
                comment=comment,
                expires=_in_days(act.policy.approval_days),
            )
            approver = pseudonym_of(act.connection, self.actor)
            key = {"model": model, "bundle": bundle, "policy": made.policy, "approver": approver}
            earlier = standings.last_decision(act.connection, **key)
            if earlier is not None and not self._expired(earlier):
                raise BadInput(
                    f"{self.actor} has decided on this bundle of {model} under this policy already",
                    hint="Each person decides once, and again when that has expired. Other bytes or another policy need it anew.",
                )
            append(act.connection, made)
            act.connection.execute(insert(approvals).values(record=made.id, supersedes=earlier, **key))
            act.detail.update(record=made.id, role=role)
        return made

    def waive(self, model: str, *, gate: str, bundle: str, reason: str, days: int) -> Waiver:
        """Lets one gate pass for the bundle with this digest, for some days.

        Raises:
            NotFound: the model is not registered.
            BadInput: the policy has no such gate, it is never waived, the reason is missing, or the time is out of range.
            Outdated: there is another bundle now.
        """
        if not reason.strip():
            raise BadInput("a waiver needs its reason", hint='Say why: --reason "…"')
        if not 1 <= days <= LONGEST_WAIVER:
            raise BadInput(
                f"a waiver for {days} days, expected 1 to {LONGEST_WAIVER}", hint="Waive it for as long as needed only."
            )
        with self._acting("waive", model, bundle) as act:
            known = {result.gate for result in self._judged(act.place, act.bundle, act.policy, act.live)}
            if gate not in known - NEVER_WAIVED:
                why = "is never waived" if gate in NEVER_WAIVED else "is no gate of this project"
                raise BadInput(f"{gate!r} {why}", hint=did_you_mean(gate, known - NEVER_WAIVED))
            made = Waiver(
                **self._record("waiver", act), policy=act.policy.digest, gate=gate, reason=reason, expires=_in_days(days)
            )
            append(act.connection, made)
            act.detail.update(record=made.id, gate=gate)
        return made

    def promote(self, model: str, *, to: Stage, bundle: str | None = None) -> Release:
        """Moves a model on to a stage; what was live is archived in the same act.

        Args:
            model: a registered model.
            to: the next stage, or "archived".
            bundle: the digest that the caller has seen; by default what was registered.

        Raises:
            NotFound: the model is not registered.
            Outdated: it has left the stage from which this leads on, or there is another bundle now.
            GateFailed: each problem names a gate of that stage and by how much it is missed.
        """
        with self._acting(f"promote to {to}", model, bundle) as act:
            if to not in NEXT[act.place.stage]:
                possible = " or ".join(NEXT[act.place.stage]) or "nowhere; an archived model comes back only by rolling back"
                why = " already" if to == act.place.stage else f", from where no way leads to {to}"
                raise Outdated(f"{model} is in {act.place.stage}{why}", hint=f"It can go to {possible}.")
            results = self._judged(act.place, act.bundle, act.policy, act.live)
            missed = missed_for(to, results)
            if missed:
                raise GateFailed(
                    f"{model} misses {len(missed)} of the gates to {to}",
                    problems=[f"{result.gate}: {result.reason}" for result in missed],
                    hint=f"See every gate: workbench models show {model}",
                )
            made = self._move(act, to, reasons=tuple(f"{result.gate}: {result.reason}" for result in results))
        return made

    def before(self, service: str) -> str:
        """The model that rolling back would bring back.

        Raises:
            NotFound: no other model was live in this service.
        """
        with self.control.read() as connection:
            live = standings.live_of(connection, service)
        return standings.before(service, live, self.control)

    def roll_back(self, service: str, *, model: str) -> Release:
        """Brings the model back that was live before. It needs no new approval, but exactly the bytes that were live.

        Raises:
            NotFound: no other model was live in this service.
            Outdated: `model`, whose bytes the caller has verified, is not the one any more, or was packaged anew since.
        """
        with self._acting("roll back", model, None) as act:
            if standings.before(service, act.live, self.control) != model:
                raise Outdated(f"{model} is not what was live in {service!r} before", hint="Somebody was quicker; look again.")
            made = self._move(act, "production", rollback=True)
        return made

    @contextmanager
    def _acting(self, action: str, model: str, seen: str | None) -> Iterator[_Act]:
        """One transaction about a registered model whose bytes are still those that were registered and seen."""
        detail: dict[str, Any] = {}
        with self.control.write(actor=self.actor, action=action, subject=model, detail=detail) as connection:
            place = standings.placed(connection, model)
            bundle, policy = bundle_of(model, self.control), self.policy()
            if bundle.digest != place.bundle or seen not in (None, bundle.digest):
                raise Outdated(
                    f"{model} has the bundle {bundle.digest[:12]}… now, not {(seen or place.bundle)[:12]}…",
                    hint=f"Look again: workbench models show {model}. Enter what was packaged since: workbench package {model}",
                )
            detail |= {"bundle": bundle.digest, "policy": policy.digest}
            live = standings.live_of(connection, place.service)
            yield _Act(connection=connection, place=place, bundle=bundle, policy=policy, live=live, detail=detail)

    def _judged(self, place: Placed, bundle: Bundle, policy: Gates, live: str | None) -> tuple[GateResult, ...]:
        return evaluate(
            bundle,
            policy,
            standings.decisions_on(bundle.model, self.control),
            datetime.now(UTC),
            live=None if live in (None, bundle.model) else bundle_of(live, self.control),
            authors=standings.makers_of(place, self.control) if self.apart else frozenset(),
        )

    def _expired(self, decision: str) -> bool:
        record = self.control.get(decision)
        return isinstance(record, Approval) and has_expired(record, datetime.now(UTC))

    def _move(self, act: _Act, to: Stage, *, reasons: tuple[str, ...] = (), rollback: bool = False) -> Release:
        """Changes the rows, what was live first: the index lets no two be live, not even for a moment."""
        place, changes_live = act.place, "production" in (to, act.place.stage)
        generation = standings.generation_of(act.connection, place.service) + changes_live
        previous = act.live if to == "production" else None
        rows = [(place.model, {"stage": to, "was_live": int(place.was_live or to == "production")})]
        if previous is not None:
            rows.insert(0, (previous, {"stage": "archived"}))
        for model, values in rows:
            act.connection.execute(update(releases).where(releases.c.model == model).values(generation=generation, **values))
        decisions = standings.decisions_on(place.model, self.control)
        record = self._record("release", act)
        made = Release(
            **{**record, "parent": decisions[-1].id if decisions else record["parent"]},
            service=place.service,
            stage=to,
            policy=act.policy.digest,
            generation=generation,
            previous=previous,
            rollback=rollback,
            reasons=reasons,
        )
        append(act.connection, made)
        act.detail.update(record=made.id, stage=to, generation=generation, previous=previous)
        return made

    def _record(self, kind: str, act: _Act) -> dict[str, Any]:
        """What every record here carries; it follows from the package that it is about."""
        return {
            "id": new_id(kind),
            "parent": bento_of(act.place.model, self.control).id,
            "actor": self.actor,
            "zone": act.bundle.zone,
            "revision": act.bundle.revision,
            "model": act.place.model,
            "bundle": act.bundle.digest,
        }


def _in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="microseconds")
