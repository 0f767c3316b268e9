"""One notebook hop inside a flow's step: run the notebook, then write the hop's record. Called by `@notebook`.

Evidence first, raise second: a failure leaves the executed notebook and the run's reason before the error surfaces.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from workbench.data.datasets import register
from workbench.errors import NotebookFailed, WorkbenchError
from workbench.execution.parameters import read_parameters
from workbench.execution.step import Step, StepResult
from workbench.orchestration.parameters import check_parameters
from workbench.orchestration.progress import Progress
from workbench.project import read_project
from workbench.records import HOPS, Record, Saved, new_id, outcome_of
from workbench.registry import entries_of
from workbench.settings import Layout, actor, find_project, revision
from workbench.store import Control, Objects, open_control

__all__ = ["Hop", "HopResult", "run_hop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One notebook hop: its word, its notebook, and what the flow knows of the steps before it."""

    name: str
    notebook: str
    run: str
    task: str
    parent: str | None
    joined: Sequence[str] | None = None
    saved: Mapping[str, Saved] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where this attempt's files lie."""
        return find_project().runs / self.run / self.task


@dataclass(frozen=True, slots=True, kw_only=True)
class HopResult:
    """The id of the record that was written, the stored values, and the small ones by themselves for the flow."""

    record: str
    saved: Mapping[str, Saved]
    values: Mapping[str, Any]


def run_hop(hop: Hop) -> HopResult:
    """Runs the hop's notebook and writes its record.

    Raises:
        WorkbenchError: the notebook was refused or failed; the run is marked failed with the reason.
    """
    layout = find_project()
    control, objects = open_control(layout), Objects(layout.objects)
    progress = Progress(layout.runs / hop.run, hop=hop.name, task=hop.task, notebook=hop.notebook)
    control.start_run(run=hop.run, flow=hop.run.partition("-")[0], actor=actor(), process=os.getppid())
    try:
        progress.began()
        step, parent = _step(hop, layout, control, objects)
        from workbench.execution.notebook_run import run_notebook

        result = run_notebook(step, folder=hop.folder, objects=objects, on_cell=progress.cell)
        record = _record(hop, step, result, parent, layout, control)
        control.add(record)
        progress.ended(record.id)
    except WorkbenchError as error:
        progress.failed(str(error))
        control.end_run(hop.run, actor=actor(), failure=f"{hop.notebook}: {error.message}")
        raise
    finally:
        control.close()
    small = {name: saved for name, saved in result.saved.items() if saved.format == "value.json"}
    values = {name: msgspec.json.decode(objects.path(saved.digest).read_bytes()) for name, saved in small.items()}
    others = {name: saved for name, saved in result.saved.items() if name not in small}
    return HopResult(record=record.id, saved=result.saved, values={**values, **others})


def _step(hop: Hop, layout: Layout, control: Control, objects: Objects) -> tuple[Step, str]:
    parent, saved = hop.parent, dict(hop.saved)
    given: dict[str, Any] = {}
    if parent is None:
        check_parameters(layout, hop.parameters)
        project = read_project(layout.project_file)
        version = register(project, layout, control, objects, actor=actor(), revision=revision(layout.root))
        size = objects.path(version.digest).stat().st_size
        parent = version.id
        saved["dataset"] = Saved(name="dataset", format="polars.parquet", digest=version.digest, size=size)
    if hop.joined is not None:
        reviews = [control.get(review) for review in hop.joined]
        candidates = [control.get(str(review.parent)) for review in reviews]
        given["candidates"] = msgspec.to_builtins(entries_of([*candidates, *reviews]))
    notebook = layout.notebooks / hop.notebook
    declared = read_parameters(notebook).names
    step = Step(
        hop=hop.name,
        project=str(layout.root),
        notebook=str(notebook),
        run=hop.run,
        parameters={name: value for name, value in hop.parameters.items() if name in declared},
        saved=saved,
        given=given,
    )
    return step, parent


def _record(hop: Hop, step: Step, result: StepResult, parent: str, layout: Layout, control: Control) -> Record:
    kind = HOPS[hop.name]
    absent = [name for name in outcome_of(kind) if name not in result.outcome]
    if absent:
        raise NotebookFailed(
            f"{hop.notebook} ended without recording {', '.join(absent)}",
            hint="Its last cell calls session.record(…) with the fields of the hop's record.",
        )
    if hop.joined is not None:
        parent = _winning_review(hop.joined, result.outcome.get("candidate"), control)
    fields = {
        "id": new_id(kind.kind),
        "parent": parent,
        "run": hop.run,
        "actor": actor(),
        "zone": control.get(parent).zone,
        "revision": revision(layout.root),
        "name": Path(hop.notebook).stem,
        "notebook": msgspec.to_builtins(result.notebook),
        "parameters": {**read_parameters(Path(step.notebook)).defaults(), **step.parameters},
        "saved": msgspec.to_builtins(result.saved),
        **result.outcome,
    }
    return msgspec.convert(fields, type=kind)


def _winning_review(reviews: Sequence[str], candidate: str | None, control: Control) -> str:
    """The winner's review; when nobody won, the prepared data from which all candidates came."""
    for review in reviews:
        if control.get(review).parent == candidate:
            return review
    first = control.get(str(control.get(reviews[0]).parent))
    return str(first.parent)
