"""A project with a finished run, worked in by a person or by a step."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from workbench.data import write_project
from workbench.execution.step import Step
from workbench.records import Candidate, DatasetVersion, Estimate, FairnessReview, ModelVersion, NotebookRun, PreparedData
from workbench.session.values import write_value
from workbench.settings import Layout
from workbench.store import Control, Objects, open_control

FRAME = pl.DataFrame(
    {"age": [float(value) for value in range(40)], "sex": ["m", "f"] * 20, "ok": ["yes", "no", "no", "yes"] * 10}
)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A project, with a person's kernel in its notebooks folder."""
    FRAME.write_csv(tmp_path / "people.csv")
    write_project(tmp_path, name="people", source="people.csv", target="ok", sensitive=["sex"], owner="ann")
    made = Layout(root=tmp_path.resolve())
    made.notebooks.mkdir()
    monkeypatch.chdir(made.notebooks)
    monkeypatch.delenv("WORKBENCH_STEP", raising=False)
    return made


@pytest.fixture
def objects(layout: Layout) -> Objects:
    return Objects(layout.objects)


@pytest.fixture
def step(layout: Layout, objects: Objects, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Binds the kernel to a step that was given these values; returns the step's folder."""

    def bind(hop: str = "train", *, given: Mapping[str, Any] | None = None, notebook: str = "", **values: object) -> Path:
        folder = layout.runs / "experiment-1" / hop
        saved = {name: write_value(objects, name, value) for name, value in values.items()}
        bound = Step(hop=hop, project=str(layout.root), notebook=notebook, run="experiment-1", saved=saved, given=given or {})
        folder.mkdir(parents=True)
        bound.write(folder)
        monkeypatch.setenv("WORKBENCH_STEP", str(folder))
        return folder

    return bind


@pytest.fixture
def finish_run(layout: Layout, objects: Objects) -> Callable[..., Control]:
    """Writes the records of a run that prepared, trained two candidates, reviewed both and chose the second."""

    def finish(run: str = "experiment-1", *, failure: str | None = None, end: bool = True, mark: str = "") -> None:
        control = open_control(layout)
        common = {"run": run, "actor": "ann", "zone": "local", "revision": "r1"}
        notebook = {"notebook": NotebookRun(name="n", source="s", executed="e", seconds=1.0), "parameters": {}}

        def saved(**values: object) -> dict[str, Any]:
            return {"saved": {name: write_value(objects, name, value) for name, value in values.items()}, **notebook}

        control.start_run(run=run, flow="experiment", actor="ann", process=os.getpid())
        described = {
            "name": "people",
            "source": "people.csv",
            "digest": "d",
            "rows": 40,
            "columns": {},
            "owner": "ann",
            "purpose": "test",
        }
        control.add(DatasetVersion(id="dataset-1", parent=None, actor="ann", zone="local", revision="r1", **described))
        prepared = PreparedData(
            id=f"prepared-{run}", parent="dataset-1", contract={}, rows={}, **common, **saved(training=f"rows{mark}")
        )
        control.add(prepared)
        for name in ("linear", "boosted"):
            quality = {"metrics": {"accuracy": Estimate(value=0.8)}, "cross_validation": {}}
            made = Candidate(
                id=f"{name}-{run}", parent=prepared.id, name=name, **quality, **common, **saved(model=f"{name}{mark}")
            )
            review = FairnessReview(
                id=f"review-{name}-{run}",
                parent=made.id,
                metric="selection_rate",
                verdict="PASS",
                reasons=(),
                groups=(),
                **common,
                **saved(table=f"of {name}"),
            )
            control.add(made)
            control.add(review)
        choice = {"state": "chosen", "metric": "accuracy", "reasons": (), "ranking": ()}
        parent, winner = f"review-boosted-{run}", f"boosted-{run}"
        control.add(ModelVersion(id=f"model-{run}", parent=parent, candidate=winner, **choice, **common, **saved()))
        if end:
            control.end_run(run, actor="ann", failure=failure)
        control.close()

    return finish
