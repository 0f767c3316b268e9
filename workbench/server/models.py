"""Handlers of models and their releases: each calls one act of the control plane. Listed in `routes`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request

from workbench.project import Gates
from workbench.records import Acceptance, Approval, Release, Waiver
from workbench.registry.control_plane import ControlPlane, Standing
from workbench.server.bodies import Approve, Digest, Name, Promote, Registration, Reject, Review, Waive, Wanted
from workbench.server.state import ServerState, plane_of, state_of
from workbench.server.uploads import enter

__all__ = [
    "approve",
    "list_models",
    "missing_objects",
    "promote",
    "put_object",
    "read_model",
    "read_papers",
    "read_policy",
    "register",
    "reject",
    "review",
    "roll_back",
    "set_policy",
    "waive",
]

Plane = Annotated[ControlPlane, Depends(plane_of)]
State = Annotated[ServerState, Depends(state_of)]


def list_models(plane: Plane) -> list[Standing]:
    """Every registered model of a project, oldest first."""
    return list(plane.standings())


def read_model(model: Name, plane: Plane) -> Standing:
    """Where one model stands."""
    return plane.standing(model)


def read_papers(model: Name, plane: Plane) -> dict[str, Any]:
    """All that is on file about one model: its records, the decisions on it, and the audit's entries about both."""
    papers = plane.papers(model)
    told: dict[str, Any] = msgspec.to_builtins(papers)
    told["records"] = [{"kind": record.kind, **msgspec.to_builtins(record)} for record in papers.records]
    return told


def missing_objects(project: Name, wanted: Wanted, state: State) -> dict[str, list[str]]:
    """Which objects the server lacks: only these need to be sent."""
    return {"missing": state.projects.missing(project, wanted.digests)}


async def put_object(project: Name, sha256: Digest, request: Request, state: State) -> dict[str, str]:
    """Takes one object's bytes under their sha256, which the server computes itself."""
    with state.projects.receiving(project, sha256) as upload:
        async for piece in request.stream():
            upload.write(piece)
    return {"sha256": sha256}


def register(project: Name, registration: Registration, request: Request, plane: Plane, state: State) -> Standing:
    """Enters a packaged model as a candidate; whoever sends it is its author."""
    control, home = state.projects.control(project), state.projects.home(project)
    enter(registration, project=project, principal=request.state.principal, control=control, home=home)
    return plane.register(registration.model)


def review(model: Name, body: Review, plane: Plane) -> Acceptance:
    """A reviewer accepts a model whose fairness review was INCONCLUSIVE."""
    return plane.review(model, reason=body.reason)


def approve(model: Name, body: Approve, plane: Plane) -> Approval:
    """Approves exactly the bundle that was seen."""
    return plane.approve(model, bundle=body.bundle, comment=body.comment, role=body.role)


def reject(model: Name, body: Reject, plane: Plane) -> Approval:
    """Rejects it."""
    return plane.reject(model, bundle=body.bundle, comment=body.comment, role=body.role)


def waive(model: Name, body: Waive, plane: Plane) -> Waiver:
    """Lets one gate pass for this bundle for some days."""
    return plane.waive(model, gate=body.gate, bundle=body.bundle, reason=body.reason, days=body.days)


def promote(model: Name, body: Promote, plane: Plane) -> Release:
    """Moves a model one stage on."""
    return plane.promote(model, to=body.to, bundle=body.bundle)


def roll_back(service: Name, plane: Plane) -> Release:
    """Brings the model back that was live before."""
    return plane.roll_back(service)


def read_policy(project: Name, state: State) -> Gates:
    """The gates of a project, as they hold now."""
    return state.projects.policy(project)


def set_policy(project: Name, gates: Gates, request: Request, state: State) -> dict[str, Any]:
    """Sets the gates of a project, and makes the project if it is new."""
    state.projects.set_policy(project, gates, actor=request.state.principal.name)
    return {"project": project, "digest": gates.digest}
