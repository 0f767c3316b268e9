"""The signing key is made once, whole, and nobody but its owner can read it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from workbench.errors import BadInput, NotFound
from workbench.governance.keys import PRIVATE, PUBLIC, public_key, signing_key


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_what_the_private_half_signs_the_exported_half_verifies(tmp_path):
    public = signing_key(tmp_path / "keys")
    public_key(tmp_path / "keys" / PUBLIC).verify(public.sign(b"an act"), b"an act")


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    first, again = signing_key(tmp_path / "keys"), signing_key(tmp_path / "keys")
    assert pem(first) == pem(again)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys" / PRIVATE).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == [PRIVATE, PUBLIC], "nothing is left beside them"


def test_processes_that_make_the_key_at_once_all_have_the_same(tmp_path):
    code = (
        "import sys; from pathlib import Path; from workbench.governance.keys import signing_key\n"
        "from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat\n"
        "print(signing_key(Path(sys.argv[1])).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex())"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({process.communicate()[0] for process in started}) == 1


def test_a_key_that_another_process_made_in_between_is_the_one_that_counts(tmp_path, monkeypatch):
    made = signing_key(tmp_path)
    monkeypatch.setattr(type(tmp_path), "exists", lambda path: False)
    assert pem(signing_key(tmp_path)) == pem(made)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o601, 0o666])
def test_a_key_that_others_may_open_is_refused(tmp_path, mode):
    signing_key(tmp_path)
    (tmp_path / PRIVATE).chmod(mode)
    with pytest.raises(BadInput, match=f"has mode {mode:04o} and owner .*, expected 0600") as caught:
        signing_key(tmp_path)
    assert "Take it out of use" in caught.value.hint


def test_a_key_of_somebody_else_is_refused(tmp_path, monkeypatch):
    signing_key(tmp_path)
    owner = (tmp_path / PRIVATE).stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    with pytest.raises(BadInput, match=f"and owner {owner}, expected 0600 and {owner + 1}"):
        signing_key(tmp_path)


RSA = generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"


@pytest.mark.parametrize("content", [b"", b"no key", pem(RSA), ENCRYPTED], ids=["empty", "text", "RSA", "broken"])
def test_a_file_that_holds_no_private_key_of_ours_is_refused_and_kept(tmp_path, content):
    (tmp_path / PRIVATE).write_bytes(content)
    (tmp_path / PRIVATE).chmod(0o600)
    with pytest.raises(BadInput, match=r"signing-key.pem holds no Ed25519 private key in PEM"):
        signing_key(tmp_path)
    assert (tmp_path / PRIVATE).read_bytes() == content


def test_a_public_half_that_is_missing_is_written_again(tmp_path):
    key = signing_key(tmp_path)
    (tmp_path / PUBLIC).unlink()
    signing_key(tmp_path)
    assert public_key(tmp_path / PUBLIC) == key.public_key()


@pytest.mark.parametrize(
    "content",
    [b"", pem(Ed25519PrivateKey.generate()), RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)],
)
def test_a_file_that_holds_no_public_key_of_ours_is_refused(tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(BadInput, match="holds no Ed25519 public key in PEM"):
        public_key(tmp_path / "key")


def test_a_missing_public_key_says_how_it_is_made(tmp_path):
    with pytest.raises(NotFound, match="no public key can be read at") as caught:
        public_key(tmp_path / "key")
    assert "workbench audit export" in caught.value.hint


def test_the_modules_load_no_cryptography_before_it_is_needed():
    code = "import sys, workbench.governance.audit, workbench.governance.keys; print('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_file_that_holds_no_key_is_named_with_what_to_do(tmp_path):
    """The folder is made with all above it."""
    folder = tmp_path / "far" / "away"
    signing_key(folder)
    ways = {PRIVATE: lambda: signing_key(folder), PUBLIC: lambda: public_key(folder / PUBLIC)}
    for name, way in ways.items():
        for content in (b"", pem(RSA) if name == PRIVATE else RSA.public_key().public_bytes(*PUBLIC_PEM)):
            (folder / name).write_bytes(content)
            with pytest.raises(BadInput) as caught:
                way()
            half = "private" if name == PRIVATE else "public"
            assert caught.value.message == f"{folder / name} holds no Ed25519 {half} key in PEM"
            assert caught.value.hint == "Restore it from a backup, or move it away."
