"""Packaging keeps the model it was given: as ONNX when proved, else as skops and saying so; a tag never changes its meaning."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from workbench.errors import BadInput, PackagingFailed
from workbench.serving.bento import bento_folder, open_bentoml, pinned
from workbench.serving.formats import write_model
from workbench.serving.packaging import package
from workbench.serving.scorer.signature import verify_folder

MADE = "2026-03-01T12:00:00.000000+00:00"


@pytest.fixture
def packaged(tmp_path, signing_key):
    """Packages one fitted model; every call takes the same model file."""

    def run(one, *, name="credit", version="v1", contract=None, signed=None):
        path = tmp_path / f"{name}.skops"
        if not path.exists():
            write_model(one.pipeline, path)
        return package(
            model_path=path,
            contract=contract or one.contract,
            holdout=one.holdout,
            name=name,
            version=version,
            max_rows=100,
            labels={"candidate": "candidate-1"},
            made=MADE,
            key=signing_key,
            signed=signed,
            build_folder=tmp_path / "build",
        )

    return run


def folder_of(tag: str) -> Path:
    return Path(open_bentoml().models.get(tag).path)


def files_of(tag: str) -> dict[str, str]:
    folder = folder_of(tag)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_proved_model_is_packaged_as_onnx_with_every_file_covered_by_its_digest(fitted, packaged):
    done = packaged(fitted("linear binary"))
    assert (done.tag, done.format, done.fallback_reason) == ("credit:v1", "onnx", None)
    assert done.parity is not None
    assert done.parity.passed
    found = files_of(done.model_tag)
    assert found["manifest.json"] == done.digest
    manifest = json.loads((folder_of(done.model_tag) / "manifest.json").read_text())
    assert manifest["files"] == {name: found[name] for name in ("model.onnx", "model.skops", "parity.json")}
    assert open_bentoml().models.get(done.model_tag).info.labels == {"candidate": "candidate-1"}


def test_the_bento_holds_nothing_but_service_manifest_and_scorer(fitted, packaged):
    done = packaged(fitted("linear binary"), name="lean")
    source = Path(open_bentoml().bentos.get(done.tag).path) / "src"
    found = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert {"service.py", "scorer.json", "manifest.json", "workbench/errors.py", "workbench/serving/scorer/guard.py"} <= found
    outside = {name for name in found if not name.startswith("workbench/serving/scorer/")}
    assert outside == {
        "bentofile.yaml",
        "service.py",
        "scorer.json",
        "manifest.json",
        "model.sig.json",
        "workbench/__init__.py",
        "workbench/errors.py",
        "workbench/serving/__init__.py",
    }


def test_the_same_package_twice_is_the_same_package(fitted, packaged):
    first = packaged(fitted("linear binary"), name="twice")
    built = Path(open_bentoml().bentos.get(first.tag).path).stat().st_ino
    assert packaged(fitted("linear binary"), name="twice", signed=first.signatures) == first
    assert Path(open_bentoml().bentos.get(first.tag).path).stat().st_ino == built


@pytest.mark.parametrize("removed", ["bento", "both"])
def test_what_was_removed_is_packaged_again_to_the_same_bytes_so_that_its_signature_still_holds(
    fitted, packaged, signing_key, removed
):
    first = packaged(fitted("linear binary"), name=f"removed-{removed}")
    bentoml = open_bentoml()
    bentoml.bentos.delete(first.tag)
    if removed == "both":
        bentoml.models.delete(first.model_tag)
    assert packaged(fitted("linear binary"), name=f"removed-{removed}", signed=first.signatures) == first
    verify_folder(Path(bentoml.bentos.get(first.tag).path), first.signatures.bento, signing_key.public)
    verify_folder(folder_of(first.model_tag), first.signatures.model, signing_key.public)


def test_a_bento_that_was_changed_is_built_again_and_never_signed_as_it_is(fitted, packaged, signing_key):
    first = packaged(fitted("linear binary"), name="changed")
    for name in ("bento.yaml", "src/service.py", "src/workbench/serving/scorer/model.py", "src/model.sig.json"):
        with (bento_folder(first.tag) / name).open("ab") as stream:
            stream.write(b"# more")
        assert packaged(fitted("linear binary"), name="changed", signed=first.signatures) == first
        verify_folder(bento_folder(first.tag), first.signatures.bento, signing_key.public)


def test_a_version_that_holds_another_model_is_never_overwritten(fitted, packaged):
    one = fitted("linear binary")
    first = packaged(one, name="kept")
    column = replace(one.contract.features[0], nullable=True)
    other = replace(one.contract, features=(column, *one.contract.features[1:]))
    with pytest.raises(BadInput, match="holds another model"):
        packaged(one, name="kept", contract=other)
    assert files_of(first.model_tag)["manifest.json"] == first.digest


def test_a_stored_model_that_was_cut_off_or_changed_is_made_again(fitted, packaged):
    first = packaged(fitted("linear binary"), name="mended")
    (folder_of(first.model_tag) / "model.onnx").write_bytes(b"half")
    again = packaged(fitted("linear binary"), name="mended")
    assert again.digest == first.digest
    assert files_of(again.model_tag)["model.onnx"] != hashlib.sha256(b"half").hexdigest()


def test_a_model_that_onnx_gets_wrong_is_packaged_as_skops_and_says_so(wrong_in_onnx, packaged):
    done = packaged(wrong_in_onnx, name="wrong")
    assert done.format == "skops"
    assert done.fallback_reason is not None
    assert "ONNX predicts differently" in done.fallback_reason
    assert done.parity is not None
    assert not done.parity.passed
    assert set(files_of(done.model_tag)) >= {"model.skops", "manifest.json", "parity.json"}
    assert "model.onnx" not in files_of(done.model_tag)


def test_an_estimator_without_a_pipeline_is_refused(tmp_path, fitted, signing_key):
    one = fitted("linear binary")
    write_model(LogisticRegression(), tmp_path / "model.skops")
    with pytest.raises(PackagingFailed, match="expected a fitted scikit-learn Pipeline"):
        package(
            model_path=tmp_path / "model.skops",
            contract=one.contract,
            holdout=one.holdout,
            name="bare",
            version="v1",
            max_rows=1,
            labels={},
            made=MADE,
            key=signing_key,
            build_folder=tmp_path,
        )


def test_requirements_are_pinned_with_everything_they_need():
    pins = pinned(["bentoml"])
    names = [pin.partition("==")[0] for pin in pins]
    assert names == sorted(set(names))
    assert {"bentoml", "starlette", "pydantic", "uvicorn"} <= set(names)
    assert all("==" in pin for pin in pins)
    assert not set(names) & {"polars", "torch", "metaflow"}
