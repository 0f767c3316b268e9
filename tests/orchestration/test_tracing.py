"""A trace is one tree, dataset version first: whatever id is asked for, each line stands below what it came from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from workbench.errors import NotFound
from workbench.orchestration.tracing import Link, trace
from workbench.records import (
    BentoBuild,
    Candidate,
    DatasetVersion,
    Deployment,
    Estimate,
    FairnessReview,
    ModelVersion,
    NotebookRun,
    PreparedData,
)
from workbench.settings import Layout
from workbench.store import Control, open_control

RUN = "experiment-1"
COMMON = {"actor": "ann", "zone": "local", "revision": "unversioned"}
RAN = NotebookRun(name="n.ipynb", source="a", executed="b", seconds=1.0)
BY_NOTEBOOK = {"run": RUN, "notebook": RAN, "parameters": {}, "saved": {}, **COMMON}
TREE = [
    (0, "dataset-1"),
    (1, "prepared-1"),
    (2, "candidate-a"),
    (3, "review-a"),
    (2, "candidate-b"),
    (3, "review-b"),
    (4, "model-1"),
    (5, "bento-1"),
    (6, "deployment-1"),
    (7, "predictions/deployment-1"),
]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(root=tmp_path)


@pytest.fixture
def control(layout: Layout) -> Iterator[Control]:
    """Two candidates of one run, whose reviews were added after both: the second one won, was served and asked twice."""
    with open_control(layout) as control:
        control.start_run(run=RUN, flow="experiment", actor="ann", process=os.getpid())
        facts = {"name": "d", "source": "d.csv", "digest": "0", "rows": 1, "columns": {}, "owner": "o", "purpose": "p"}
        control.add(DatasetVersion(id="dataset-1", parent=None, **facts, **COMMON))
        control.add(PreparedData(id="prepared-1", parent="dataset-1", contract={}, rows={}, **BY_NOTEBOOK))
        score = {"roc_auc": Estimate(value=0.7)}
        for name in "ab":
            measured = {"name": name, "metrics": score, "cross_validation": score}
            control.add(Candidate(id=f"candidate-{name}", parent="prepared-1", **measured, **BY_NOTEBOOK))
        for name in "ab":
            verdict = {"metric": "m", "verdict": "PASS", "reasons": (), "groups": ()}
            control.add(FairnessReview(id=f"review-{name}", parent=f"candidate-{name}", **verdict, **BY_NOTEBOOK))
        chosen = {"state": "chosen", "candidate": "candidate-b", "metric": "roc_auc", "reasons": (), "ranking": ()}
        control.add(ModelVersion(id="model-1", parent="review-b", **chosen, **BY_NOTEBOOK))
        built = {"tag": "d:1", "model_tag": "d:1", "digest": "f", "format": "onnx", "parity": {}}
        control.add(BentoBuild(id="bento-1", parent="model-1", run=RUN, **built, **COMMON))
        served = {"url": "http://127.0.0.1:1", "predictions": ".workbench/predictions/deployment-1"}
        control.add(Deployment(id="deployment-1", parent="bento-1", **served, **COMMON))
        log(layout, "deployment-1", ["request-1", "request-2"])
        yield control


def log(layout: Layout, deployment: str, requests: Sequence[str]) -> None:
    row = {"row": 0, "model": "d:1", "digest": "f", "features": {"age": 3.0}, "prediction": "1", "probabilities": {"1": 0.9}}
    lines = [{"at": f"2026-01-01T00:00:0{number}Z", "request_id": name, **row} for number, name in enumerate(requests)]
    folder = layout.predictions / deployment
    folder.mkdir(parents=True)
    (folder / "1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def drawn(links: Sequence[Link]) -> list[tuple[int, str]]:
    return [(link.depth, link.id.removeprefix(".workbench/")) for link in links]


def test_a_run_is_one_tree_in_which_every_line_stands_below_its_parent(control: Control, layout: Layout) -> None:
    links = trace(RUN, layout, control)
    assert drawn(links) == TREE
    path: list[str] = []
    for link in links:
        del path[link.depth :]
        assert link.parent == (path[-1] if path else None)
        path.append(link.id)


def test_every_record_of_a_run_that_was_asked_for_is_marked(control: Control, layout: Layout) -> None:
    marked = {link.id for link in trace(RUN, layout, control) if link.asked}
    assert marked == {record.id for record in control.all(run=RUN)}
    assert "dataset-1" not in marked


def test_a_record_shows_what_it_came_from_and_led_to_and_nothing_beside_it(control: Control, layout: Layout) -> None:
    links = trace("candidate-a", layout, control)
    assert drawn(links) == TREE[:4]
    assert [link.id for link in links if link.asked] == ["candidate-a"]


def test_a_prediction_log_is_one_line_with_how_many_and_from_when_to_when(control: Control, layout: Layout) -> None:
    links = trace("dataset-1", layout, control)
    assert drawn(links) == TREE
    assert links[-1].summary == "2 predictions from 2026-01-01 00:00:00 to 2026-01-01 00:00:01 UTC"
    assert links[-1].parent == "deployment-1"


def test_a_served_request_leads_back_to_its_dataset_version(control: Control, layout: Layout) -> None:
    links = trace("request-2", layout, control)
    winner = [line for line in TREE if not line[1].endswith(("-a", "predictions/deployment-1"))]
    ids = [name for _, name in winner]
    assert drawn(links) == [*enumerate(ids), (len(ids), "request-2")]
    assert [link.id for link in links if link.asked] == ["request-2"]


def test_a_request_is_found_at_the_deployment_that_answered_it(control: Control, layout: Layout) -> None:
    served = {"url": "http://127.0.0.1:1", "predictions": ".workbench/predictions/deployment-2"}
    control.add(Deployment(id="deployment-2", parent="bento-1", **served, **COMMON))
    log(layout, "deployment-2", ["request-3"])
    assert trace("request-3", layout, control)[-1].parent == "deployment-2"
    assert trace("request-1", layout, control)[-1].parent == "deployment-1"


@pytest.mark.parametrize(
    ("failure", "summary"), [("prepare: no such column", "failed: prepare: no such column"), (None, "succeeded")]
)
def test_a_run_that_left_no_record_is_found_with_how_it_ended(
    control: Control, layout: Layout, failure: str | None, summary: str
) -> None:
    control.start_run(run="experiment-2", flow="experiment", actor="ann", process=os.getpid())
    control.end_run("experiment-2", actor="ann", failure=failure)
    (link,) = trace("experiment-2", layout, control)
    assert (link.kind, link.id, link.depth, link.asked, link.summary) == ("run", "experiment-2", 0, True, summary)


def test_an_unknown_id_is_refused_with_the_closest_record(control: Control, layout: Layout) -> None:
    with pytest.raises(NotFound, match="no record, run or served request 'bento-2'") as caught:
        trace("bento-2", layout, control)
    assert caught.value.hint == "Did you mean 'bento-1'?"
