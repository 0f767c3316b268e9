"""Recomputes every digest and signature that a model rests on. Called by `workbench verify`, and before approving and serving."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import BadInput, NotFound, Tampered, WorkbenchError
from workbench.governance.model_key import trusted_key
from workbench.records import BentoBuild, DatasetVersion, NotebookRun, Record, Saved
from workbench.settings import Layout
from workbench.store import Control, Objects
from workbench.store.objects import digest_of

__all__ = ["Check", "check_model", "find_bento", "require_whole", "verify_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison: what was compared, of which record, with which digest, and what is wrong (None: nothing)."""

    what: str
    record: str
    digest: str
    problem: str | None = None


def verify_model(model: str, layout: Layout, control: Control) -> tuple[Check, ...]:
    """Every comparison of `check_model`, none of which found anything.

    Raises:
        Tampered: the message names the first file that is not what was recorded, the problems all of them.
        NotFound: there is no such model, or it is not packaged.
    """
    checks = check_model(model, layout, control)
    require_whole(model, checks)
    return checks


def require_whole(model: str, checks: Sequence[Check]) -> None:
    """Refuses a model of which a comparison found something.

    Raises:
        Tampered: as `verify_model`.
    """
    wrong = [f"{check.what}: {check.problem}" for check in checks if check.problem is not None]
    if wrong:
        raise Tampered(
            f"{model} cannot be vouched for: {wrong[0]}",
            problems=wrong[1:],
            hint="Do not use it. Restore the file from a backup, or package the model again: workbench package",
        )


def check_model(model: str, layout: Layout, control: Control) -> tuple[Check, ...]:
    """Compares all that a packaged model rests on with what was recorded: objects, notebooks, model, bento, signatures.

    Args:
        model: the id of a model version or of a bento's record, or a bento's tag.
        layout: the project; its own key is trusted, or the one that `WORKBENCH_TRUSTED_KEY` names.
        control: its control database.

    Raises:
        NotFound: there is no such model, or it is not packaged.
    """
    bento, objects = find_bento(model, control), Objects(layout.objects)
    chain: list[Record] = [bento]
    while chain[-1].parent is not None:
        chain.append(control.get(chain[-1].parent))
    checks = [check for record in reversed(chain) for check in _objects_of(record, objects)]
    return (*checks, *_packaged(bento, objects, trusted_key(layout)))


def find_bento(model: str, control: Control) -> BentoBuild:
    """The newest package of a model version, or the one with this id or tag.

    Raises:
        NotFound: nothing has this id, or nothing was packaged from it.
    """
    bentos = [record for record in control.all(kind="bento") if isinstance(record, BentoBuild)]
    named = [bento for bento in bentos if model in (bento.id, bento.tag)]
    named = named or [bento for bento in bentos if model in _lineage(bento, control)]
    if not named:
        found = control.get(model)
        raise NotFound(f"{found.kind} {found.id} is not packaged", hint=f"Package it first: workbench package {found.id}")
    return named[-1]


def _lineage(bento: BentoBuild, control: Control) -> Iterator[str]:
    """The ids of the model version and of the acceptance that a bento was packaged from."""
    record: Record = bento
    while record.parent is not None:
        record = control.get(record.parent)
        if record.kind not in ("acceptance", "model"):
            return
        yield record.id


def _objects_of(record: Record, objects: Objects) -> Iterator[Check]:
    """The stored files that a record names."""
    if isinstance(record, DatasetVersion):
        yield _stored(record.digest, f"the rows of {record.name}", record, objects)
    notebook: NotebookRun | None = getattr(record, "notebook", None)
    if notebook is not None:
        yield _stored(notebook.executed, f"the executed notebook {notebook.name}", record, objects)
    saved: Mapping[str, Saved] = getattr(record, "saved", {})
    for value in saved.values():
        yield _stored(value.digest, f"the saved value {value.name}", record, objects)


def _stored(digest: str, what: str, record: Record, objects: Objects) -> Check:
    def compare() -> None:
        found = digest_of(objects.path(digest))
        if found != digest:
            raise Tampered(f"its sha256 is {found[:12]}…, expected {digest[:12]}…")

    return _check(what, record, digest, compare)


def _packaged(bento: BentoBuild, objects: Objects, key: bytes) -> Iterator[Check]:
    """The model's and the bento's files as they lie in BentoML's stores, against their signatures."""
    from workbench.serving.bento import bento_folder, model_folder  # loads BentoML
    from workbench.serving.scorer.manifest import MANIFEST, read_manifest, verified_content
    from workbench.serving.scorer.signature import IN_BENTO, signed_files, verify_folder

    model, built = model_folder(bento.model_tag), bento_folder(bento.tag)

    def contents() -> None:
        folder = _present(model, bento.model_tag)
        verified_content(folder, read_manifest(folder / MANIFEST, digest=bento.digest))

    def model_signature() -> None:
        name = signed_files(_signature(bento, objects)).get(IN_BENTO)
        if name is None:
            raise Tampered("the bento holds no signature over the model's files")
        verify_folder(_present(model, bento.model_tag), objects.path(name).read_bytes(), key)

    def bento_signature() -> None:
        verify_folder(_present(built, bento.tag), _signature(bento, objects), key)

    yield _check(f"the files of model {bento.model_tag}", bento, bento.digest, contents)
    yield _check("the signature over the model's files", bento, bento.signature or "", model_signature)
    yield _check(f"the signature over the files of bento {bento.tag}", bento, bento.signature or "", bento_signature)


def _present(folder: Path | None, tag: str) -> Path:
    if folder is None:
        raise NotFound(f"{tag} is not in BentoML's store", hint="Package the model again.")
    return folder


def _signature(bento: BentoBuild, objects: Objects) -> bytes:
    if bento.signature is None:
        raise BadInput("it was packaged before models were signed")
    path = objects.path(bento.signature)
    if digest_of(path) != bento.signature:
        raise Tampered("the signature file is not the one that was recorded")
    return path.read_bytes()


def _check(what: str, record: Record, digest: str, compare: Callable[[], Any]) -> Check:
    try:
        compare()
    except WorkbenchError as error:
        return Check(what=what, record=record.id, digest=digest, problem=error.message)
    return Check(what=what, record=record.id, digest=digest)
