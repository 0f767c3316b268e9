"""One notebook hop inside a flow's step: run the notebook, then write the hop's record. Called by `@notebook`.

Evidence first, raise second: a failure leaves the executed notebook and the run's reason before the error surfaces.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import NotebookFailed, NotebookInvalid, RunFailed, WorkbenchError, did_you_mean
from workbench.execution.parameters import read_parameters
from workbench.execution.step import Step, StepResult
from workbench.governance.audit import witness
from workbench.orchestration.continuing import continuation_of
from workbench.orchestration.parameters import check_parameters
from workbench.orchestration.progress import Progress
from workbench.project import read_project
from workbench.records import HOPS, Record, Saved, new_id, outcome_of
from workbench.registry import entries_of
from workbench.settings import Layout, actor, find_project, revision
from workbench.store import Control, Objects, open_control

__all__ = ["Branch", "Hop", "HopResult", "run_hop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What one branch of the flow carries: the id of its newest record, and the values saved on the way there."""

    record: str | None
    saved: Mapping[str, Saved]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One notebook hop: its word, its notebook, and what the flow knows of the steps before it.

    `joins` tells a step that joins several branches from one that follows a single branch; `taken` are the names that the
    flow itself uses, which no saved value may have; `attempt` counts from 0; `origin` is the run that this one continues.
    """

    name: str
    notebook: str
    flow: str
    run: str
    task: str
    attempt: int
    branches: tuple[Branch, ...]
    joins: bool
    taken: frozenset[str]
    origin: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where this attempt's files lie."""
        return find_project().runs / self.run / f"{self.task}-{self.attempt}"

    @property
    def saved(self) -> dict[str, Saved]:
        """The values that reach this hop: at a join, those that are the same in every branch."""
        first, *others = (branch.saved for branch in self.branches)
        return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


@dataclass(frozen=True, slots=True, kw_only=True)
class HopResult:
    """The id of the record that was written, every stored value visible downstream, and the new ones for the flow."""

    record: str
    saved: Mapping[str, Saved]
    values: Mapping[str, Any]


def run_hop(hop: Hop) -> HopResult:
    """Runs the hop's notebook and writes its record.

    Raises:
        WorkbenchError: the notebook was refused or failed; the run is marked failed with the reason.
    """
    layout = find_project()
    control, objects = open_control(layout, witness=witness(layout)), Objects(layout.objects)
    progress = Progress(layout.runs / hop.run, hop=hop.name, task=f"{hop.task}-{hop.attempt}", notebook=hop.notebook)
    try:
        control.start_run(run=hop.run, flow=hop.flow, actor=actor(), process=os.getppid(), again=hop.attempt > 0)
        progress.began()
        record, winner = _run_and_record(hop, layout, control, objects, progress)
        progress.ended(record.id)
    except Exception as error:
        failure = error if isinstance(error, WorkbenchError) else RunFailed(f"{type(error).__name__}: {error}")
        progress.failed(str(failure))
        control.end_run(hop.run, actor=actor(), failure=f"{hop.name}: {failure}")
        raise failure from error
    finally:
        control.close()
    new: Mapping[str, Saved] = getattr(record, "saved", {})
    values = {name: _value(saved, objects) for name, saved in new.items() if hop.saved.get(name) != saved}
    return HopResult(record=record.id, saved={**hop.saved, **winner, **new}, values=values)


def _value(saved: Saved, objects: Objects) -> Any:
    """Small plain values go to the flow as they are, large ones as the reference to their bytes."""
    return msgspec.json.decode(objects.path(saved.digest).read_bytes()) if saved.format == "value.json" else saved


def _run_and_record(
    hop: Hop, layout: Layout, control: Control, objects: Objects, progress: Progress
) -> tuple[Record, Mapping[str, Saved]]:
    """Runs the notebook; returns its record and, after a choice, the values of the winner's branch."""
    if hop.name not in HOPS:
        raise NotebookInvalid(f"{hop.name!r} is no hop of the journey", hint=did_you_mean(hop.name, HOPS))
    from workbench.execution.notebook_run import run_notebook

    step, parent = _step(hop, layout, control, objects)
    continuation = continuation_of(step, layout, hop.origin)
    result = run_notebook(step, folder=hop.folder, objects=objects, on_cell=progress.cell, continuation=continuation)
    clash = sorted(hop.taken & set(result.saved))
    if clash:
        raise NotebookInvalid(
            f"{hop.notebook} saved {', '.join(clash)}, which the flow uses itself", hint="Save it under another name."
        )
    winner: Mapping[str, Saved] = {}
    if hop.joins:
        parent, winner = _winner(hop, result.outcome.get("candidate"), control)
    record = _record(hop, step, result, control.get(parent), layout)
    control.add(record)
    return record, winner


def _step(hop: Hop, layout: Layout, control: Control, objects: Objects) -> tuple[Step, str]:
    parent, saved = hop.branches[0].record, hop.saved
    given: dict[str, Any] = {}
    if parent is None or hop.name == "watch":
        check_parameters(layout, hop.flow, hop.parameters)
    if parent is None:
        from workbench.data.datasets import register  # loads polars, in the first step only

        project = read_project(layout.project_file)
        version = register(project, layout, control, objects, actor=actor(), revision=revision(layout.root))
        size = objects.path(version.digest).stat().st_size
        parent = version.id
        saved["dataset"] = Saved(name="dataset", format="polars.parquet", digest=version.digest, size=size)
    if hop.joins:
        reviews = [control.get(str(branch.record)) for branch in hop.branches]
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


def _record(hop: Hop, step: Step, result: StepResult, parent: Record, layout: Layout) -> Record:
    kind = HOPS[hop.name]
    absent = [name for name in outcome_of(kind) if name not in result.outcome]
    if absent:
        raise NotebookFailed(
            f"{hop.notebook} ended without recording {', '.join(absent)}",
            hint="Its last cell calls session.record(…) with the fields of the hop's record.",
        )
    # what was handed in by no notebook hop, such as a window of predictions, is kept with the record that judged it
    handed = {} if hasattr(parent, "saved") else step.saved
    fields = {
        "id": new_id(kind.kind),
        "parent": parent.id,
        "run": hop.run,
        "actor": actor(),
        "zone": parent.zone,
        "revision": revision(layout.root),
        "name": Path(hop.notebook).stem,
        "notebook": msgspec.to_builtins(result.notebook),
        "parameters": {**read_parameters(Path(step.notebook)).defaults(), **step.parameters},
        "saved": msgspec.to_builtins({**handed, **result.saved}),
        **result.outcome,
    }
    return msgspec.convert(fields, type=kind)


def _winner(hop: Hop, candidate: str | None, control: Control) -> tuple[str, Mapping[str, Saved]]:
    """The winner's review and values; when nobody won, the prepared data from which all candidates came."""
    reviews = {str(branch.record): branch for branch in hop.branches}
    for review, branch in reviews.items():
        if control.get(review).parent == candidate:
            return review, branch.saved
    first = control.get(str(control.get(next(iter(reviews))).parent))
    return str(first.parent), {}
