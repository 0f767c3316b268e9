"""The JSON schema of an answer, for the OpenAPI page, and the answer itself; used by the service."""

from __future__ import annotations

from typing import Any

from workbench.serving.scorer.manifest import Manifest
from workbench.serving.scorer.model import Answers

__all__ = ["answer", "answer_schema"]


def answer(manifest: Manifest, answers: Answers, *, request_id: str, warnings: list[str]) -> dict[str, Any]:
    """One prediction per row, with the request id and the model that a log, a complaint or an audit can be traced by."""
    if answers.probabilities is None:
        predictions: list[dict[str, Any]] = [{"value": value} for value in answers.predictions]
    else:
        predictions = [
            {"label": label, "probabilities": probabilities}
            for label, probabilities in zip(answers.predictions, answers.probabilities, strict=True)
        ]
    return {
        "request_id": request_id,
        "model": {"name": manifest.name, "version": manifest.version, "digest": manifest.digest},
        "predictions": predictions,
        "warnings": warnings,
    }


def answer_schema(manifest: Manifest) -> dict[str, Any]:
    """What `answer` returns, as JSON schema."""
    if manifest.task == "regression":
        prediction = _object(value={"type": "number"})
    else:
        each = _object(**{name: {"type": "number", "minimum": 0, "maximum": 1} for name in manifest.classes})
        prediction = _object(label={"type": "string", "enum": list(manifest.classes)}, probabilities=each)
    text = {"type": "string"}
    return {
        "title": "PredictionAnswer",
        **_object(
            request_id=text,
            model=_object(name=text, version=text, digest=text),
            predictions={"type": "array", "items": prediction},
            warnings={"type": "array", "items": text},
        ),
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}
