"""Where registered models stand: rows of the table `releases`, and what makes a standing of them. Called by the control plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from workbench.errors import NotAllowed, NotFound
from workbench.records import Approval, BentoBuild, Candidate, Release, Stage, Waiver
from workbench.registry.bundle import Bundle, bento_of
from workbench.registry.gates import GateResult
from workbench.store import Control
from workbench.store.people import names_in
from workbench.store.tables import approvals, releases

__all__ = [
    "Placed",
    "Standing",
    "before",
    "decisions_on",
    "generation_of",
    "last_decision",
    "live_of",
    "makers_of",
    "placed",
    "placed_all",
    "require_author",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One row of the table: where a model stands, and with which bundle it got there; `author` registered it."""

    model: str
    service: str
    author: str
    stage: Stage
    bundle: str
    generation: int
    was_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a registered model stands: its stage, its bundle, every gate's result as of now, and who has decided what."""

    model: str
    service: str
    stage: Stage
    author: str
    bundle: Bundle
    bundle_digest: str
    policy_digest: str
    gates: tuple[GateResult, ...]
    approvals: tuple[Approval, ...]
    waivers: tuple[Waiver, ...]
    generation: int


def placed_all(connection: Connection) -> list[Placed]:
    """Every registered model."""
    names = names_in(connection)
    return [_placed(row._mapping, names) for row in connection.execute(select(releases).order_by(releases.c.model))]


def placed(connection: Connection, model: str) -> Placed:
    """Where one model stands.

    Raises:
        NotFound: it is not registered.
    """
    row = connection.execute(select(releases).where(releases.c.model == model)).first()
    if row is None:
        raise NotFound(f"{model} is not registered as a candidate", hint=f"Package it first: workbench package {model}")
    return _placed(row._mapping, names_in(connection))


def live_of(connection: Connection, service: str) -> str | None:
    """The model that is live in a service, or None."""
    live = select(releases.c.model).where(releases.c.service == service, releases.c.stage == "production")
    return connection.execute(live).scalar()


def generation_of(connection: Connection, service: str) -> int:
    """How often what is live in a service has changed."""
    return int(connection.execute(select(func.max(releases.c.generation)).where(releases.c.service == service)).scalar() or 0)


def decisions_on(model: str, control: Control) -> list[Approval | Waiver]:
    """Every decision and waiver on a model, oldest first, whether it still counts or not."""
    listed = [record for package in control.all(kind="bento", parent=model) for record in control.all(parent=package.id)]
    return sorted((record for record in listed if isinstance(record, Approval | Waiver)), key=lambda record: record.at)


def last_decision(connection: Connection, **whose: str) -> str | None:
    """The record of a person's last decision on a bundle under a policy, or None; `whose` names those columns."""
    superseded = select(approvals.c.supersedes).where(approvals.c.supersedes.is_not(None))
    return connection.execute(select(approvals.c.record).filter_by(**whose).where(approvals.c.record.not_in(superseded))).scalar()


def makers_of(place: Placed, control: Control) -> frozenset[str]:
    """Everybody whose work a registered model is: who registered it, or the same trained file or package under another id.

    None of them may decide on it: otherwise two people who register each other's bytes could approve their own.
    """
    bento, candidate = bento_of(place.model, control), _trained(place.model, control)
    packages = [record for record in control.all(kind="bento") if isinstance(record, BentoBuild)]
    trained = [record for record in control.all(kind="candidate") if isinstance(record, Candidate)]
    same = [record.actor for record in packages if record.digest == bento.digest]
    same += [record.actor for record in trained if record.id == candidate.id or _file(record) in {_file(candidate)} - {None}]
    return frozenset({place.author, *same})


def require_author(model: str, actor: str, control: Control) -> None:
    """Requires that a model is not registered yet, or that the one who acts registered it.

    Raises:
        NotAllowed: somebody else registered it.
    """
    with control.read() as connection:
        author = connection.execute(select(releases.c.author).where(releases.c.model == model)).scalar()
        names = names_in(connection)
    if author is not None and names.get(author, author) != actor:
        raise NotAllowed(
            f"{names.get(author, author)} registered {model}, and nobody else registers it again",
            hint="Ask them to. Or run the experiment anew, which gives the model an id of its own: workbench run",
        )


def before(service: str, live: str | None, control: Control) -> str:
    """The model that was live before the one that is, or before the service was left without one.

    Rolling back walks back through what went live, one promotion at a time: it never returns to a model
    that was itself rolled back.

    Raises:
        NotFound: there was none.
    """
    history: list[str] = []
    for record in control.all(kind="release"):
        if not isinstance(record, Release) or record.service != service:
            continue
        if record.rollback:
            del history[history.index(record.model) + 1 :]
        elif record.stage == "production":
            history.append(record.model)
        elif record.model in history[-1:]:  # the live model was archived, and nothing took its place
            history.pop()
    if live is not None:
        history = history[:-1]
    if not history:
        raise NotFound(f"no model was live in {service!r} before", hint="See what is there: workbench models registered")
    return history[-1]


def _trained(model: str, control: Control) -> Candidate:
    record = control.get(model)
    while not isinstance(record, Candidate) and record.parent is not None:
        record = control.get(record.parent)
    if not isinstance(record, Candidate):
        raise NotFound(f"{model} does not come from a candidate", hint=f"See: workbench trace {model}")
    return record


def _file(candidate: Candidate) -> str | None:
    """The digest of the trained file, where the notebook saved one."""
    saved = candidate.saved.get("model")
    return None if saved is None else saved.digest


def _placed(row: Any, names: dict[str, str]) -> Placed:
    author = names.get(row["author"], row["author"])
    return Placed(**{**row, "author": author, "was_live": bool(row["was_live"])})
