"""A manifest with a column of every sort."""

from __future__ import annotations

import pytest

from workbench.serving.scorer.manifest import Feature, Manifest


@pytest.fixture
def manifest() -> Manifest:
    """Two numbers and three categories, one of each nullable."""
    return Manifest(
        name="credit",
        version="v1",
        format="onnx",
        task="binary",
        target="default",
        classes=("0", "1"),
        positive="1",
        features=(
            Feature(name="age", kind="number", source_type="integer", nullable=False),
            Feature(name="limit bal", kind="number", source_type="float", nullable=True),
            Feature(name="SEX", kind="category", source_type="integer", nullable=False, categories=("1", "2")),
            Feature(name="copy", kind="category", source_type="string", nullable=True, categories=("a", "b")),
            Feature(name="_own", kind="category", source_type="boolean", nullable=False, categories=("false", "true")),
        ),
        missing="(missing)",
        max_rows=3,
        max_body_bytes=2000,
        files={},
        labels={},
        example={"age": 40.0, "limit bal": 1.5, "SEX": "1", "copy": "a", "_own": "true"},
        expected=(0.5, 0.5),
    )
