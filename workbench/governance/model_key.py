"""The project's key for model signatures, and the public key that is trusted here. Asked when a model is packaged or verified.

model-signing takes elliptic curve keys, so this is one on P-256 (FIPS 186-5), apart from the key of the audit's heads.
"""

from __future__ import annotations

import os
from pathlib import Path

from workbench.errors import BadInput
from workbench.governance.keys import keep_private, read_private
from workbench.settings import Layout
from workbench.store.objects import replace_file

__all__ = ["TRUSTED_KEY", "is_signature", "model_key", "public_key_of", "sign", "trusted_key", "trusted_key_file"]

TRUSTED_KEY = "WORKBENCH_TRUSTED_KEY"
"""The variable that names the file of the public key to trust instead of the project's own."""


def model_key(layout: Layout) -> Path:
    """The file of the project's private key, PEM; made on first use, readable by its owner alone.

    Raises:
        BadInput: others can read it.
    """
    path = layout.keys / "models.pem"
    if not path.exists():
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        layout.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = ec.generate_private_key(ec.SECP256R1())
        keep_private(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    read_private(path)
    return path


def public_key_of(private_key: Path) -> bytes:
    """The public half of a private key, PEM.

    Raises:
        BadInput: the file is no unencrypted private key.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        key = load_pem_private_key(private_key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(f"{private_key} is no private key: {error}", hint="Restore it from a backup, or delete it.") from error
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign(content: bytes, private_key: Path) -> bytes:
    """An ECDSA signature with SHA-256 over bytes, DER; deterministic (RFC 6979), so that the same bytes have the same one."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(private_key.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadInput(f"{private_key} is no key of an elliptic curve", hint="Restore it from a backup, or delete it.")
    return key.sign(content, ec.ECDSA(SHA256(), deterministic_signing=True))


def is_signature(signature: bytes, content: bytes, public_key: bytes) -> bool:
    """Whether it is a signature of these bytes, as `sign` makes it, by the owner of a public key (PEM)."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(public_key)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(signature, content, ec.ECDSA(SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def trusted_key_file(layout: Layout) -> Path:
    """The file of the public key that signatures are compared with: what `WORKBENCH_TRUSTED_KEY` names, else the project's own.

    The project's own key shows that nothing was changed by anyone who cannot read the project's state. Whoever must be sure of
    more hands the public key over by another way, once, and names it.
    """
    named = os.environ.get(TRUSTED_KEY)
    if named:
        return Path(named)
    private = model_key(layout)
    path = private.with_suffix(".pub")
    replace_file(path, public_key_of(private))  # anew each time: what lay there does not count
    return path


def trusted_key(layout: Layout) -> bytes:
    """The public key that signatures are compared with, PEM; see `trusted_key_file`.

    Raises:
        BadInput: the file cannot be read.
    """
    path = trusted_key_file(layout)
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{TRUSTED_KEY} names {path}, which cannot be read: {error.strerror}", hint="Mend the variable."
        ) from error
