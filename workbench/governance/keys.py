"""The Ed25519 key that a project or server signs with: audit heads, and whatever else must be provably its own.

Called by `audit`, and by whoever signs models. Anyone may have the public half; the private half stays in a file that only its
owner can read. Ed25519 as in RFC 8032, files as in RFC 8410 (PKCS #8 and SubjectPublicKeyInfo, both PEM).
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import BadInput, NotFound
from workbench.store.objects import replace_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["PRIVATE", "PUBLIC", "keep_private", "public_key", "read_private", "signing_key"]

PRIVATE, PUBLIC = "signing-key.pem", "signing-key.pub"


def signing_key(folder: Path) -> Ed25519PrivateKey:
    """The private key in `folder`, made on first use; its public half is written beside it, for whoever verifies.

    A crash leaves no key or a whole one. Of several processes that make it at once, all take the first one's.

    Raises:
        BadInput: the file is no such key, belongs to somebody else, or others can read it.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
    )

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / PRIVATE
    if not path.exists():
        keep_private(path, Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    content = read_private(path)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise _unusable(path, "private") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path, "private")
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if not (folder / PUBLIC).exists():
        replace_file(folder / PUBLIC, public)
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """The public key in a file.

    Raises:
        NotFound: there is no such file.
        BadInput: it holds no Ed25519 public key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise NotFound(
            f"no public key can be read at {path}", hint="It is made when something is signed: workbench audit export"
        ) from error
    except ValueError as error:
        raise _unusable(path, "public") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _unusable(path, "public")
    return key


def keep_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner can read. Of several processes that do so at once, the first one's stays."""
    own = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        with open(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink(missing_ok=True)


def read_private(path: Path) -> bytes:
    """The bytes of a file that belongs to who runs this, and that nobody else can open.

    Raises:
        BadInput: it belongs to somebody else, or others can read it.
    """
    with path.open("rb") as stream:
        status = os.fstat(stream.fileno())
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
            raise BadInput(
                f"{path} has mode {stat.S_IMODE(status.st_mode):04o} and owner {status.st_uid}, expected 0600 and {os.geteuid()}",
                hint="Others may have copied this key. Take it out of use: move it and its .pub file away, a new one is made.",
            )
        return stream.read()


def _unusable(path: Path, half: str) -> BadInput:
    return BadInput(f"{path} holds no Ed25519 {half} key in PEM", hint="Restore it from a backup, or move it away.")
