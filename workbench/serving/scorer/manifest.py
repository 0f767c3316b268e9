"""What a packaged model is: columns, classes, limits, the digest of each file; written by packaging, read before serving."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.errors import RunFailed

__all__ = ["MANIFEST", "MODEL_FILES", "Feature", "Manifest", "read_manifest", "verified_content"]

MANIFEST = "manifest.json"
MODEL_FILES = {"onnx": "model.onnx", "skops": "model.skops"}
_HINT = "Do not serve it. Package the model again, under a new version."


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Feature(_Strict):
    """One column of a request: its kind, the type its values had in the source, and the categories seen at training."""

    name: str
    kind: Literal["number", "category"]
    source_type: Literal["integer", "float", "string", "boolean"]
    nullable: bool
    categories: tuple[str, ...] = ()


class Manifest(_Strict):
    """A packaged model. The sha256 of the file that holds this is the model's digest; it covers every other file.

    `example` is a made-up row (no person's data) and `expected` the trained pipeline's numbers for it: the probabilities of
    `classes`, or the one value. A scorer answers it before it calls itself ready.
    """

    name: str
    version: str
    format: Literal["onnx", "skops"]
    task: Literal["binary", "multiclass", "regression"]
    target: str
    classes: tuple[str, ...]
    positive: str | None
    features: tuple[Feature, ...] = Field(min_length=1)
    missing: str
    max_rows: int = Field(ge=1)
    max_body_bytes: int = Field(ge=1024)
    files: dict[str, str]
    labels: dict[str, str]
    example: dict[str, float | str | None]
    expected: tuple[float, ...]

    def content(self) -> bytes:
        """The bytes of the manifest file: the same manifest always gives the same bytes."""
        return self.model_dump_json(indent=1).encode()

    @property
    def digest(self) -> str:
        """The sha256 of the manifest file, which names the model in answers, logs and records."""
        return hashlib.sha256(self.content()).hexdigest()


def read_manifest(path: Path, *, digest: str) -> Manifest:
    """The manifest in a file, if the file is the one that was packaged.

    Raises:
        RunFailed: the file is missing, changed or not a manifest.
    """
    content = _read(path)
    _require(path.name, content, digest)
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise RunFailed(f"{path.name} is not a manifest of this version of the workbench: {error}", hint=_HINT) from error


def verified_content(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Every file of the model, read once and compared with its digest; loaders get these bytes and never open a file.

    Raises:
        RunFailed: a file is missing or changed.
    """
    files = {name: _read(folder / name) for name in manifest.files}
    for name, content in files.items():
        _require(name, content, manifest.files[name])
    return files


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunFailed(f"the packaged model lacks {path.name}: {error.strerror}", hint=_HINT) from error


def _require(name: str, content: bytes, digest: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise RunFailed(f"{name} was changed after packaging: its sha256 is {found[:12]}…, expected {digest[:12]}…", hint=_HINT)
