"""Signs a folder as OpenSSF's model-signing specifies, with the project's own key. Called when a model is packaged.

The key is an ECDSA key on P-256 (FIPS 186-5), the kind that model-signing takes; it never leaves the project's state. Whoever
can read it can sign, so a signature shows that bytes are those that were packaged, and by whose key, not that they are good.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Key", "sign_folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key pair: the file of the private half, and the public half, PEM."""

    private: Path
    public: bytes


def sign_folder(folder: Path, private_key: Path) -> bytes:
    """A signature over every file of a folder, links refused: a Sigstore bundle with a DSSE envelope, without certificates.

    Args:
        folder: what is signed.
        private_key: the file of an unencrypted P-256 key, PEM.

    Raises:
        ValueError: the folder holds a link, or the key is of another kind.
    """
    from model_signing import hashing, signing

    whole = hashing.Config().use_file_serialization(hashing_algorithm="sha256", allow_symlinks=False)
    whole.set_ignored_paths(paths=[], ignore_git_paths=False)
    with tempfile.TemporaryDirectory(prefix="wb-") as private:
        target = Path(private, "signature.json")
        signer = signing.Config().use_elliptic_key_signer(private_key=private_key).set_hashing_config(whole)
        signer.sign(folder, target)
        return target.read_bytes()
