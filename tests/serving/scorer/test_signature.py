"""A signed folder is that folder and nothing else: every change, every other key and every weaker signature is refused."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import Tampered
from workbench.governance.model_key import model_key, public_key_of
from workbench.serving.scorer.signature import TRUSTED_KEY, require_signature, signed_files, verify_folder
from workbench.serving.signing import Key, sign_folder
from workbench.settings import Layout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model" / "v1"
    (made / "src").mkdir(parents=True)
    for name in ("model.onnx", "manifest.json", ".gitignore", "src/.gitattributes"):
        (made / name).write_bytes(f"the content of {name}".encode())
    return made


def altered(signature: bytes, change: Any) -> bytes:
    """The signature with a changed statement, signed as before."""
    bundle = json.loads(signature)
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    change(statement)
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    return json.dumps(bundle).encode()


def test_the_signature_names_every_file_those_of_git_too(folder: Path, signing_key: Key) -> None:
    signature = sign_folder(folder, signing_key.private)
    assert set(signed_files(signature)) == {"model.onnx", "manifest.json", ".gitignore", "src/.gitattributes"}
    verify_folder(folder, signature, signing_key.public)


def test_every_flipped_byte_is_found(folder: Path, signing_key: Key) -> None:
    signature = sign_folder(folder, signing_key.private)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        for place in range(len(content)):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            with pytest.raises(Tampered, match="was changed after it was signed"):
                verify_folder(folder, signature, signing_key.public)
        path.write_bytes(content)


def test_an_added_a_missing_a_renamed_and_a_linked_file_are_found(folder: Path, signing_key: Key) -> None:
    signature = sign_folder(folder, signing_key.private)
    (folder / "src" / ".gitignore").write_text("more")
    with pytest.raises(Tampered, match="was not signed"):
        verify_folder(folder, signature, signing_key.public)
    (folder / "src" / ".gitignore").unlink()
    (folder / "model.onnx").rename(folder / "other.onnx")
    with pytest.raises(Tampered, match=r"model\.onnx is missing"):
        verify_folder(folder, signature, signing_key.public)
    (folder / "model.onnx").symlink_to("other.onnx")
    with pytest.raises(Tampered, match="not a plain file"):
        verify_folder(folder, signature, signing_key.public)


def test_a_folder_with_a_link_is_not_signed(folder: Path, signing_key: Key) -> None:
    (folder / "link").symlink_to("model.onnx")
    with pytest.raises(ValueError, match=r"(?i)symlink"):
        sign_folder(folder, signing_key.private)


def test_another_key_and_another_models_signature_are_refused(folder: Path, signing_key: Key, tmp_path: Path) -> None:
    signature = sign_folder(folder, signing_key.private)
    stranger = public_key_of(model_key(Layout(root=tmp_path)))
    with pytest.raises(Tampered, match="not one of the trusted key"):
        verify_folder(folder, signature, stranger)
    (folder / "model.onnx").write_bytes(b"another model")
    with pytest.raises(Tampered, match=r"model\.onnx was changed"):
        verify_folder(folder, signature, signing_key.public)


def test_a_statement_changed_to_fit_changed_files_is_refused(folder: Path, signing_key: Key) -> None:
    (folder / "model.onnx").write_bytes(b"evil")
    evil = signed_files(sign_folder(folder, signing_key.private))["model.onnx"]
    (folder / "model.onnx").write_bytes(b"good")
    signature = sign_folder(folder, signing_key.private)
    (folder / "model.onnx").write_bytes(b"evil")

    def fit(statement: Any) -> None:
        for one in statement["predicate"]["resources"]:
            if one["name"] == "model.onnx":
                one["digest"] = evil

    with pytest.raises(Tampered, match="not one of the trusted key"):
        verify_folder(folder, altered(signature, fit), signing_key.public)


@pytest.mark.parametrize("weaker", [{"ignore_paths": ["model.onnx"]}, {"allow_symlinks": True}, {"hash_type": "blake2"}])
def test_a_signature_that_leaves_something_out_is_refused_though_it_is_by_the_right_key(
    folder: Path, signing_key: Key, weaker: dict[str, Any]
) -> None:
    from model_signing import hashing, signing

    config = hashing.Config().use_file_serialization(
        hashing_algorithm=weaker.get("hash_type", "sha256"), allow_symlinks=weaker.get("allow_symlinks", False)
    )
    config.set_ignored_paths(paths=weaker.get("ignore_paths", []), ignore_git_paths=False)
    config.set_allow_symlinks(weaker.get("allow_symlinks", False))
    target = folder.parent / "weaker.json"
    signer = signing.Config().use_elliptic_key_signer(private_key=signing_key.private).set_hashing_config(config)
    signer.sign(folder, target)
    with pytest.raises(Tampered, match="leaves files out, or is of another kind"):
        verify_folder(folder, target.read_bytes(), signing_key.public)


@given(content=st.one_of(st.binary(max_size=200), st.from_regex(r'\{"dsseEnvelope": .{0,50}\}').map(str.encode)))
def test_whatever_is_no_signature_is_refused_and_nothing_else_happens(content: bytes) -> None:
    with pytest.raises(Tampered, match="cannot be read"):
        signed_files(content)


def test_every_flipped_byte_of_the_signature_is_refused(folder: Path, signing_key: Key) -> None:
    signature = sign_folder(folder, signing_key.private)
    accepted = []
    for place in range(0, len(signature), 3):
        changed = signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]
        try:
            verify_folder(folder, changed, signing_key.public)
            accepted.append(signature[max(0, place - 20) : place + 5])
        except Tampered:
            pass
    assert [context for context in accepted if b"keyid" not in context and b"tlog" not in context] == []


def test_a_service_with_a_trusted_key_loads_only_what_it_signed(
    folder: Path, signing_key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = tmp_path / "model.sig.json"
    require_signature(folder, signature)  # nobody named a key
    public = tmp_path / "key.pub"
    public.write_bytes(signing_key.public)
    monkeypatch.setenv(TRUSTED_KEY, str(public))
    with pytest.raises(Tampered, match=r"model\.sig\.json cannot be read"):
        require_signature(folder, signature)
    signature.write_bytes(sign_folder(folder, signing_key.private))
    require_signature(folder, signature)
    (folder / "model.onnx").write_bytes(b"evil")
    with pytest.raises(Tampered, match=r"model\.onnx was changed"):
        require_signature(folder, signature)
    public.unlink()
    with pytest.raises(Tampered, match=r"key\.pub cannot be read"):
        require_signature(folder, signature)


OFFLINE = """
import sys
from pathlib import Path

def guard(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        raise SystemExit(f"{event} {arguments}")

sys.addaudithook(guard)
from workbench.serving.scorer.signature import verify_folder
from workbench.serving.signing import sign_folder
folder, private, public = map(Path, sys.argv[1:])
verify_folder(folder, sign_folder(folder, private), public.read_bytes())
print("verified")
"""


def test_signing_and_verifying_ask_nothing_of_the_network(folder: Path, signing_key: Key, tmp_path: Path) -> None:
    public = tmp_path / "key.pub"
    public.write_bytes(signing_key.public)
    command = [sys.executable, "-c", OFFLINE, str(folder), str(signing_key.private), str(public)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(tmp_path)})
    assert done.stdout == "verified\n", done.stderr


def test_importing_what_serves_loads_no_signing_library() -> None:
    code = "import sys, workbench.serving.scorer.signature, workbench.serving.signing; print('model_signing' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
