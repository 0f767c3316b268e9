"""The signed list of an evidence folder's files with their sha256, and its check. Called by `folder` and by orchestration.

`manifest.sig` is an ECDSA signature over the bytes of `manifest.json`, so that anybody can verify it without the workbench:
`openssl dgst -sha256 -verify signature/public-key.pem -signature manifest.sig manifest.json`, then `sha256sum` for each file.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import BadInput, Tampered
from workbench.governance.model_key import is_signature

__all__ = ["MANIFEST", "PUBLIC_KEY", "SIGNATURE", "Verified", "manifest_of", "verify_evidence", "zipped"]

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
PUBLIC_KEY = "signature/public-key.pem"
FIXED = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip can hold: the same evidence is the same bytes whenever it is written."""
_HINT = "Do not rely on it. Ask for the evidence again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Evidence that is whole: how many files, and the sha256 of its manifest and of the public key's file that it carries.

    `trusted` is False where nothing but this public key itself, which came with the evidence, spoke for the signature.
    """

    files: int
    digest: str
    key: str
    trusted: bool


def manifest_of(files: Mapping[str, bytes]) -> bytes:
    """The manifest: every file with its sha256, sorted."""
    listed = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    return json.dumps({"files": listed}, indent=1).encode() + b"\n"


def zipped(files: Mapping[str, bytes]) -> bytes:
    """The files as a zip, not compressed: the same files are the same bytes with every version of every library."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, FIXED)
            member.create_system, member.external_attr = 3, 0o100644 << 16
            archive.writestr(member, files[name])
    return buffer.getvalue()


def verify_evidence(place: Path, *, key: bytes | None = None) -> Verified:
    """Compares every file of an evidence folder or zip with its manifest, and the manifest with its signature.

    Args:
        place: the folder or the zip.
        key: the trusted public key, PEM; without it, the one that lies in the evidence, which only shows what is of a piece.

    Raises:
        BadInput: it is neither, or no evidence.
        Tampered: a file was changed, added or removed, or the signature is not one of the key; every difference is named.
    """
    found = dict(_folder(place)) if place.is_dir() else _archive(place)
    manifest, signature = found.pop(MANIFEST, None), found.pop(SIGNATURE, None)
    if manifest is None and PUBLIC_KEY not in found:
        raise BadInput(f"{place} has no {MANIFEST}, so it is no evidence", hint="Name a folder or zip from: workbench evidence")
    wrong = [f"{name} is missing" for name, content in ((MANIFEST, manifest), (SIGNATURE, signature)) if content is None]
    trusted = key or found.get(PUBLIC_KEY)
    if not wrong and trusted and not is_signature(signature or b"", manifest or b"", trusted):
        wrong.append(f"{SIGNATURE} is no signature of {MANIFEST} by {'the trusted key' if key else f'the key in {PUBLIC_KEY}'}")
    wrong += [] if manifest is None else _differences(manifest, found)
    if wrong:
        raise Tampered(f"{place}: {wrong[0]}", problems=wrong[1:], hint=_HINT)
    digest = hashlib.sha256(manifest or b"").hexdigest()
    carried = hashlib.sha256(found[PUBLIC_KEY]).hexdigest()
    return Verified(files=len(found), digest=digest, key=carried, trusted=key is not None)


def _differences(manifest: bytes, found: Mapping[str, bytes]) -> list[str]:
    """What is not as the manifest lists it, by name."""
    try:
        listed: dict[str, str] = dict(json.loads(manifest)["files"])
    except (ValueError, KeyError, TypeError):
        return [f"{MANIFEST} cannot be read"]
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    wrong = [] if PUBLIC_KEY in listed else [f"{MANIFEST} does not list {PUBLIC_KEY}"]
    for name in sorted({*listed, *digests}):
        if listed.get(name) != digests.get(name):
            what = "was added" if name not in listed else "is missing" if name not in digests else "was changed"
            wrong.append(f"{name} {what}")
    return wrong


def _folder(place: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise Tampered(f"{place}: {name} is not a plain file", hint=_HINT)
        if path.is_file():
            yield name, path.read_bytes()


def _archive(place: Path) -> dict[str, bytes]:
    """The files of a zip, which has to be byte for byte as it was written.

    Programs disagree about which of a zip's two lists of files counts, and about what stands between them, so that one zip may
    be two folders. Of what `zipped` writes there is only one reading.
    """
    try:
        content = place.read_bytes()
    except OSError as error:
        raise BadInput(f"{place} cannot be read: {error.strerror}", hint="Name an evidence folder or zip.") from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            doubled = sorted({name for name in names if names.count(name) > 1})
            if doubled:
                raise Tampered(f"{place}: {doubled[0]} is there twice", hint=_HINT)
            files = {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        if content[:2] == b"PK" or place.suffix == ".zip":
            raise Tampered(f"{place} is a damaged zip: {error}", hint=_HINT) from error
        raise BadInput(f"{place} is neither a folder nor a zip", hint="Name a folder or zip from: workbench evidence") from error
    if MANIFEST in files and not _differences(files[MANIFEST], _listable(files)) and zipped(files) != content:
        raise Tampered(
            f"{place} was packed anew: its files are those that are listed, but programs may read such a zip in two ways",
            hint="Use the zip as it was written; or unpack it into a new folder, and verify and read that one.",
        )
    return files


def _listable(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return {name: content for name, content in files.items() if name not in (MANIFEST, SIGNATURE)}
