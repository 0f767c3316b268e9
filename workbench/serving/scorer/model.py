"""Loads a packaged model after verifying its files, and answers rows with it; used by the service inside a bento."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from workbench.errors import RequestInvalid, RunFailed
from workbench.serving.scorer.manifest import MODEL_FILES, Manifest, verified_content
from workbench.serving.scorer.requests import Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Answers", "Model", "check_example", "input_names", "load"]

TOLERANCE = 1e-4
"""How far a machine's own arithmetic may move the example's answer before the model counts as broken there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """One prediction per row: a class with the probability of every class, or a value (then `probabilities` is None)."""

    predictions: list[str] | list[float]
    probabilities: list[dict[str, float]] | None


def input_names(columns: int) -> tuple[str, ...]:
    """What the inputs of an ONNX model are called, in the order of its columns."""
    return tuple(f"column_{index}" for index in range(columns))


class Model(Protocol):
    """What the service asks of a model, whatever its format."""

    def answer(self, rows: Sequence[Row]) -> Answers:
        """The predictions for rows that `RequestReader` has checked.

        Raises:
            RequestInvalid: a row is so far outside the training data that the model has no finite answer.
        """
        ...


class OnnxModel:
    """A model as an ONNX graph: one float32 or string input per column."""

    def __init__(self, content: bytes, manifest: Manifest) -> None:
        """Starts a session on one thread: a request is small, and several workers share the machine."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._run = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"]).run
        self._inputs = [
            (given, feature.name, np.float32 if feature.kind == "number" else object)
            for given, feature in zip(input_names(len(manifest.features)), manifest.features, strict=True)
        ]
        self._classes = manifest.classes

    def answer(self, rows: Sequence[Row]) -> Answers:
        """See `Model.answer`; numpy turns None into NaN, which is how missing numbers reach the graph."""
        feeds = {given: np.array([[row[name]] for row in rows], dtype=kind) for given, name, kind in self._inputs}
        if not self._classes:
            return _values(self._run(["value"], feeds)[0])
        labels, probabilities = self._run(["label", "probabilities"], feeds)
        return _classified(labels, probabilities, self._classes)


class SkopsModel:
    """A scikit-learn pipeline, for models that ONNX does not reproduce."""

    def __init__(self, content: bytes, manifest: Manifest) -> None:
        """Constructs the pipeline, which may hold reviewed types only."""
        from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

        from workbench.serving.scorer.trusted import load_model

        self._pipeline: Any = load_model(content)
        self._threads = ThreadpoolController()  # knows the libraries that loading the model brought in
        self._types = {feature.name: np.float64 if feature.kind == "number" else object for feature in manifest.features}
        self._classes = manifest.classes

    def answer(self, rows: Sequence[Row]) -> Answers:
        """See `Model.answer`; on one thread, because waiting for others costs a few rows many times their own work."""
        import pandas

        frame = pandas.DataFrame({name: np.array([row[name] for row in rows], dtype=kind) for name, kind in self._types.items()})
        with self._threads.limit(limits=1):
            if not self._classes:
                return _values(self._pipeline.predict(frame))
            return _classified(self._pipeline.predict(frame), self._pipeline.predict_proba(frame), self._classes)


def load(folder: Path, manifest: Manifest) -> Model:
    """The model in a folder, ready to answer: files verified, format as the manifest says, example answered correctly.

    Raises:
        RunFailed: a file is missing or changed, or the model answers differently on this machine.
    """
    content = verified_content(folder, manifest)[MODEL_FILES[manifest.format]]
    model: Model = OnnxModel(content, manifest) if manifest.format == "onnx" else SkopsModel(content, manifest)
    check_example(model, manifest)
    return model


def check_example(model: Model, manifest: Manifest) -> None:
    """Asks the model for the manifest's example.

    Raises:
        RunFailed: its answer is not the one the trained pipeline gave.
    """
    answers = model.answer([manifest.example])
    given = list(answers.probabilities[0].values()) if answers.probabilities is not None else [float(answers.predictions[0])]
    if not np.allclose(given, manifest.expected, rtol=TOLERANCE, atol=TOLERANCE):
        raise RunFailed(
            f"the model answers its own example with {given}, expected {list(manifest.expected)}",
            hint="Compare the installed versions with the bento's requirements.",
        )


def _values(values: NDArray[Any]) -> Answers:
    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    _require_finite(np.isfinite(numbers))
    return Answers(predictions=numbers.tolist(), probabilities=None)


def _classified(labels: NDArray[Any], probabilities: NDArray[Any], classes: tuple[str, ...]) -> Answers:
    _require_finite(np.isfinite(probabilities).all(axis=1))
    return Answers(
        predictions=[str(label) for label in labels],
        probabilities=[dict(zip(classes, row, strict=True)) for row in np.asarray(probabilities, dtype=np.float64).tolist()],
    )


def _require_finite(finite: NDArray[np.bool_]) -> None:
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise RequestInvalid(
            f"row {row}: the model has no finite answer, the row's numbers are too far outside the training data",
            hint="Check the units of the row's numbers.",
        )
