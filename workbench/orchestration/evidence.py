"""Writes the evidence of a model that was verified, and verifies evidence. Called by `workbench evidence` and `verify`."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from workbench.errors import BadInput, NotFound
from workbench.governance.model_key import (
    TRUSTED_KEY,
    is_signature,
    model_key,
    sign,
    trusted_key,
)
from workbench.orchestration.planes import connect
from workbench.orchestration.tracing import trace
from workbench.orchestration.verifying import find_bento, verify_model
from workbench.project import read_project
from workbench.records import BentoBuild
from workbench.registry.control_plane import ControlPlane, Papers
from workbench.registry.evidence import (
    Attachments,
    LineageLine,
    Verified,
    Written,
    collect,
    decided,
    evidence_files,
    verify_evidence,
    write_files,
)
from workbench.registry.saved_login import current_login
from workbench.registry.standings import Standing
from workbench.settings import Layout, find_project
from workbench.store import Control, Objects

__all__ = ["verify_written", "write_evidence"]


def write_evidence(model: str, layout: Layout, control: Control, *, output: Path) -> Written:
    """Writes the evidence of a packaged model as a folder, and as a zip beside it.

    Args:
        model: the id of a model version or of a bento's record, or a bento's tag.
        layout: the project. Notebooks and the package's files are always its own, compared with what was recorded.
        control: its control database. Where a team's server decides, the records are those that the server has on file instead.
        output: the folder; evidence that lies there is replaced.

    Raises:
        Tampered: something is not what was recorded; there is no evidence of it then.
        NotFound: there is no such model, or it is not packaged.
        NotAuthenticated: a team's server decides, and nobody is logged in there.
        BadInput: the folder cannot be written, or holds something else; or the key that is trusted here is not the project's.
    """
    login = current_login()
    if login is None:
        with connect(layout) as plane:
            return _write(find_bento(model, control), layout, control, plane, output=output)
    with connect(layout) as plane, tempfile.TemporaryDirectory(prefix="wb-") as folder:
        papers = plane.papers(model)
        with Control(f"sqlite:///{folder}/control.db") as told:
            for record in papers.records:
                told.add(record)
            return _write(find_bento(model, told), layout, told, plane, output=output, server=(login.url, papers))


def _write(
    bento: BentoBuild,
    layout: Layout,
    control: Control,
    plane: ControlPlane,
    *,
    output: Path,
    server: tuple[str, Papers] | None = None,
) -> Written:
    """The evidence by the records in `control`; with a server, its address and whose audit is told."""
    objects = Objects(layout.objects)
    checks = verify_model(bento.id, layout, control)
    dossier = collect(bento, read_project(layout.project_file), control)
    dossier = decided(dossier, _standing(plane, dossier.version.id))
    if server is not None:
        url, papers = server
        dossier = replace(dossier, server=url, entries=papers.entries, head=papers.head, people=papers.people)
    lines = trace(bento.id, layout, control)
    attachments = Attachments(
        lineage=tuple(
            LineageLine(kind=line.kind, id=line.id, at=line.at, depth=line.depth, summary=line.summary) for line in lines
        ),
        checks=tuple((check.what, check.record, check.digest) for check in checks),
        signatures=_signatures(bento, objects),
        public_key=trusted_key(layout),
        requirements=_requirements(bento),
        private=(str(layout.root), str(layout.root.resolve()), str(Path.home())),
    )
    private = model_key(layout)
    if not is_signature(sign(b"", private), b"", attachments.public_key):
        raise BadInput(
            f"{TRUSTED_KEY} names another key than this project's, so what is signed here would not be trusted",
            hint="Write the evidence in the project that packaged the model.",
        )
    return write_files(evidence_files(dossier, attachments, objects), output, sign=lambda content: sign(content, private))


def verify_written(place: Path) -> Verified:
    """Verifies an evidence folder or zip, inside a project or far from any.

    The trusted key is the one that `WORKBENCH_TRUSTED_KEY` names, else the key of the project around, if it has one; else only
    the evidence's own.

    Raises:
        BadInput, Tampered: as `verify_evidence`.
    """
    return verify_evidence(place, key=_key_here())


def _key_here() -> bytes | None:
    try:
        layout = find_project()
    except NotFound:
        layout = Layout(root=Path.cwd())
    own = (layout.keys / "models.pem").is_file()
    return trusted_key(layout) if own or os.environ.get(TRUSTED_KEY) else None


def _standing(plane: ControlPlane, model: str) -> Standing | None:
    try:
        return plane.standing(model)
    except NotFound:  # it was never registered there
        return None


def _signatures(bento: BentoBuild, objects: Objects) -> dict[str, bytes]:
    from workbench.serving.scorer.signature import IN_BENTO, signed_files

    signature = objects.path(str(bento.signature)).read_bytes()
    return {"bento.sig.json": signature, "model.sig.json": objects.path(signed_files(signature)[IN_BENTO]).read_bytes()}


def _requirements(bento: BentoBuild) -> str:
    """The pins that the bento is installed from."""
    from workbench.serving.bento import bento_folder

    folder = bento_folder(bento.tag)
    assert folder is not None  # noqa: S101 - it was verified a moment ago
    return (folder / "env" / "python" / "requirements.txt").read_text(encoding="utf-8")
