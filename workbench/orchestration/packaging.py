"""From a chosen model version to a bento with its record. Called by the experiment flow and by `workbench package`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from workbench.errors import NotFound, Tampered, WaitsForPerson
from workbench.governance.model_key import model_key, public_key_of
from workbench.orchestration.planes import embedded_plane
from workbench.project import read_project
from workbench.records import BentoBuild, Candidate, FairnessReview, ModelVersion, PreparedData, Record, new_id
from workbench.registry.saved_login import in_team
from workbench.settings import Layout, actor, revision
from workbench.store import Control, Objects

if TYPE_CHECKING:
    from workbench.serving.packaging import Package, Signatures

__all__ = ["ancestor", "package_model"]

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


def package_model(
    version: ModelVersion, layout: Layout, control: Control, objects: Objects, *, run: str | None = None
) -> BentoBuild:
    """Builds the bento of a model version; packaging it again returns the record that exists, and its bento if it was removed.

    Without a server it also enters the model as a candidate for release; to a server, a person sends it.

    Raises:
        WaitsForPerson: nobody won, or a person has not accepted the winner yet; the message says how.
        PackagingFailed: no safe format reproduces the model's predictions.
    """
    build = _build(version, layout, control, objects, run)
    if not in_team():
        embedded_plane(layout, control).register(version.id)
    return build


def _build(version: ModelVersion, layout: Layout, control: Control, objects: Objects, run: str | None) -> BentoBuild:
    parent = _released_by(version, control)
    built = [record for record in control.all(kind="bento", parent=parent.id) if isinstance(record, BentoBuild)]
    earlier = built[-1] if built else None
    made = _made(version, layout, control, objects, earlier)
    objects.write_bytes(made.signatures.model)
    signature, _ = objects.write_bytes(made.signatures.bento)
    if earlier is not None and (earlier.digest, earlier.signature) == (made.digest, signature):
        return earlier
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
        signature=signature,
    )
    control.add(build)
    return build


def _made(version: ModelVersion, layout: Layout, control: Control, objects: Objects, earlier: BentoBuild | None) -> Package:
    """The model and its bento in BentoML's stores, signed; what an earlier package left whole is kept."""
    from workbench.data.contract import Contract  # these load BentoML, scikit-learn and polars: only when packaging
    from workbench.data.frames import read_frame
    from workbench.serving.packaging import package
    from workbench.serving.signing import Key

    private = model_key(layout)
    candidate, prepared = ancestor(version, Candidate, control), ancestor(version, PreparedData, control)
    project = read_project(layout.project_file)
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        return package(
            model_path=objects.path(candidate.saved["model"].digest),
            contract=msgspec.json.decode(objects.path(prepared.saved["contract"].digest).read_bytes(), type=Contract),
            holdout=read_frame(objects.path(prepared.saved["holdout"].digest)),
            name=project.serving.name,
            version=version.id.removeprefix("model-"),
            max_rows=project.serving.max_rows,
            max_body_bytes=project.serving.max_body_bytes,
            labels=_labels(version, candidate, control),
            made=version.at,
            key=Key(private=private, public=public_key_of(private)),
            signed=None if earlier is None else _signatures(earlier, objects),
            build_folder=Path(folder),
        )


def _signatures(build: BentoBuild, objects: Objects) -> Signatures | None:
    """The signatures of an earlier package, by which it is recognised; None where they are gone, or it never had any."""
    from workbench.serving.packaging import Signatures
    from workbench.serving.scorer.signature import IN_BENTO, signed_files

    if build.signature is None:
        return None
    try:
        bento = objects.path(build.signature).read_bytes()
        return Signatures(model=objects.path(signed_files(bento)[IN_BENTO]).read_bytes(), bento=bento)
    except (NotFound, Tampered, KeyError):
        return None


def _released_by(version: ModelVersion, control: Control) -> Record:
    """The record that lets a version be packaged: the version itself when chosen, its acceptance when it had to wait."""
    if version.state == "chosen" or (version.state == "waiting" and in_team()):
        return version  # in a team a reviewer accepts it at the server, once it is registered: its gate `fairness` waits for that
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
