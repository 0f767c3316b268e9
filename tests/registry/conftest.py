"""Packaged models in a control database, made of records alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from workbench.records import (
    BentoBuild,
    Candidate,
    DatasetVersion,
    Estimate,
    FairnessReview,
    ModelVersion,
    NotebookRun,
    PreparedData,
    Saved,
)
from workbench.registry import releases
from workbench.store import Control

COMMON: dict[str, Any] = {"actor": "ann", "zone": "local", "revision": "r1"}
RAN = NotebookRun(name="n.ipynb", source="a", executed="b", seconds=1.0)
RUN: dict[str, Any] = {"notebook": RAN, "parameters": {}, "saved": {}, **COMMON}
SCORE = {"roc_auc": Estimate(value=0.7612, low=0.742, high=0.78)}


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    with Control(f"sqlite:///{tmp_path / 'control.db'}") as opened:
        yield opened


@pytest.fixture(scope="session")
def packaged() -> Callable[..., str]:
    """Adds a chain from a dataset version to a bento, and returns the model's id; `changes` are to the bento."""

    def make(control: Control, name: str, **changes: Any) -> str:
        if control.find(f"model-{name}") is None:
            facts = {"name": "d", "source": "d.csv", "digest": "0", "rows": 1, "columns": {}, "owner": "o", "purpose": "p"}
            control.add(DatasetVersion(id=f"dataset-{name}", parent=None, **facts, **COMMON))
            contract = Saved(name="contract", format="json", digest="c", size=1)
            prepared = {**RUN, "saved": {"contract": contract}, "contract": {"rows": 9}, "rows": {}}
            control.add(PreparedData(id=f"prepared-{name}", parent=f"dataset-{name}", **prepared))
            measured = {"name": name, "metrics": SCORE, "cross_validation": SCORE}
            control.add(Candidate(id=f"candidate-{name}", parent=f"prepared-{name}", **measured, **RUN))
            verdict = {"metric": "m", "verdict": "PASS", "reasons": (), "groups": ()}
            control.add(FairnessReview(id=f"review-{name}", parent=f"candidate-{name}", **verdict, **RUN))
            chosen = {"state": "chosen", "candidate": f"candidate-{name}", "metric": "roc_auc", "reasons": (), "ranking": ()}
            control.add(ModelVersion(id=f"model-{name}", parent=f"review-{name}", **chosen, **RUN))
        number = len(control.all(kind="bento"))
        built = {"tag": f"scores:{name}", "model_tag": "m", "digest": f"{number}", "format": "onnx", "parity": {"passed": True}}
        bento = {"id": f"bento-{name}-{number}", "parent": f"model-{name}", "signature": "s", **built, **COMMON, **changes}
        control.add(BentoBuild(**bento))
        return f"model-{name}"

    return make


@pytest.fixture
def turn(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the clock of the releases to some days from now."""
    ahead = timedelta()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + ahead

    def to(days: int) -> None:
        nonlocal ahead
        ahead = timedelta(days=days)

    monkeypatch.setattr(releases, "datetime", Clock)
    return to
