"""From a chosen model version to a bento with its record. Called by the experiment flow and by `workbench package`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TypeVar

import msgspec

from workbench.errors import BadInput, NotFound, WaitsForPerson
from workbench.project import read_project
from workbench.records import Acceptance, BentoBuild, Candidate, FairnessReview, ModelVersion, PreparedData, Record, new_id
from workbench.settings import Layout, actor, revision
from workbench.store import Control, Objects

__all__ = ["accept_model", "ancestor", "package_model"]

Kind = TypeVar("Kind", bound=Record)


def ancestor(record: Record, kind: type[Kind], control: Control) -> Kind:
    """The nearest record of one kind on the way from `record` to its dataset version, itself included.

    Raises:
        NotFound: the chain holds none.
    """
    current: Record | None = record
    while current is not None:
        if isinstance(current, kind):
            return current
        current = control.get(current.parent) if current.parent else None
    raise NotFound(f"{record.id} does not come from a {kind.kind}", hint=f"Look at its chain: workbench trace {record.id}")


def accept_model(version: ModelVersion, control: Control, *, reason: str) -> Acceptance:
    """A person accepts a model whose review was INCONCLUSIVE, for a stated reason.

    Raises:
        BadInput: there is nothing to accept, since the model was chosen without doubt or nobody won; or no reason is given.
    """
    if not reason.strip():
        raise BadInput("an acceptance needs its reason", hint='Say why: --reason "…"')
    accepted = [record for record in control.all(kind="acceptance", parent=version.id) if isinstance(record, Acceptance)]
    if accepted:
        return accepted[0]
    if version.state != "waiting":
        raise BadInput(
            f"{version.id} is {version.state!r}: only a model that waits for a person can be accepted",
            hint=f"See why: workbench trace {version.id}",
        )
    acceptance = Acceptance(
        id=new_id("acceptance"),
        parent=version.id,
        actor=actor(),
        zone=version.zone,
        revision=revision(Path.cwd()),
        reason=reason,
    )
    control.add(acceptance)
    return acceptance


def package_model(
    version: ModelVersion, layout: Layout, control: Control, objects: Objects, *, run: str | None = None
) -> BentoBuild:
    """Builds the bento of a model version; packaging it again returns the record that exists, and its bento if it was removed.

    Raises:
        WaitsForPerson: nobody won, or a person has not accepted the winner yet; the message says how.
        PackagingFailed: no safe format reproduces the model's predictions.
    """
    parent = _released_by(version, control)
    from workbench.data.contract import Contract  # these load BentoML, scikit-learn and polars: only when packaging
    from workbench.data.frames import read_frame
    from workbench.serving.bento import is_stored
    from workbench.serving.packaging import package

    built = [record for record in control.all(kind="bento", parent=parent.id) if isinstance(record, BentoBuild)]
    if built and is_stored(built[-1].tag):
        return built[-1]
    candidate, prepared = ancestor(version, Candidate, control), ancestor(version, PreparedData, control)
    project = read_project(layout.project_file)
    contract = msgspec.json.decode(objects.path(prepared.saved["contract"].digest).read_bytes(), type=Contract)
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        made = package(
            model_path=objects.path(candidate.saved["model"].digest),
            contract=contract,
            holdout=read_frame(objects.path(prepared.saved["holdout"].digest)),
            name=project.serving.name,
            version=version.id.removeprefix("model-"),
            max_rows=project.serving.max_rows,
            max_body_bytes=project.serving.max_body_bytes,
            labels=_labels(version, candidate, control),
            build_folder=Path(folder),
        )
    if built and built[-1].digest == made.digest:
        return built[-1]
    build = BentoBuild(
        id=new_id("bento"),
        parent=parent.id,
        run=run,
        actor=actor(),
        zone=version.zone,
        revision=revision(layout.root),
        tag=made.tag,
        model_tag=made.model_tag,
        digest=made.digest,
        format=made.format,
        parity=made.parity.as_json() if made.parity else {},
        fallback_reason=made.fallback_reason,
    )
    control.add(build)
    return build


def _released_by(version: ModelVersion, control: Control) -> Record:
    """The record that lets a version be packaged: the version itself when chosen, its acceptance when it had to wait."""
    if version.state == "chosen":
        return version
    if version.state == "none":
        raise WaitsForPerson(
            f"{version.id}: no candidate passed, so there is nothing to package",
            problems=version.reasons,
            hint="Improve a candidate or the data, then run again: workbench run",
        )
    acceptances = control.all(kind="acceptance", parent=version.id)
    if acceptances:
        return acceptances[-1]
    raise WaitsForPerson(
        f"{version.id} waits for a person: its fairness review was INCONCLUSIVE",
        problems=version.reasons,
        hint=f'Read the review, then: workbench models accept {version.id} --reason "…" and workbench package {version.id}',
    )


def _labels(version: ModelVersion, candidate: Candidate, control: Control) -> dict[str, str]:
    review = ancestor(version, FairnessReview, control)
    return {
        "workbench/model": version.id,
        "workbench/candidate": candidate.name,
        "workbench/notebook": candidate.notebook.executed[:16],
        "workbench/verdict": review.verdict,
        "workbench/dataset": ancestor(version, PreparedData, control).parent or "",
    }
