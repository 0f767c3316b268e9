"""A packaged model is only loaded if every byte of it is the one that was packaged."""

from __future__ import annotations

import hashlib

import pytest

from workbench.errors import RunFailed
from workbench.serving.scorer.manifest import read_manifest, verified_content


def test_a_manifest_is_read_back_as_it_was(manifest, tmp_path):
    (tmp_path / "manifest.json").write_bytes(manifest.content())
    again = read_manifest(tmp_path / "manifest.json", digest=manifest.digest)
    assert again == manifest
    assert again.digest == manifest.digest == hashlib.sha256(manifest.content()).hexdigest()


def test_one_changed_byte_of_the_manifest_is_noticed(manifest, tmp_path):
    (tmp_path / "manifest.json").write_bytes(manifest.content().replace(b'"max_rows": 3', b'"max_rows": 9'))
    with pytest.raises(RunFailed, match=r"manifest\.json was changed after packaging"):
        read_manifest(tmp_path / "manifest.json", digest=manifest.digest)


@pytest.mark.parametrize("content", [b"{}", b"[]", b"not json", b'{"name": "credit", "surprise": 1}'])
def test_a_file_that_is_no_manifest_is_refused(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(RunFailed, match="is not a manifest"):
        read_manifest(tmp_path / "manifest.json", digest=hashlib.sha256(content).hexdigest())


def test_a_changed_or_missing_file_is_named(manifest, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"model")
    listed = manifest.model_copy(update={"files": {"model.onnx": hashlib.sha256(b"model").hexdigest()}})
    assert verified_content(tmp_path, listed) == {"model.onnx": b"model"}
    (tmp_path / "model.onnx").write_bytes(b"modem")
    with pytest.raises(RunFailed, match=r"model\.onnx was changed"):
        verified_content(tmp_path, listed)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(RunFailed, match=r"lacks model\.onnx"):
        verified_content(tmp_path, listed)
