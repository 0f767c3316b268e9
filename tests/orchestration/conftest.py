"""A small project whose model is packaged: real rows, notebooks, pipeline and bento, without running a flow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from workbench.data.contract import Contract, infer_contract
from workbench.data.reading import read_table
from workbench.orchestration.packaging import package_model
from workbench.orchestration.projects import init_project
from workbench.project import read_project
from workbench.records import (
    BentoBuild,
    Candidate,
    DatasetVersion,
    Estimate,
    FairnessReview,
    GroupAssessment,
    ModelVersion,
    NotebookRun,
    PreparedData,
    Saved,
)
from workbench.serving.formats import write_model
from workbench.settings import Layout
from workbench.store import Control, Objects, open_control
from workbench.training.preprocessing import preprocessing

HOSTILE = '<script>document.title="taken"</script><img src="https://outside.example/x.png" onerror="alert(1)"> [a](javascript:b)'
"""What a name, a reason or an output may hold: nothing of it may become markup."""


COMMON = {"actor": "ann", "zone": "local", "revision": "abc123"}


@dataclass(frozen=True, kw_only=True)
class Packaged:
    """A project, its open database, its model version and the newest package of it."""

    layout: Layout
    control: Control
    model: ModelVersion
    bento: BentoBuild

    @property
    def objects(self) -> Objects:
        return Objects(self.layout.objects)


def rows(folder: Path, seed: int) -> Path:
    random = np.random.default_rng(seed)
    age, income = random.integers(20, 70, 400), random.normal(1000, 200, 400).round()
    group = random.choice(["a", "b"], 400)
    repaid = np.where(random.random(400) < 1 / (1 + np.exp((age - 45) / 10)), "yes", "no")
    path = folder / "people.csv"
    pl.DataFrame({"age": age, "income": income, "group": group, "repaid": repaid}).write_csv(path)
    return path


def notebook(objects: Objects, name: str) -> NotebookRun:
    """An executed notebook that put out what it should not have."""
    outputs = [new_output("display_data", {"text/html": f"<b>{name}</b>{HOSTILE}", "text/plain": name})]
    cells = [new_markdown_cell(f"# {name}\n{HOSTILE}"), new_code_cell("show()", outputs=outputs, execution_count=1)]
    digest, _ = objects.write_bytes(json.dumps(new_notebook(cells=cells)).encode())
    return NotebookRun(name=f"{name}.ipynb", source="0" * 64, executed=digest, seconds=1.5)


def saved(objects: Objects, name: str, kind: str, fill: Callable[[Path], object]) -> Saved:
    digest, size = objects.write(fill)
    return Saved(name=name, format=kind, digest=digest, size=size)


def make_packaged(control: Control, layout: Layout) -> tuple[ModelVersion, BentoBuild]:
    """Walks the hops by hand: the same functions as the notebooks call, and records as the runner writes them."""
    objects, project = Objects(layout.objects), read_project(layout.project_file)
    (dataset,) = control.all(kind="dataset")
    assert isinstance(dataset, DatasetVersion)
    contract = infer_contract(read_table(layout.root / project.dataset.source), project.dataset)
    frame = read_table(layout.root / project.dataset.source).with_columns(pl.col("age", "income").cast(pl.Float64))
    training, holdout = frame[:300], frame[300:]
    holdout_file = saved(objects, "holdout", "polars.parquet", holdout.write_parquet)
    contract_file = saved(objects, "contract", "value.json", lambda path: path.write_bytes(msgspec.json.encode(contract)))
    prepared = PreparedData(
        id="prepared-1",
        parent=dataset.id,
        notebook=notebook(objects, "01_prepare"),
        parameters={},
        saved={"holdout": holdout_file, "contract": contract_file},
        contract={"rows": frame.height, "features": 3, "split": "rows drawn at random"},
        rows={"training": 300, "holdout": 100},
        **COMMON,
    )
    candidate, review = _judged(objects, contract, training, prepared)
    version = _chosen(objects, layout.root.name, candidate, review)
    for record in (prepared, candidate, review, version):
        control.add(record)
    return version, package_model(version, layout, control, objects)


def _judged(
    objects: Objects, contract: Contract, training: pl.DataFrame, prepared: PreparedData
) -> tuple[Candidate, FairnessReview]:
    """A candidate and its review, with hostile words wherever a person or a notebook may put some."""
    pipeline = Pipeline([("columns", preprocessing(contract, "linear")), ("model", LogisticRegression())])
    pipeline.fit(training.select(contract.names).to_pandas(), training["repaid"].to_numpy())
    metrics = {"roc_auc": Estimate(value=0.71, low=0.65, high=0.77), "accuracy": Estimate(value=0.6812345)}
    candidate = Candidate(
        id="candidate-1",
        parent=prepared.id,
        name=f"02_train_linear {HOSTILE}",
        notebook=notebook(objects, "02_train_linear"),
        parameters={"seed": 0},
        saved={"model": saved(objects, "model", "sklearn.skops", lambda path: write_model(pipeline, path))},
        metrics=metrics,
        cross_validation=metrics,
        **COMMON,
    )
    group = GroupAssessment(
        attribute="group",
        group=f"a {HOSTILE}",
        rows=60,
        rate=Estimate(value=0.5, low=0.4, high=0.6),
        ratio=Estimate(value=0.97, low=0.85, high=1.02),
        verdict="PASS",
    )
    review = FairnessReview(
        id="review-1",
        parent=candidate.id,
        notebook=notebook(objects, "03_review_fairness"),
        parameters={},
        saved={},
        metric="selection_rate",
        verdict="PASS",
        reasons=("All groups reach the limit.", HOSTILE),
        groups=(group,),
        **COMMON,
    )
    return candidate, review


def _chosen(objects: Objects, name: str, candidate: Candidate, review: FairnessReview) -> ModelVersion:
    ranking = {"rank": 1, "candidate": candidate.id, "name": candidate.name, "review": review.id, "verdict": "PASS"}
    return ModelVersion(
        id=f"model-{name}",
        parent=review.id,
        notebook=notebook(objects, "04_choose"),
        parameters={},
        saved={},
        state="chosen",
        candidate=candidate.id,
        metric="roc_auc",
        reasons=("It is the only candidate.",),
        ranking=({**ranking, "value": 0.71, "low": 0.65, "high": 0.77},),
        **COMMON,
    )


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Packaged]:
    """The project, shared by the tests: who changes a file of it puts it back."""
    folder = tmp_path_factory.mktemp("packaged")
    layout = Layout(root=init_project(folder / "people", data=rows(folder, 0), target="repaid", sensitive=["group"]).folder)
    with open_control(layout) as control:
        model, bento = make_packaged(control, layout)
        yield Packaged(layout=layout, control=control, model=model, bento=bento)
