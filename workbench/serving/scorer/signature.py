"""Compares a folder with its OpenSSF signature. Called when a model is packaged or verified, and by a service before it loads.

model-signing lets the verifier's options and the signature's own decide what is looked at, so both are fixed here: every file
counts, none may be a link, and a signature that leaves files out is refused. Nothing is asked of the network: the key is given.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from workbench.errors import ComponentMissing, Tampered, bounded

__all__ = [
    "BENTO",
    "BENTO_SIGNATURE",
    "IN_BENTO",
    "MODEL",
    "SIGNATURE",
    "TRUSTED_KEY",
    "require_signature",
    "signed_files",
    "verify_folder",
]

SIGNATURE = "model.sig.json"
"""The name of the model's signature inside a bento."""

IN_BENTO = f"src/{SIGNATURE}"

BENTO, MODEL, BENTO_SIGNATURE = "bento", "model", "bento.sig.json"
"""Where a package's files are when they travel: two folders, and the signature over the first."""

TRUSTED_KEY = "WORKBENCH_TRUSTED_KEY"
"""The variable that names the file of the public key which whoever operates a service trusts."""

STATEMENT = "https://model_signing/signature/v1.0"
WHOLE = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []}
"""How a folder is signed: file by file, nothing ignored. A signature that ignores nothing may leave `ignore_paths` out."""
UNSIGNED_BYTECODE = (
    "is compiled Python that was not signed, and it would run instead of its source. Serving a bento by hand leaves such files "
    "unless PYTHONDONTWRITEBYTECODE=1 is set; delete them, wherever they come from"
)
"""Nobody can see from a `.pyc` file whether Python wrote it or somebody planted it: of one that says so in its header (PEP 552)
the source is never compared. So none is ever passed over."""

_HINT = "Do not use it. Package the model again, and have it approved again."


def signed_files(signature: bytes) -> Mapping[str, str]:
    """The files that a signature speaks of, each with its sha256; what it says counts only once `verify_folder` has agreed.

    Raises:
        Tampered: it is no signature over the whole of a folder.
    """
    try:
        statement = json.loads(base64.b64decode(json.loads(signature)["dsseEnvelope"]["payload"], validate=True))
        predicate = statement["predicate"]
        if statement["predicateType"] != STATEMENT or {"ignore_paths": [], **predicate["serialization"]} != WHOLE:
            raise Tampered("the signature leaves files out, or is of another kind", hint=_HINT)
        return {str(one["name"]): str(one["digest"]) for one in predicate["resources"]}
    except (ValueError, KeyError, TypeError) as error:
        raise Tampered(f"the signature cannot be read: {bounded(error, 120)}", hint=_HINT) from error


def verify_folder(folder: Path, signature: bytes, public_key: bytes) -> None:
    """Requires that a folder holds exactly the files that were signed, and that the key's owner signed them.

    Args:
        folder: the folder, of which every file is read.
        signature: the content of the signature file.
        public_key: the trusted public key, PEM.

    Raises:
        Tampered: a file was changed, added or removed, or the signature is not one of this key; the message names the file.
        ComponentMissing: model-signing is not installed.
    """
    signed = signed_files(signature)
    difference = _difference(folder, signed)
    if difference:
        raise Tampered(f"{folder.parent.name}/{folder.name}: {difference}", hint=_HINT)
    try:
        from model_signing import hashing, verifying
    except ImportError as error:
        raise ComponentMissing(
            "a trusted key is given, but model-signing, which compares signatures, is not installed here",
            hint="pip install model-signing pyopenssl",
        ) from error
    with tempfile.TemporaryDirectory(prefix="wb-") as private:
        key, file = Path(private, "key.pem"), Path(private, "signature.json")
        key.write_bytes(public_key)
        file.write_bytes(signature)
        whole = hashing.Config().use_file_serialization(hashing_algorithm="sha256", allow_symlinks=False)
        whole.set_ignored_paths(paths=[], ignore_git_paths=False)
        try:
            verifier = verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(whole)
            verifier.verify(folder, file)
        except Exception as error:  # what is verified is hostile: whatever it does to the parser, it is not verified
            raise Tampered(f"the signature is not one of the trusted key: {_said(error)}", hint=_HINT) from error


def _said(error: Exception) -> str:
    return bounded(error, 160) or type(error).__name__


def _difference(folder: Path, signed: Mapping[str, str]) -> str | None:
    """The first file, by name, that is not as it was signed."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
    for name in sorted({*found, *signed}):
        path = found.get(name)
        if path is None:
            return f"{name} is missing"
        if name not in signed:
            return f"{name} {UNSIGNED_BYTECODE if name.endswith('.pyc') else 'was not signed'}"
        if path.is_symlink() or not path.is_file():
            return f"{name} is not a plain file"
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != signed[name]:
                return f"{name} was changed after it was signed"
    return None


def require_signature(folder: Path, signature: Path) -> None:
    """Before a service loads its model: where the operator names a trusted key, the model must carry its signature.

    Raises:
        Tampered: the signature is missing, or `verify_folder` refuses it.
        ComponentMissing: as `verify_folder`.
    """
    trusted = os.environ.get(TRUSTED_KEY)
    if not trusted:
        return
    try:
        key, content = Path(trusted).read_bytes(), signature.read_bytes()
    except OSError as error:
        raise Tampered(f"{error.filename} cannot be read, so the model is not loaded: {error.strerror}", hint=_HINT) from error
    verify_folder(folder, content, key)
