"""Where the verbs read and write: the step a runner bound this kernel to, or the project a person works in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from workbench.data.datasets import register
from workbench.errors import NotFound, did_you_mean
from workbench.execution.step import Step, current_folder, read_step, write_outcome, write_saved
from workbench.governance.audit import witness
from workbench.project import Project, read_project
from workbench.records import Candidate, DatasetVersion, ModelVersion, Record, Saved, now
from workbench.registry import Entry, entries_of
from workbench.settings import Layout, actor, find_project, revision
from workbench.store import Control, Objects, open_control
from workbench.store.objects import replace_file

__all__ = ["Binding", "current_binding"]


class Binding(Protocol):
    """What the verbs need: names resolved to stored or plain values, and places for what the notebook makes."""

    layout: Layout
    attended: bool

    @property
    def hop(self) -> str | None:
        """The hop whose record the notebook makes, or None where a person tries things."""

    @property
    def parameter_names(self) -> tuple[str, ...] | None:
        """The names in the notebook's contract, or None where nobody knows which notebook is open."""

    def find(self, name: str, of: str | None) -> Saved | object:
        """The stored or plain value of a name; raises NotFound when nothing upstream saved it."""

    def saved(self, value: Saved) -> None:
        """Keeps a stored value for downstream steps."""

    def recorded(self, outcome: Mapping[str, Any]) -> None:
        """Keeps the outcome."""


@dataclass(slots=True)
class StepBinding:
    """Headless: the runner wrote the step, and reads back what the notebook leaves."""

    folder: Path
    step: Step
    layout: Layout
    attended: bool = False

    @property
    def hop(self) -> str:
        """The hop that the runner named."""
        return self.step.hop

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The names in the notebook's contract."""
        from workbench.execution.parameters import read_parameters  # loads pydantic

        return read_parameters(Path(self.step.notebook)).names

    def find(self, name: str, of: str | None) -> Saved | object:
        """A value of the flow or of an upstream step; `of` only matters when a person chooses among candidates."""
        if name == "candidates" and name in self.step.given:
            return msgspec.convert(self.step.given[name], type=list[Entry])
        if name in self.step.saved:
            return self.step.saved[name]
        known = [*self.step.saved, *self.step.given, "project"]
        raise NotFound(f"no upstream step of {self.step.hop} saved {name!r}", hint=did_you_mean(name, known))

    def saved(self, value: Saved) -> None:
        """Notes the value for the runner."""
        write_saved(self.folder, value)

    def recorded(self, outcome: Mapping[str, Any]) -> None:
        """Notes the outcome for the runner."""
        write_outcome(self.folder, outcome)


@dataclass(slots=True)
class ProjectBinding:
    """Interactive: reads the newest of what the latest successful run saved and what a person saved as a draft."""

    layout: Layout
    attended: bool = True
    hop: None = None
    parameter_names: None = None

    def find(self, name: str, of: str | None) -> Saved | object:
        """A value of the latest successful run or of a newer draft; `of` names the candidate whose value is wanted."""
        control, objects = open_control(self.layout, witness=witness(self.layout)), Objects(self.layout.objects)
        try:
            if name == "dataset":
                return _dataset_saved(_registered(self.layout, control, objects))
            finished, records = _latest_run("experiment", control)
            watched = _latest_run("watch", control)[1]
            if name == "candidates" and records:
                return entries_of(records)
        finally:
            control.close()
        stored: dict[str, Saved] = {}
        for record in [*watched, *_path_of(records, of)]:
            stored |= getattr(record, "saved", {})
        drafts = self._drafts() if of is None else {}
        stored |= {key: draft.saved for key, draft in drafts.items() if key not in stored or draft.at > finished}
        if name not in stored:
            known = did_you_mean(name, [*stored, "project", "dataset"])
            raise NotFound(
                f"nothing has saved {name!r} yet",
                hint=f"{known} Run the notebooks before this one, or all: workbench run. For a window: workbench watch",
            )
        return stored[name]

    def saved(self, value: Saved) -> None:
        """Keeps the value as a draft: the next notebook a person opens loads it."""
        drafts = {**self._drafts(), value.name: _Draft(saved=value, at=now())}
        replace_file(self._draft_file(), msgspec.json.encode(drafts))

    def recorded(self, outcome: Mapping[str, Any]) -> None:
        """A person's trial is shown, not recorded: records are made by runs."""

    def _draft_file(self) -> Path:
        return self.layout.drafts / "saved.json"

    def _drafts(self) -> dict[str, _Draft]:
        path = self._draft_file()
        return msgspec.json.decode(path.read_bytes(), type=dict[str, _Draft]) if path.exists() else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    saved: Saved
    at: str


def current_binding() -> Binding:
    """The binding of this kernel.

    Raises:
        NotFound: no runner bound it, and the working directory is in no project.
    """
    folder = current_folder()
    if folder is None:
        return ProjectBinding(find_project())
    step = read_step(folder)
    return StepBinding(folder=folder, step=step, layout=Layout(root=Path(step.project)))


def _registered(layout: Layout, control: Control, objects: Objects) -> DatasetVersion:
    project: Project = read_project(layout.project_file)
    return register(project, layout, control, objects, actor=actor(), revision=revision(layout.root))


def _dataset_saved(version: DatasetVersion) -> Saved:
    return Saved(name="dataset", format="polars.parquet", digest=version.digest, size=0)


def _latest_run(flow: str, control: Control) -> tuple[str, list[Record]]:
    """When the latest successful run of a flow ended, and its records with all they came from (a resumed run adds few)."""
    run = next((run for run in control.runs(flow=flow) if run.state == "succeeded"), None)
    if run is None:
        return "", []
    found: dict[str, Record] = {}
    waiting: list[Record] = control.all(run=run.id)
    while waiting:
        record = waiting.pop()
        if record.id not in found:
            found[record.id] = record
            waiting += [control.get(record.parent)] if record.parent else []
    return run.finished or "", sorted(found.values(), key=lambda record: record.at)


def _path_of(records: Sequence[Record], of: str | None) -> list[Record]:
    """The records that lead to one candidate and its review: the one named, else the winner's, else the first trained."""
    candidates = [record for record in records if isinstance(record, Candidate)]
    model = next((record for record in records if isinstance(record, ModelVersion)), None)
    wanted = of or (model.candidate if model else None)
    chosen = next((c for c in candidates if wanted in (c.id, c.name)), None)
    if of is not None and chosen is None:
        raise NotFound(f"no candidate {of!r} in the latest run", hint=did_you_mean(of, [c.name for c in candidates]))
    chosen = chosen or (candidates[0] if candidates else None)
    others = {record.id for record in candidates if record is not chosen}
    return [record for record in records if record.id not in others and record.parent not in others]
