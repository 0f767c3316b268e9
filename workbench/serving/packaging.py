"""Turns a chosen model into a stored model and a bento: ONNX if it provably predicts the same, else skops, never pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from sklearn.pipeline import Pipeline

from workbench.data.contract import MISSING, Column, Contract
from workbench.errors import BadInput, PackagingFailed, RunFailed, Tampered
from workbench.serving.bento import bento_folder, build_bento, date, model_folder, open_bentoml
from workbench.serving.conversion import to_onnx
from workbench.serving.formats import read_model
from workbench.serving.parity import Parity, prove_parity
from workbench.serving.scorer.manifest import MANIFEST, MODEL_FILES, Feature, Manifest, read_manifest, verified_content
from workbench.serving.scorer.signature import verify_folder
from workbench.serving.signing import Key, sign_folder

__all__ = ["Package", "Signatures", "package"]

PROOF = "parity.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatures:
    """The signature over the model's files, and the one over the bento's, which hold the first."""

    model: bytes
    bento: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A packaged model. `digest` is the sha256 of the manifest, which holds the sha256 of every other file of the model.

    `fallback_reason` says why the model is served as skops; `parity` is None when ONNX could not be tried at all.
    """

    tag: str
    model_tag: str
    digest: str
    format: Literal["onnx", "skops"]
    parity: Parity | None
    fallback_reason: str | None
    signatures: Signatures


@dataclass(frozen=True, slots=True, kw_only=True)
class _Converted:
    onnx: bytes | None
    parity: Parity | None
    reason: str | None

    @property
    def format(self) -> Literal["onnx", "skops"]:
        return "skops" if self.onnx is None else "onnx"


def package(  # noqa: PLR0913 - each is a fact the package is made of
    *,
    model_path: Path,
    contract: Contract,
    holdout: pl.DataFrame,
    name: str,
    version: str,
    max_rows: int,
    max_body_bytes: int = 1_000_000,
    labels: Mapping[str, str],
    made: str,
    key: Key,
    signed: Signatures | None = None,
    build_folder: Path,
) -> Package:
    """Converts, proves, stores, signs and builds; doing it again for the same model and version gives the same package.

    Args:
        model_path: The fitted pipeline as a skops file.
        contract: The columns the model reads; they become the request schema.
        holdout: Feature rows that were not trained on, for the parity proof.
        name: The service's name, which the model and the bento share.
        version: Their version.
        max_rows: The most rows one request may hold.
        max_body_bytes: The largest request body.
        labels: Where the model comes from, such as record ids.
        made: When the model counts as made (ISO 8601); the package holds this and not the clock's time.
        key: What the files are signed with.
        signed: The signatures of an earlier package of this version, kept where they still hold.
        build_folder: Where the bento's source folder is generated.

    Raises:
        BadInput: the version exists and holds another model.
        PackagingFailed: the model is not a reviewed scikit-learn pipeline, or the bento cannot be built.
    """
    pipeline = _pipeline(model_path, contract)
    source = model_path.read_bytes()
    tag = f"{name}:{version}"
    stored = _stored(tag, source, contract, None if signed is None else (signed.model, key.public))
    if stored is None:
        converted = _convert(pipeline, contract, holdout)
        files = _files(source, converted)
        limits = (max_rows, max_body_bytes)
        manifest = _manifest(pipeline, contract, converted, files, name=name, version=version, limits=limits, labels=labels)
        _store(tag, {**files, MANIFEST: manifest.content()}, labels, made)
    else:
        manifest, converted = stored
    folder = build_folder / f"{name}-{version}"
    return Package(
        tag=tag,
        model_tag=tag,
        digest=manifest.digest,
        format=manifest.format,
        parity=converted.parity,
        fallback_reason=converted.reason,
        signatures=_signed_bento(manifest, model_path, folder, made=made, key=key, signed=signed),
    )


def _signed_bento(
    manifest: Manifest, model_file: Path, folder: Path, *, made: str, key: Key, signed: Signatures | None
) -> Signatures:
    """The bento of a stored model and its signatures; one that is whole is kept, any other is built anew."""
    tag = f"{manifest.name}:{manifest.version}"
    model = Path(open_bentoml().models.get(tag).path)
    if signed is not None and _holds(signed.bento, bento_folder(tag), key):
        return signed
    signature = signed.model if signed is not None and _holds(signed.model, model, key) else sign_folder(model, key.private)
    built = build_bento(manifest, model_tag=tag, model_file=model_file, signature=signature, made=made, folder=folder)
    if signed is not None and _holds(signed.bento, built, key):
        return signed
    return Signatures(model=signature, bento=sign_folder(built, key.private))


def _holds(signature: bytes, folder: Path | None, key: Key) -> bool:
    if folder is None:
        return False
    try:
        verify_folder(folder, signature, key.public)
    except Tampered:
        return False
    return True


def _pipeline(model_path: Path, contract: Contract) -> Pipeline:
    """The fitted pipeline, if it is one and predicts the contract's classes in their order."""
    model = read_model(model_path)
    if not isinstance(model, Pipeline):
        raise PackagingFailed(f"the model is a {type(model).__name__}, expected a fitted scikit-learn Pipeline")
    classes = () if contract.task == "regression" else tuple(str(name) for name in model.classes_)
    if classes != contract.classes:
        raise PackagingFailed(f"the model predicts the classes {classes}, expected those of the contract: {contract.classes}")
    return model


def _convert(pipeline: Pipeline, contract: Contract, holdout: pl.DataFrame) -> _Converted:
    """ONNX if it passes the proof, else the reason why not."""
    try:
        content = to_onnx(pipeline, contract)
        parity = prove_parity(pipeline, content, contract, holdout)
    except PackagingFailed as error:
        return _Converted(onnx=None, parity=None, reason=error.message)
    if parity.passed:
        return _Converted(onnx=content, parity=parity, reason=None)
    reason = (
        f"ONNX predicts differently: {parity.label_flips} of {parity.rows} labels, by up to {parity.largest_difference:.2g} "
        f"(limit {parity.limit:.0e}); float32 input moves {parity.rounding_moved} rows and {parity.rounding_flips} labels"
    )
    return _Converted(onnx=None, parity=parity, reason=reason)


def _files(source: bytes, converted: _Converted) -> dict[str, bytes]:
    """What is stored: the skops file always, because it is what was trained; ONNX if it passed; the proof either way."""
    proof = {"fallback_reason": converted.reason, "parity": converted.parity.as_json() if converted.parity else None}
    files = {MODEL_FILES["skops"]: source, PROOF: json.dumps(proof, indent=1, allow_nan=True).encode()}
    return files if converted.onnx is None else {**files, MODEL_FILES["onnx"]: converted.onnx}


def _manifest(
    pipeline: Pipeline,
    contract: Contract,
    converted: _Converted,
    files: Mapping[str, bytes],
    *,
    name: str,
    version: str,
    limits: tuple[int, int],
    labels: Mapping[str, str],
) -> Manifest:
    return Manifest(
        name=name,
        version=version,
        format=converted.format,
        task=contract.task,
        target=contract.target,
        classes=contract.classes,
        positive=contract.positive,
        features=_features(contract),
        missing=MISSING,
        max_rows=limits[0],
        max_body_bytes=limits[1],
        files={file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
        labels=dict(labels),
        **_example(pipeline, contract),
    )


def _features(contract: Contract) -> tuple[Feature, ...]:
    return tuple(
        Feature(
            name=column.name,
            kind=column.kind,
            source_type=column.source_type,
            nullable=column.nullable,
            categories=column.categories,
        )
        for column in contract.features
    )


def _example(pipeline: Pipeline, contract: Contract) -> dict[str, Any]:
    """A row nobody lives in, the middle of each range and the first category, and what the pipeline says to it."""
    row = {
        column.name: _middle(column) if column.kind == "number" else (*column.categories, MISSING)[0]
        for column in contract.features
    }
    frame = pl.DataFrame([row]).to_pandas()
    answer = pipeline.predict(frame) if contract.task == "regression" else pipeline.predict_proba(frame)[0]
    return {"example": row, "expected": tuple(float(number) for number in np.asarray(answer).reshape(-1))}


def _middle(column: Column) -> float:
    if column.minimum is None or column.maximum is None:
        return 0.0
    return float(np.float32(column.minimum / 2 + column.maximum / 2))


def _stored(
    tag: str, source: bytes, contract: Contract, signed: tuple[bytes, bytes] | None
) -> tuple[Manifest, _Converted] | None:
    """The stored model of this tag, if it is whole and the same; a broken one is removed, as after a kill while storing.

    Where an earlier signature and its public key are given, whole means that the signature holds.

    Raises:
        BadInput: the tag holds another model, which is never overwritten.
    """
    folder = model_folder(tag)
    if folder is None:
        return None
    try:
        content = (folder / MANIFEST).read_bytes()
        manifest = read_manifest(folder / MANIFEST, digest=hashlib.sha256(content).hexdigest())
        proof = json.loads(verified_content(folder, manifest)[PROOF])
        if signed is not None:
            verify_folder(folder, *signed)
    except (OSError, RunFailed, Tampered):
        open_bentoml().models.delete(tag)
        return None
    if manifest.files[MODEL_FILES["skops"]] != hashlib.sha256(source).hexdigest() or manifest.features != _features(contract):
        raise BadInput(f"the version {tag} exists and holds another model", hint="Package under a new version.")
    parity = Parity.from_json(proof["parity"]) if proof["parity"] else None
    return manifest, _Converted(onnx=None, parity=parity, reason=proof["fallback_reason"])


def _store(tag: str, files: Mapping[str, bytes], labels: Mapping[str, str], made: str) -> None:
    """Saves the files into BentoML's model store, whose entries appear whole. Entries can be changed later: see `digest`."""
    bentoml = open_bentoml()
    with bentoml.models.create(tag, labels=dict(labels)) as model:
        for name, content in files.items():
            Path(model.path_of(name)).write_bytes(content)
    date(Path(bentoml.models.get(tag).path) / "model.yaml", made)
