"""A loaded model answers as the pipeline did, in either format, or does not start at all."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import skops.io

from workbench.data.contract import MISSING
from workbench.errors import RequestInvalid, RunFailed
from workbench.serving.conversion import to_onnx
from workbench.serving.scorer.manifest import Feature, Manifest
from workbench.serving.scorer.model import load


def pack(one, folder, kind: str) -> Manifest:
    """Writes the one file of a format, and gives the manifest for it."""
    content = to_onnx(one.pipeline, one.contract) if kind == "onnx" else skops.io.dumps(one.pipeline)
    (folder / f"model.{kind}").write_bytes(content)
    frame = one.holdout.head(1)
    answer = (
        one.pipeline.predict(frame.to_pandas()) if not one.contract.classes else one.pipeline.predict_proba(frame.to_pandas())[0]
    )
    return Manifest(
        name="m",
        version="1",
        format=kind,
        task=one.contract.task,
        target=one.contract.target,
        classes=one.contract.classes,
        positive=one.contract.positive,
        features=tuple(
            Feature(name=column.name, kind=column.kind, source_type=column.source_type, nullable=column.nullable)
            for column in one.contract.features
        ),
        missing=MISSING,
        max_rows=10,
        max_body_bytes=2000,
        files={f"model.{kind}": hashlib.sha256(content).hexdigest()},
        labels={},
        example=frame.row(0, named=True),
        expected=tuple(float(number) for number in answer),
    )


@pytest.mark.parametrize("format_", ["onnx", "skops"])
@pytest.mark.parametrize("kind", ["boosted binary", "linear multiclass", "network regression"])
def test_answers_are_those_of_the_pipeline(fitted, tmp_path, kind, format_):
    one = fitted(kind)
    model = load(tmp_path, pack(one, tmp_path, format_))
    rows = one.holdout.head(20).to_dicts()
    rows[0]["AGE"] = None
    frame = one.holdout.head(20).to_pandas()
    frame.loc[0, "AGE"] = np.nan
    answers = model.answer(rows)
    if one.contract.task == "regression":
        np.testing.assert_allclose(answers.predictions, one.pipeline.predict(frame), rtol=1e-4)
        assert answers.probabilities is None
        return
    assert answers.predictions == one.pipeline.predict(frame).tolist()
    assert answers.probabilities is not None
    assert list(answers.probabilities[0]) == list(one.contract.classes)
    given = [list(row.values()) for row in answers.probabilities]
    np.testing.assert_allclose(given, one.pipeline.predict_proba(frame), atol=1e-5)


def test_a_changed_file_is_not_even_parsed(fitted, tmp_path):
    manifest = pack(fitted("linear binary"), tmp_path, "onnx")
    (tmp_path / "model.onnx").write_bytes(b"something else")
    with pytest.raises(RunFailed, match="was changed after packaging"):
        load(tmp_path, manifest)


def test_a_model_that_answers_its_example_differently_does_not_start(fitted, tmp_path):
    manifest = pack(fitted("linear binary"), tmp_path, "onnx")
    with pytest.raises(RunFailed, match="answers its own example"):
        load(tmp_path, manifest.model_copy(update={"expected": (0.0, 1.0)}))


def test_numbers_that_overflow_the_model_are_the_requests_fault(fitted, tmp_path):
    one = fitted("network regression")
    manifest = pack(one, tmp_path, "onnx")
    row = {**manifest.example, **dict.fromkeys(one.contract.of_kind("number"), 3.4e38)}
    with pytest.raises(RequestInvalid, match="row 1: the model has no finite answer"):
        load(tmp_path, manifest).answer([manifest.example, row])
