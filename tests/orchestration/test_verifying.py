"""A packaged model is whole or nothing is done with it: one flipped byte in any file that it rests on is found and named."""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.errors import NotFound, Tampered
from workbench.governance.model_key import model_key, public_key_of
from workbench.orchestration.deployment import deployed
from workbench.orchestration.packaging import package_model
from workbench.orchestration.verifying import check_model, verify_model
from workbench.records import new_id
from workbench.serving.bento import bento_folder, model_folder
from workbench.settings import Layout

from .conftest import Packaged


@contextmanager
def flipped(path: Path) -> Iterator[None]:
    """One bit of the middle byte differs while the block runs."""
    content, mode = path.read_bytes(), path.stat().st_mode
    path.chmod(0o600)
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    try:
        yield
    finally:
        path.write_bytes(content)
        path.chmod(mode)


def files_of(packaged: Packaged) -> list[Path]:
    """Every file that the model rests on: stored objects, the model's and the bento's files."""
    folders = (packaged.layout.objects, model_folder(packaged.bento.model_tag), bento_folder(packaged.bento.tag))
    return [path for folder in folders if folder for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]


def test_a_model_as_it_was_packaged_is_whole_whatever_it_is_called_by(packaged: Packaged) -> None:
    for name in (packaged.model.id, packaged.bento.id, packaged.bento.tag):
        checks = verify_model(name, packaged.layout, packaged.control)
        assert {check.what for check in checks} >= {"the signature over the model's files", "the saved value model"}
        assert {check.record for check in checks} >= {"prepared-1", "candidate-1", "review-1", packaged.model.id}


def test_a_flipped_byte_in_any_file_is_found(packaged: Packaged) -> None:
    files = files_of(packaged)
    assert len(files) > 30
    unseen = []
    for path in files:
        with flipped(path):
            try:
                verify_model(packaged.model.id, packaged.layout, packaged.control)
                unseen.append(path)
            except Tampered:
                pass
    assert unseen == []
    verify_model(packaged.model.id, packaged.layout, packaged.control)


def test_the_first_bad_file_is_named(packaged: Packaged) -> None:
    folder = bento_folder(packaged.bento.tag)
    assert folder is not None
    with flipped(folder / "src" / "service.py"), pytest.raises(Tampered, match=r"src/service\.py was changed"):
        verify_model(packaged.model.id, packaged.layout, packaged.control)


@pytest.mark.parametrize("name", ["src/extra.py", "src/__pycache__/service.cpython-311.pyc", ".gitignore"])
def test_an_added_file_is_found(packaged: Packaged, name: str) -> None:
    path = (bento_folder(packaged.bento.tag) or Path()) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"print()")
    try:
        with pytest.raises(Tampered, match="was not signed"):
            verify_model(packaged.model.id, packaged.layout, packaged.control)
    finally:
        path.unlink()
        if path.parent.name == "__pycache__":
            path.parent.rmdir()


def test_planted_bytecode_would_run_and_is_refused_by_name(packaged: Packaged, tmp_path: Path) -> None:
    source = (bento_folder(packaged.bento.tag) or Path()) / "src" / "workbench" / "errors.py"
    planted = tmp_path / "planted.py"
    planted.write_text("print('planted')")
    cache = Path(importlib.util.cache_from_source(str(source)))
    py_compile.compile(str(planted), cfile=str(cache), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    try:
        run = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(source.parent)!r}); import errors"]
        assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "planted\n", "Python asks no source"
        with pytest.raises(Tampered, match=r"errors\.cpython-.+\.pyc is compiled Python that was not signed.+delete them"):
            verify_model(packaged.model.id, packaged.layout, packaged.control)
        with pytest.raises(Tampered, match="was not signed"), deployed(packaged.layout, tag=packaged.bento.tag, port=0):
            pass
    finally:
        shutil.rmtree(cache.parent)
    verify_model(packaged.model.id, packaged.layout, packaged.control)


def test_a_removed_object_is_found(packaged: Packaged) -> None:
    path = packaged.objects.path(packaged.model.notebook.executed)
    path.rename(path.with_suffix(".away"))
    try:
        with pytest.raises(Tampered, match=r"the executed notebook 04_choose\.ipynb"):
            verify_model(packaged.model.id, packaged.layout, packaged.control)
    finally:
        path.with_suffix(".away").rename(path)


def test_a_key_that_did_not_sign_is_not_enough(packaged: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = tmp_path / "stranger.pub"
    stranger.write_bytes(public_key_of(model_key(Layout(root=tmp_path))))
    monkeypatch.setenv("WORKBENCH_TRUSTED_KEY", str(stranger))
    with pytest.raises(Tampered, match="not one of the trusted key"):
        verify_model(packaged.model.id, packaged.layout, packaged.control)
    own = tmp_path / "own.pub"
    own.write_bytes(public_key_of(model_key(packaged.layout)))
    monkeypatch.setenv("WORKBENCH_TRUSTED_KEY", str(own))
    verify_model(packaged.model.id, packaged.layout, packaged.control)


def test_a_changed_model_is_not_served(packaged: Packaged) -> None:
    folder = model_folder(packaged.bento.model_tag)
    assert folder is not None
    with (
        flipped(folder / "model.onnx"),
        pytest.raises(Tampered, match=r"model\.onnx"),
        deployed(packaged.layout, tag=packaged.bento.tag, port=0),
    ):
        pass
    assert packaged.control.all(kind="deployment") == []


def test_a_bento_from_before_models_were_signed_can_be_read_but_not_vouched_for(packaged: Packaged) -> None:
    version = replace(packaged.model, id="model-old")
    old = replace(packaged.bento, id=new_id("bento"), parent=version.id, tag="old:v1", signature=None)
    packaged.control.add(version)
    packaged.control.add(old)
    assert getattr(packaged.control.get(old.id), "signature", "") is None
    with pytest.raises(Tampered, match="before models were signed"):
        verify_model(old.id, packaged.layout, packaged.control)


def test_packaging_again_gives_the_same_record_while_everything_is_whole(packaged: Packaged) -> None:
    assert package_model(packaged.model, packaged.layout, packaged.control, packaged.objects).tag == packaged.bento.tag


def test_what_is_not_packaged_cannot_be_verified(packaged: Packaged) -> None:
    with pytest.raises(NotFound, match="is not packaged"):
        check_model("prepared-1", packaged.layout, packaged.control)
    with pytest.raises(NotFound):
        check_model("model-nobody", packaged.layout, packaged.control)


def test_the_command_prints_a_table_and_ends_with_9_naming_the_file(packaged: Packaged) -> None:
    def verify(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "workbench", "verify", packaged.bento.id, *arguments]
        return subprocess.run(
            command, cwd=packaged.layout.root, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"}
        )

    whole = verify()
    assert (whole.returncode, whole.stdout.count(" as recorded")) == (0, 11)
    with flipped(packaged.objects.path(packaged.model.notebook.executed)):
        broken = verify("--json")
    assert broken.returncode == 9
    said = json.loads(broken.stdout)
    assert said["error"] == "Tampered"
    assert "04_choose.ipynb" in said["message"]
