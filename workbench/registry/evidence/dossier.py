"""Everything that the records say about one packaged model, gathered once. Read by every page of the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from workbench.errors import NotFound
from workbench.project import Project
from workbench.records import (
    Acceptance,
    Approval,
    BentoBuild,
    Candidate,
    DatasetVersion,
    Deployment,
    FairnessReview,
    ModelVersion,
    MonitoringReport,
    NotebookRun,
    PreparedData,
    Record,
    Release,
    Waiver,
)
from workbench.registry.standings import Standing
from workbench.store import Control
from workbench.store.chain import Entry

__all__ = ["Attachments", "Dossier", "LineageLine", "collect", "decided"]

Kind = TypeVar("Kind", bound=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageLine:
    """One line of the trace: a record or a log of predictions, and how deep it stands below the dataset version."""

    kind: str
    id: str
    at: str
    depth: int
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachments:
    """What records cannot give: the trace, the comparisons just made, signatures, the trusted public key, the pins served.

    `checks` are (what, record, digest) of comparisons that found nothing. `private` are texts that must not leave the machine,
    such as the project's folder.
    """

    lineage: tuple[LineageLine, ...]
    checks: tuple[tuple[str, str, str], ...]
    signatures: Mapping[str, bytes]
    public_key: bytes
    requirements: str
    private: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """The records behind a packaged model, what was decided on it, and the audit's entries about them.

    `standing` says where the model stands by the control plane, None if it is not registered there; `server` is the server
    that decides, None where the project itself does. `head` is the newest entry of the project's whole audit; `entries` are those
    about these records, oldest first; `people` are the names behind the pseudonyms in them.
    """

    project: Project
    dataset: DatasetVersion
    prepared: PreparedData
    candidate: Candidate
    review: FairnessReview
    version: ModelVersion
    acceptance: Acceptance | None
    bento: BentoBuild
    approvals: tuple[Approval, ...]
    waivers: tuple[Waiver, ...]
    releases: tuple[Release, ...]
    deployments: tuple[Deployment, ...]
    reports: tuple[MonitoringReport, ...]
    entries: tuple[Entry, ...]
    head: Entry | None
    people: Mapping[str, str]
    standing: Standing | None
    server: str | None

    @property
    def stage(self) -> str | None:
        """The stage that the model has been released to, None if to none."""
        if self.standing is not None and self.standing.stage != "candidate":
            return self.standing.stage
        return self.releases[-1].stage if self.releases else None

    @property
    def chain(self) -> tuple[Record, ...]:
        """The records in the journey's order, dataset version first."""
        accepted = () if self.acceptance is None else (self.acceptance,)
        chosen = (self.dataset, self.prepared, self.candidate, self.review, self.version, *accepted, self.bento)
        return (*chosen, *self.approvals, *self.waivers, *self.releases, *self.deployments, *self.reports)

    @property
    def notebooks(self) -> Mapping[str, NotebookRun]:
        """The executed notebook of each hop, under a name for its page."""
        prepared, trained = self.prepared.notebook, self.candidate.notebook
        reviewed, chosen = self.review.notebook, self.version.notebook
        return {"1-prepare": prepared, "2-train": trained, "3-review": reviewed, "4-choose": chosen}


def collect(bento: BentoBuild, project: Project, control: Control) -> Dossier:
    """Gathers the dossier of a packaged model from the project's own records.

    Raises:
        NotFound: its chain of records is not whole.
    """
    chain: list[Record] = [bento]
    while (parent := chain[-1].parent) is not None:
        chain.append(control.get(parent))
    version = _one(chain, ModelVersion)
    deployments = _of(control.all(kind="deployment", parent=bento.id), Deployment)
    decided = [record for kind in ("approval", "waiver", "release") for record in control.all(kind=kind)]
    about = [record for record in decided if isinstance(record, Approval | Waiver | Release) and record.model == version.id]
    dossier = Dossier(
        project=project,
        dataset=_one(chain, DatasetVersion),
        prepared=_one(chain, PreparedData),
        candidate=_one(chain, Candidate),
        review=_one(chain, FairnessReview),
        version=version,
        acceptance=next(iter(_of(control.all(kind="acceptance", parent=version.id), Acceptance)), None),
        bento=bento,
        approvals=_of(about, Approval),
        waivers=_of(about, Waiver),
        releases=_of(about, Release),
        deployments=deployments,
        reports=_of([report for one in deployments for report in control.all(kind="report", parent=one.id)], MonitoringReport),
        entries=(),
        head=None,
        people=control.people(),
        standing=None,
        server=None,
    )
    return _with_audit(dossier, control)


def decided(dossier: Dossier, standing: Standing | None) -> Dossier:
    """The dossier with what the control plane says about the model, if it is registered there."""
    if standing is None:
        return dossier
    return replace(dossier, standing=standing, approvals=standing.approvals, waivers=standing.waivers)


def _with_audit(dossier: Dossier, control: Control) -> Dossier:
    subjects = {record.id for record in dossier.chain} | {record.run for record in dossier.chain if record.run}
    entries = tuple(control.entries(subjects=subjects))
    return replace(dossier, entries=entries, head=next(iter(control.newest_entries(1)), None))


def _of(records: list[Kind] | list[Record] | list[Approval | Waiver | Release], kind: type[Kind]) -> tuple[Kind, ...]:
    return tuple(record for record in records if isinstance(record, kind))


def _one(chain: list[Record], kind: type[Kind]) -> Kind:
    for record in chain:
        if isinstance(record, kind):
            return record
    raise NotFound(f"{chain[0].id} does not come from a {kind.kind}", hint=f"Look at its chain: workbench trace {chain[0].id}")
