"""A packaged model as it arrives: its records are checked and kept under their sender's name, its files are held by digest.

Called by the handler that registers a model. What arrives is a claim: every digest is computed anew, and decisions (acceptances,
approvals, releases) are not taken from anybody's file but only made here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import BadInput, ComponentMissing, NotFound, Outdated, Tampered
from workbench.governance.access import Permission, Principal, Target, require
from workbench.records import (
    BentoBuild,
    Candidate,
    DatasetVersion,
    FairnessReview,
    ModelVersion,
    PreparedData,
    Record,
    body_of,
)
from workbench.registry.standings import require_author
from workbench.server.bodies import IDENTIFIER, SHA256, Registration
from workbench.serving.scorer.signature import (
    BENTO,
    BENTO_SIGNATURE,
    IN_BENTO,
    MODEL,
    TRUSTED_KEY,
    signed_files,
    verify_folder,
)
from workbench.store import Control, Objects
from workbench.store.objects import digest_of, replace_file

__all__ = ["enter", "files_of", "verify_files"]

CHAIN: tuple[type[Record], ...] = (DatasetVersion, PreparedData, Candidate, FairnessReview, ModelVersion, BentoBuild)
"""What a registration holds, in this order; each record names the one before as its parent."""

CREATE = Permission("model", "create")
MANIFEST = "manifest.json"
AGAIN = "Package the model again, and register it: workbench package MODEL, workbench register MODEL"
PLAIN = re.compile(r"[^\x00-\x1f\x7f]{0,500}")


def enter(registration: Registration, *, project: str, principal: Principal, control: Control, home: Path) -> None:
    """Keeps a model's records and the listing of its bento's files; doing it again changes nothing.

    Raises:
        BadInput: the records are not one chain from a dataset version to a bento, or a file was not sent.
        NotAllowed: the data are of a zone that the sender may not see, or somebody else registered this model.
        Outdated: a record of the same id says something else.
        Tampered: the files are not those that the bento's record names.
    """
    records = _chain(registration, principal)
    for record in records:
        require(principal, CREATE, Target(project=project, zone=record.zone, run=principal.run))
    require_author(registration.model, principal.name, control)
    build = records[-1]
    assert isinstance(build, BentoBuild)  # noqa: S101 - the chain ends in one
    for record in records:
        known = control.find(record.id)
        if known is not None and _content(known) != _content(record):
            raise Outdated(
                f"{record.id} is known and says something else",
                hint="Records never change: run again, which gives the model an id of its own.",
            )
    objects = Objects(home / "objects")
    _require_whole(build, registration.files, objects)
    listing = json.dumps(registration.files, sort_keys=True, indent=1).encode()
    place = _listing(home, build)
    if place.exists() and place.read_bytes() != listing:
        raise Outdated(f"the files of {build.id} are known and differ", hint="Package the model again under a new version.")
    for record in records:
        control.add(record)
    replace_file(place, listing)


def files_of(build: BentoBuild, home: Path) -> Mapping[str, str]:
    """The files of a registered bento, each with its sha256.

    Raises:
        NotFound: no registration has brought them.
    """
    place = _listing(home, build)
    if not place.is_file():
        raise NotFound(f"the files of {build.id} were never sent", hint="Register the model: workbench register MODEL")
    files: Mapping[str, str] = json.loads(place.read_bytes())
    return files


def verify_files(build: BentoBuild, home: Path) -> None:
    """Reads every file of a registered bento and compares it with its digest.

    Raises:
        Tampered: a file is missing or changed, or the listing is not the one that the record names.
    """
    try:
        files = files_of(build, home)
    except NotFound as error:
        raise Tampered(error.message, hint=error.hint) from error
    _require_whole(build, files, Objects(home / "objects"))


def _listing(home: Path, build: BentoBuild) -> Path:
    return home / "bentos" / f"{build.id}.json"


def _require_whole(build: BentoBuild, files: Mapping[str, str], objects: Objects) -> None:
    """Every file has the bytes of its digest, and the record speaks of these files: of their signature, or their manifest."""
    for name, digest in files.items():
        _require_bytes(name, digest, objects)
    if build.digest not in (digest for name, digest in files.items() if name.rpartition("/")[2] == MANIFEST):
        raise Tampered(
            f"none of the files is the manifest {build.digest[:12]}… that {build.id} names", hint="Package the model again."
        )
    if build.signature is not None:
        _require_signed(build.signature, files, objects)


def _require_signed(signature: str, files: Mapping[str, str], objects: Objects) -> None:
    """The signature that the record names is over exactly these files: so the bundle's digest, which holds it, covers them all.

    Where the server's operator names a trusted key, it must also be of that key.
    """
    if files.get(BENTO_SIGNATURE) != signature:
        raise Tampered(f"the signature {signature[:12]}… that the record names was not sent", hint=AGAIN)
    over_bento = objects.path(signature).read_bytes()
    inner = files.get(f"{BENTO}/{IN_BENTO}")
    if inner is None:
        raise Tampered("the bento holds no signature over the model's files", hint=AGAIN)
    over_model = objects.path(inner).read_bytes()
    for place, statement in ((BENTO, over_bento), (MODEL, over_model)):
        sent = {name.partition("/")[2]: digest for name, digest in files.items() if name.startswith(f"{place}/")}
        signed = signed_files(statement)
        if different := sorted(name for name in {*sent, *signed} if sent.get(name) != signed.get(name)):
            raise Tampered(f"{place}/{different[0]} is not as it was signed", hint=AGAIN)
        if trusted := os.environ.get(TRUSTED_KEY):
            _require_key(statement, Path(trusted), {name: objects.path(digest) for name, digest in sent.items()})


def _require_key(statement: bytes, key: Path, files: Mapping[str, Path]) -> None:
    try:
        trusted = key.read_bytes()
    except OSError as error:
        raise ComponentMissing(f"{TRUSTED_KEY} names a file that the server cannot read", hint="Ask its operator.") from error
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        for name, path in files.items():
            place = Path(folder, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        verify_folder(Path(folder), statement, trusted)


def _require_bytes(name: str, digest: str, objects: Objects) -> None:
    try:
        found = digest_of(objects.path(digest))
    except NotFound as error:
        raise BadInput(f"{name} ({digest[:12]}…) was not sent", hint="Send it first: PUT …/objects/SHA256") from error
    if found != digest:
        raise Tampered(
            f"{name} is not what was registered: its sha256 is {found[:12]}…, expected {digest[:12]}…",
            hint="Restore the server's objects from a backup, or register a model that is packaged anew.",
        )


def _chain(registration: Registration, principal: Principal) -> list[Record]:
    """The records as they are kept: in the order of the journey, and by the one who sends them."""
    given = registration.records
    kinds = [kind.kind for kind in CHAIN]
    if [raw.get("kind") for raw in given] != kinds:
        raise BadInput(f"the records must be of the kinds {', '.join(kinds)}, in this order")
    records = [
        replace(_record(kind, raw), actor=principal.name, run=None) for kind, raw in zip(CHAIN, given, strict=True)
    ]  # whose run it was is the sender's to say, and this server has not seen it
    for parent, child in zip((None, *records), records, strict=False):
        if child.parent != (parent.id if parent else None):
            raise BadInput(f"{child.id} does not name the record before it as its parent")
    version = records[CHAIN.index(ModelVersion)]
    if version.id != registration.model:
        raise BadInput(f"the records are of {version.id}, not of {registration.model}")
    return records


def _record(kind: type[Record], raw: Mapping[str, Any]) -> Record:
    fields = {name: value for name, value in raw.items() if name != "kind"}
    try:
        record = msgspec.convert(fields, type=kind)
    except msgspec.ValidationError as error:
        raise BadInput(f"the {kind.kind} record cannot be used: {error}") from error
    known = {"id", "parent", "run", "actor", "at", "zone", "revision", *body_of(kind)}
    if extra := sorted(fields.keys() - known):
        raise BadInput(f"the {kind.kind} record has unknown fields: {', '.join(extra)}")
    if not re.fullmatch(IDENTIFIER, record.id):
        raise BadInput(f"the id of the {kind.kind} record is none: lower-case letters, digits and dashes, 63 at most")
    for text in (record.at, record.zone, record.revision):
        if not PLAIN.fullmatch(text):
            raise BadInput(f"a text of the {kind.kind} record is too long or holds control characters")
    for digest in _digests(record):
        if not re.fullmatch(SHA256, digest):
            raise BadInput(f"a digest of the {kind.kind} record is no sha256 in hexadecimal")
    return record


def _digests(record: Record) -> Iterable[str]:
    saved = getattr(record, "saved", {})
    yield from (value.digest for value in saved.values())
    if isinstance(record, BentoBuild | DatasetVersion):
        yield record.digest


def _content(record: Record) -> object:
    """What a record says, apart from who sent it first."""
    return replace(record, actor="", run=None)
