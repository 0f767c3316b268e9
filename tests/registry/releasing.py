"""Every act on models in any order, against a plain account of what may happen; walked by test_release_machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import func, select

from workbench.errors import WorkbenchError
from workbench.project import Gates, MetricGate
from workbench.registry.bundle import bundle_of
from workbench.registry.releases import Releases
from workbench.registry.standings import placed_all
from workbench.store import Control, tables

PEOPLE = ("ann", "bob", "cat")
STAGES = {"model-a": "candidate", "model-b": "candidate", "model-c": "archived", "model-d": "production"}
MODELS = tuple(STAGES)
AUTHOR = "ann"
FLOOR = "metrics.roc_auc.floor"
LENIENT = Gates(approvals=1, approval_days=3)
STRICT = Gates(approvals=2)
UNREACHED = Gates(approvals=1, metrics={"roc_auc": MetricGate(floor=0.75)})
POLICIES = (LENIENT, STRICT, UNREACHED)
YES, NO = "approve", "reject"
TOGETHER = (
    (("bob", YES), ("cat", NO)),
    (("bob", YES), ("cat", YES)),
    (("ann", YES), ("bob", YES)),
    (("ann", YES),),
)

OWN = "who made it does not decide on it"
BYTES = "a decision is about certain bytes"
POLICY = "a decision is made under a certain policy"
EXPIRY = "a decision expires"
REJECTION = "a rejection stands"

models = st.sampled_from(MODELS)
people = st.sampled_from(PEOPLE)
candidates = st.sampled_from(MODELS[:2])
policies = st.sampled_from(POLICIES)
together = st.sampled_from(TOGETHER)


@dataclasses.dataclass(frozen=True)
class Made:
    """A decision in the account: `until` is the day from which it counts no more."""

    what: str
    person: str
    version: int
    policy: str
    until: int


class ReleaseMachine(RuleBasedStateMachine):
    """Four models, three people and every act in any order, against a plain account of what may happen.

    The account knows nothing of the tables: after each act it says whether it had to be done or refused and by which rule, what
    is live, and that the audit has exactly one entry for what was done. The test gives a database in which two models are
    candidates, one is live, and one was live before, a way to package
    them anew, and a clock to turn.
    """

    fresh: Callable[[], Control]
    packaged: Callable[..., str]
    turn: Callable[[int], None]

    def __init__(self) -> None:
        super().__init__()
        self.days = 0
        self.turn(0)
        self.control = self.fresh()
        self.policy = LENIENT
        self.version = dict.fromkeys(MODELS, 0)
        self.entered = dict.fromkeys(MODELS, 0)
        self.stage = dict(STAGES)
        self.digests: dict[tuple[str, int], str] = {}
        self.made: dict[str, list[Made]] = {model: [] for model in MODELS}
        self.lived = ["model-c", "model-d"]

    def teardown(self) -> None:
        self.control.close()

    def act(self, person: str, what: Callable[[Releases], Any]) -> bool:
        """Whether it was done. What was done has one entry in the audit, what was refused has none."""
        entries = self.entries()
        try:
            what(Releases(control=self.control, actor=person, policy=lambda: self.policy))
            done = True
        except WorkbenchError:
            done = False
        assert self.entries() == entries + done, "what was done has one entry in the audit, and what was not has none"
        return done

    def entries(self) -> int:
        with self.control.read() as connection:
            return connection.execute(select(func.count()).select_from(tables.audit)).scalar_one()

    def seen(self, model: str) -> str:
        """The digest of what is packaged now."""
        key = (model, self.version[model])
        if key not in self.digests:
            self.digests[key] = bundle_of(model, self.control).digest
        return self.digests[key]

    def whole(self, model: str) -> bool:
        """Whether it was not packaged anew since it was entered."""
        return self.entered[model] == self.version[model]

    def note(self, model: str, what: str, person: str, days: int) -> None:
        self.made[model].append(Made(what, person, self.version[model], self.policy.digest, self.days + days))

    @rule(policy=policies)
    def set_policy(self, policy: Gates) -> None:
        self.policy = policy

    @rule(days=st.sampled_from((1, 2)))
    def wait(self, days: int) -> None:
        self.days += days
        self.turn(self.days)

    @rule(model=models)
    def package_anew(self, model: str) -> None:
        self.version[model] += 1
        self.packaged(self.control, model.removeprefix("model-"))
        stays = self.stage[model] in ("production", "archived")
        entries = self.entries()
        Releases(control=self.control, actor=AUTHOR, policy=Gates).register(model)
        assert self.entries() == entries + (not stays), "what is live or archived is not entered anew"
        if not stays:
            self.stage[model], self.entered[model] = "candidate", self.version[model]

    @rule(model=models, person=people, decision=st.sampled_from((YES, NO)))
    def decide(self, model: str, person: str, decision: Any) -> None:
        of = (person, self.version[model], self.policy.digest)
        again = any((m.person, m.version, m.policy) == of and self.days < m.until for m in self.made[model] if m.what != "waive")
        seen = self.seen(model)
        done = self.act(person, lambda acts: acts.decide(model, bundle=seen, decision=decision, role="approver", comment="seen"))
        assert done == (self.whole(model) and not again), "each person decides once, and again when that has expired"
        if done:
            self.note(model, decision, person, self.policy.approval_days)

    @rule(model=models, days=st.sampled_from((1, 30)))
    def waive(self, model: str, days: int) -> None:
        seen = self.seen(model)
        done = self.act("bob", lambda acts: acts.waive(model, gate=FLOOR, bundle=seen, reason="few rows", days=days))
        assert done == (self.whole(model) and bool(self.policy.metrics)), "only a declared gate is waived"
        if done:
            self.note(model, "waive", "bob", days)

    def lets(self, model: str, *, without: str = "") -> bool:
        """Whether the gates let a model go live, told once more in plain words; `without` leaves one rule out."""
        counted = [
            what for what, _ in {(made.what, made.person) for made in self.made[model] if self.counts(made, model, without)}
        ]
        heard = without == REJECTION or NO not in counted
        reached = "waive" in counted or not self.policy.metrics
        return counted.count(YES) >= self.policy.approvals and heard and reached

    def counts(self, made: Made, model: str, without: str) -> bool:
        kept = {
            OWN: made.person != AUTHOR,
            BYTES: made.version == self.version[model],
            POLICY: made.policy == self.policy.digest,
            EXPIRY: self.days < made.until,
        }
        return all(holds for rule, holds in kept.items() if rule != without or made.what == NO)

    @rule(model=models, person=people, to=st.sampled_from(("staging", "production", "production", "archived")))
    def promote(self, model: str, person: str, to: Any) -> None:
        here = self.stage[model]
        possible = self.whole(model) and (here, to) in {
            ("candidate", "staging"),
            ("staging", "production"),
            ("candidate", "archived"),
            ("staging", "archived"),
            ("production", "archived"),
        }
        done = self.act(person, lambda acts: acts.promote(model, to=to))
        assert possible or not done, f"it went from {here} to {to}"
        if possible and to == "production":
            broken = [rule for rule in (OWN, BYTES, POLICY, EXPIRY, REJECTION) if self.lets(model, without=rule)]
            assert self.lets(model) or not done, f"it went live against: {', '.join(broken)}"
            possible = self.lets(model)
        assert done == possible, f"it was kept from going from {here} to {to}"
        if done:
            self.move(model, to)

    def move(self, model: str, to: str) -> None:
        if to == "production":
            self.archive_live()
            self.lived.append(model)
        elif self.stage[model] == "production":
            self.lived.remove(model)
        self.stage[model] = to

    def archive_live(self) -> None:
        for model in MODELS:
            if self.stage[model] == "production":
                self.stage[model] = "archived"

    @rule(person=people)
    def roll_back(self, person: str) -> None:
        history = self.lived[:-1] if "production" in self.stage.values() else self.lived
        done = self.act(person, lambda acts: acts.roll_back("scores", model=acts.before("scores")))
        assert done == (bool(history) and self.whole(history[-1])), "what was live before comes back, with the same bytes"
        if done:
            self.archive_live()
            self.lived = history
            self.stage[history[-1]] = "production"

    def decide_all(self, model: str, deciding: Any) -> None:
        for person, decision in deciding:
            self.decide(model, person, decision)
        if self.policy is UNREACHED:
            self.waive(model, 1)

    def go_live(self, model: str) -> None:
        for to in ("staging", "production", "production"):
            self.promote(model, "ann", to)

    @rule(model=candidates, policy=policies, deciding=together)
    def release(self, model: str, policy: Gates, deciding: Any) -> None:
        """All that a release takes, in one step, here and below: without it, few examples would ever get so far."""
        self.policy = policy
        self.decide_all(model, deciding)
        self.go_live(model)

    @rule(model=candidates, policy=policies, deciding=together, other=st.none() | policies)
    def release_what_changed(self, model: str, policy: Gates, deciding: Any, other: Gates | None) -> None:
        """The bytes change between decision and release, or the policy does."""
        self.policy = policy
        self.decide_all(model, deciding)
        if other is None:
            self.package_anew(model)
        else:
            self.policy = other
        self.go_live(model)

    @rule(model=candidates, policy=st.sampled_from((LENIENT, UNREACHED)), deciding=together, again=st.booleans())
    def release_late(self, model: str, policy: Gates, deciding: Any, again: bool) -> None:
        """Approvals or waiver have expired, and are perhaps given again."""
        self.policy = policy
        self.decide_all(model, deciding)
        self.wait(3)
        if again:
            self.decide_all(model, deciding)
        self.go_live(model)

    @invariant()
    def the_tables_say_what_happened(self) -> None:
        with self.control.read() as connection:
            listed = {place.model: place.stage for place in placed_all(connection)}
        assert list(listed.values()).count("production") <= 1, "two models of one service are live"
        assert listed == self.stage, "the tables say what happened"
