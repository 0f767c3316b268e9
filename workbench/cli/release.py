"""Commands that decide about a model and move it: parse, call one act of the control plane, print. Registered by `cli.app`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from workbench.cli.output import console, print_done, print_json, print_next, print_table

if TYPE_CHECKING:
    from workbench.records import Record
    from workbench.registry.control_plane import ControlPlane, Standing

__all__ = ["approve", "erase", "print_registered", "print_standing", "promote", "register", "reject", "rollback", "waive"]

SHORTEST = 12
"""So much of a digest names it, as the tables show it."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Model = Annotated[str, typer.Argument(help="A model's id; list them with: workbench models")]
Bundle = Annotated[
    str | None, typer.Option(metavar="DIGEST", help="The bundle you looked at; refused if there is another one by now.")
]
Role = Annotated[Literal["reviewer", "approver"], typer.Option(help="The role in which you decide.")]


def register(
    model: Annotated[str | None, typer.Argument(help="A packaged model's id; the newest by default.")] = None,
    json: Json = False,
) -> None:
    """Enter a packaged model as a candidate for release. To a team's server its records and files are sent.

    Whoever registers it is its author, and others decide on it. Doing it again changes nothing, unless it was packaged anew.
    """
    from workbench.orchestration.projects import find_model
    from workbench.settings import find_project
    from workbench.store import open_control

    with _plane(acting=False) as plane, open_control(find_project()) as control:
        wanted = model or find_model(None, control).id
        standing = plane.register(wanted)
    if json:
        import msgspec

        print_json(msgspec.to_builtins(standing))
        return
    print_done(f"{wanted}: {standing.stage} of {standing.service}, registered by {standing.author}")
    print_next(f"workbench models show {wanted}; an approver then runs: workbench approve {wanted}")


def approve(
    model: Model,
    comment: Annotated[str, typer.Option(help="What you looked at, for whoever asks later.")] = "",
    bundle: Bundle = None,
    role: Role = "approver",
    json: Json = False,
) -> None:
    """Approve exactly the bytes, data, numbers and verdicts that a model has now, under the gates that hold now.

    Any change of them voids the approval. Its author's own approval does not count, except in a project without a server.
    """
    with _plane(acting=True) as plane:
        made = plane.approve(model, bundle=_seen(plane, model, bundle), comment=comment, role=role)
    _print_made(made, f"{made.actor} approved {model} as {role} until {made.expires[:10]}", json)
    if not json:
        print_next(f"workbench models show {model}, or: workbench promote {model} --to staging")


def reject(
    model: Model,
    comment: Annotated[str, typer.Option(help="Why.")],
    bundle: Bundle = None,
    role: Role = "approver",
    json: Json = False,
) -> None:
    """Reject a model: while the rejection stands, no approval of others lets it pass."""
    with _plane(acting=True) as plane:
        made = plane.reject(model, bundle=_seen(plane, model, bundle), comment=comment, role=role)
    _print_made(made, f"{made.actor} rejected {model} as {role}", json)


def waive(
    model: Model,
    gate: Annotated[str, typer.Option(help="The gate's name, as `workbench models show MODEL` prints it.")],
    reason: Annotated[str, typer.Option(help="Why it may be missed.")],
    days: Annotated[int, typer.Option(min=1, max=365, help="For how long.")],
    bundle: Bundle = None,
    json: Json = False,
) -> None:
    """Let one gate pass for this model as it is, for some days. Approvals and signature are never waived."""
    with _plane(acting=True) as plane:
        made = plane.waive(model, gate=gate, bundle=_seen(plane, model, bundle), reason=reason, days=days)
    _print_made(made, f"{made.actor} waived {gate} of {model} until {made.expires[:10]}", json)


def promote(
    model: Model,
    to: Annotated[Literal["staging", "production", "archived"], typer.Option(help="The next stage.")],
    bundle: Bundle = None,
    json: Json = False,
) -> None:
    """Move a model on: candidate, staging, production. The model that was live is archived in the same act.

    Every gate of the stage has to pass: staging asks for fairness, contract, parity and signature, production for all.
    """
    with _plane(acting=True) as plane:
        made = plane.promote(model, to=to, bundle=bundle)
    instead = f" in place of {made.previous}" if made.previous else ""
    _print_made(made, f"{model} is in {to} of {made.service}, generation {made.generation}{instead}", json)


def rollback(
    service: Annotated[str | None, typer.Argument(help="The service's name; this project's by default.")] = None,
    json: Json = False,
) -> None:
    """Bring the model back that was live before. It needs no new approval, but whole bytes."""
    from workbench.project import read_project
    from workbench.settings import find_project

    with _plane(acting=True) as plane:
        made = plane.roll_back(service or read_project(find_project().project_file).serving.name)
    _print_made(made, f"{made.model} is back in production of {made.service}, generation {made.generation}", json)


def erase(
    person: Annotated[str, typer.Argument(help="A name, or the pseudonym under which somebody acted.")],
    json: Json = False,
) -> None:
    """Forget who somebody is. What they did stays in the records and the audit, under a pseudonym that leads to nobody."""
    with _plane(acting=True) as plane:
        pseudonym = plane.erase(person)
    if json:
        print_json({"erased": pseudonym})
    else:
        print_done(f"nothing here tells any more who {pseudonym} is")


def print_registered(*, as_json: bool) -> None:
    """Every registered model, where it stands, and which gates it misses; in a team, as the server knows it."""
    with _plane(acting=False) as plane:
        standings = plane.standings()
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(list(standings)))
    elif not standings:
        console.print("no model is registered yet. [cyan]next[/]  workbench package, workbench register")
    else:
        rows = [(one.model, one.stage, one.service, one.author, _missed(one)) for one in standings]
        print_table(("id", "stage", "service", "author", "misses"), rows)


def _missed(standing: Standing) -> str:
    return ", ".join(gate.gate for gate in standing.gates if not gate.passed) or "–"


def print_standing(model: str, *, as_json: bool) -> None:
    """Where a model stands: its stage, each gate with its reason, and who has decided what."""
    with _plane() as plane:
        standing = plane.standing(model)
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(standing))
        return
    console.print(f"{standing.model}: {standing.stage} of {standing.service}, registered by {standing.author}", markup=False)
    console.print(f"bundle {standing.bundle_digest}\npolicy {standing.policy_digest}", markup=False)
    print_table(("", "gate", "why"), [("✓" if gate.passed else "✗", gate.gate, gate.reason) for gate in standing.gates])
    decided = [(made.at[:19], made.actor, made.decision, made.comment, made.bundle[:12]) for made in standing.approvals]
    waived = [(made.at[:19], made.actor, f"waive {made.gate}", made.reason, made.bundle[:12]) for made in standing.waivers]
    if decided or waived:
        print_table(("at", "who", "decided", "why", "bundle"), sorted(decided + waived))


def _plane(*, acting: bool = False) -> AbstractContextManager[ControlPlane]:
    from workbench.cli.server import sign_in
    from workbench.orchestration.planes import connect
    from workbench.settings import find_project

    return connect(find_project(), sign_in=sign_in if acting else None)


def _seen(plane: ControlPlane, model: str, bundle: str | None) -> str:
    """The digest that a person decides on: the one they name, in full or its beginning, or the one there is now."""
    now = plane.standing(model).bundle_digest
    return now if bundle is None or (len(bundle) >= SHORTEST and now.startswith(bundle)) else bundle


def _print_made(made: Record, told: str, as_json: bool) -> None:
    if as_json:
        import msgspec

        print_json({"kind": made.kind, **msgspec.to_builtins(made)})
    else:
        print_done(f"{told}  ({made.id})")
