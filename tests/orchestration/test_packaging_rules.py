"""Who may be packaged: a chosen model at once, a waiting one after a person accepted it, nobody otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from workbench.errors import BadInput, NotFound, WaitsForPerson
from workbench.orchestration.packaging import ancestor, package_model
from workbench.records import (
    Candidate,
    DatasetVersion,
    Estimate,
    FairnessReview,
    ModelVersion,
    NotebookRun,
    PreparedData,
)
from workbench.registry.acceptance import accept
from workbench.settings import Layout
from workbench.store import Control, Objects, open_control

COMMON = {"actor": "ann", "zone": "local", "revision": "unversioned"}
RAN = NotebookRun(name="n.ipynb", source="a", executed="b", seconds=1.0)
BY_NOTEBOOK = {"notebook": RAN, "parameters": {}, "saved": {}}


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    opened = open_control(Layout(root=tmp_path))
    opened.add(
        DatasetVersion(
            id="dataset-1",
            parent=None,
            name="d",
            source="d.csv",
            digest="0",
            rows=1,
            columns={},
            owner="o",
            purpose="p",
            **COMMON,
        )
    )
    opened.add(PreparedData(id="prepared-1", parent="dataset-1", contract={}, rows={}, **BY_NOTEBOOK, **COMMON))
    metrics = {"roc_auc": Estimate(value=0.7)}
    opened.add(
        Candidate(
            id="candidate-1", parent="prepared-1", name="c", metrics=metrics, cross_validation=metrics, **BY_NOTEBOOK, **COMMON
        )
    )
    opened.add(
        FairnessReview(
            id="review-1",
            parent="candidate-1",
            metric="m",
            verdict="INCONCLUSIVE",
            reasons=(),
            groups=(),
            **BY_NOTEBOOK,
            **COMMON,
        )
    )
    yield opened
    opened.close()


def version(control: Control, state: Literal["chosen", "waiting", "none"]) -> ModelVersion:
    parent = "prepared-1" if state == "none" else "review-1"
    made = ModelVersion(
        id=f"model-{state}",
        parent=parent,
        state=state,
        candidate=None if state == "none" else "candidate-1",
        metric="roc_auc",
        reasons=("Because.",),
        ranking=(),
        **BY_NOTEBOOK,
        **COMMON,
    )
    control.add(made)
    return made


def test_a_waiting_model_is_not_packaged_and_the_way_to_accept_it_is_named(control: Control, tmp_path: Path) -> None:
    waiting = version(control, "waiting")
    with pytest.raises(WaitsForPerson, match=r"waits for a person") as caught:
        package_model(waiting, Layout(root=tmp_path), control, Objects(tmp_path / "objects"))
    assert f"workbench models accept {waiting.id}" in caught.value.hint


def test_where_nobody_won_there_is_nothing_to_package_and_the_reasons_are_given(control: Control, tmp_path: Path) -> None:
    with pytest.raises(WaitsForPerson, match="no candidate passed") as caught:
        package_model(version(control, "none"), Layout(root=tmp_path), control, Objects(tmp_path / "objects"))
    assert caught.value.problems == ("Because.",)


@pytest.mark.parametrize("state", ["chosen", "none"])
def test_only_a_waiting_model_can_be_accepted(control: Control, state: Literal["chosen", "none"]) -> None:
    with pytest.raises(BadInput, match="only a model that waits"):
        accept(version(control, state), control, actor="ann", reason="why not")


def test_an_acceptance_without_a_reason_is_refused(control: Control) -> None:
    with pytest.raises(BadInput, match="needs its reason"):
        accept(version(control, "waiting"), control, actor="ann", reason="  ")


def test_accepting_twice_leaves_one_acceptance(control: Control) -> None:
    waiting = version(control, "waiting")
    first = accept(waiting, control, actor="ann", reason="few rows, low stakes")
    assert accept(waiting, control, actor="ann", reason="once more") == first
    assert control.all(kind="acceptance") == [first]


def test_an_acceptance_names_its_reason_and_stands_in_the_chain(control: Control) -> None:
    acceptance = accept(version(control, "waiting"), control, actor="ann", reason="few rows, low stakes")
    assert acceptance.parent == "model-waiting"
    assert control.get(acceptance.id) == acceptance


def test_an_ancestor_is_the_nearest_record_of_its_kind(control: Control) -> None:
    chosen = version(control, "chosen")
    assert ancestor(chosen, PreparedData, control).id == "prepared-1"
    assert ancestor(chosen, ModelVersion, control) is chosen
    with pytest.raises(NotFound):
        ancestor(control.get("prepared-1"), Candidate, control)
