"""The records of the journey, in its order: frozen, append-only, each naming its parent.

Written by `store.database`, read by every interface; trace, lineage and audit are views of them. Bodies are plain JSON.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

__all__ = [
    "HOPS",
    "KINDS",
    "Acceptance",
    "Approval",
    "BentoBuild",
    "Candidate",
    "DatasetVersion",
    "Deployment",
    "Estimate",
    "FairnessReview",
    "GroupAssessment",
    "ModelVersion",
    "MonitoringReport",
    "NotebookRun",
    "PreparedData",
    "Record",
    "Release",
    "Saved",
    "Stage",
    "Verdict",
    "Waiver",
    "body_of",
    "new_id",
    "now",
    "outcome_of",
]

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]
Stage = Literal["candidate", "staging", "production", "archived"]


def now() -> str:
    """The time in UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_id(kind: str) -> str:
    """A fresh identifier such as `candidate-019ab0c5d2e4f71a3b8c6d2e`: sortable by time within a kind, unguessable at its end."""
    clock = int(time.time() * 1000)
    return f"{kind}-{clock:011x}{secrets.token_hex(6)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A value that a notebook saved: its bytes lie in the object store under `digest` (sha256)."""

    name: str
    format: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its confidence interval; `low` and `high` are None where no interval can be given."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookRun:
    """Which notebook ran: its name, the digest of its source, the digest of the executed file, seconds taken.

    Of a run that continued an earlier one, `restored` are the ids of the cells that did not run again, and `edited` of those
    that differ from the earlier run's.
    """

    name: str
    source: str
    executed: str
    seconds: float
    restored: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What every record carries: who, when, where, from which code, and which record it follows from."""

    kind: ClassVar[str]
    id: str
    parent: str | None
    run: str | None = None
    actor: str
    at: str = field(default_factory=now)
    zone: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion(Record):
    """The exact rows a journey starts from: `digest` names their bytes in the object store."""

    kind: ClassVar[str] = "dataset"
    name: str
    source: str
    digest: str
    rows: int
    columns: Mapping[str, str]
    owner: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedData(Record):
    """Rows that met the data contract, split for training and for an honest test."""

    kind: ClassVar[str] = "prepared"
    notebook: NotebookRun
    parameters: Mapping[str, Any]
    saved: Mapping[str, Saved]
    contract: Mapping[str, Any]
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate(Record):
    """One trained model with its measured quality: cross-validation on the training rows, and the holdout."""

    kind: ClassVar[str] = "candidate"
    name: str
    notebook: NotebookRun
    parameters: Mapping[str, Any]
    saved: Mapping[str, Saved]
    metrics: Mapping[str, Estimate]
    cross_validation: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAssessment:
    """One group under one fairness metric: its rate, the ratio to the reference group with bounds, and what follows."""

    attribute: str
    group: str
    rows: int
    rate: Estimate
    ratio: Estimate
    verdict: Verdict
    rows_needed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FairnessReview(Record):
    """The three-state verdict on one candidate, with its reasons and every group that was assessed."""

    kind: ClassVar[str] = "review"
    notebook: NotebookRun
    parameters: Mapping[str, Any]
    saved: Mapping[str, Saved]
    metric: str
    verdict: Verdict
    reasons: tuple[str, ...]
    groups: tuple[GroupAssessment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion(Record):
    """The outcome of choosing: a winner, a winner that waits for a person, or nobody. Its parent is the winner's review."""

    kind: ClassVar[str] = "model"
    notebook: NotebookRun
    parameters: Mapping[str, Any]
    saved: Mapping[str, Saved]
    state: Literal["chosen", "waiting", "none"]
    candidate: str | None
    metric: str
    reasons: tuple[str, ...]
    ranking: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance(Record):
    """A person accepted a model whose review was INCONCLUSIVE, and said why."""

    kind: ClassVar[str] = "acceptance"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BentoBuild(Record):
    """A packaged model: the tags in BentoML's stores, the digest of its files, and the proof that it predicts the same.

    `signature` names the signature over every file of the bento, which holds the one over the model's files; None in records
    from before models were signed.
    """

    kind: ClassVar[str] = "bento"
    tag: str
    model_tag: str
    digest: str
    format: Literal["onnx", "skops"]
    parity: Mapping[str, Any]
    fallback_reason: str | None = None
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval(Record):
    """A person's decision on exactly one bundle under exactly one policy, both named by digest. Its parent is the bento.

    `role` is the role in which the person decided; after `expires` (ISO 8601) the decision counts no more.
    """

    kind: ClassVar[str] = "approval"
    model: str
    bundle: str
    policy: str
    decision: Literal["approve", "reject"]
    role: str
    comment: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver(Record):
    """A person lets one gate pass for one bundle under one policy, for a stated reason, until `expires` (ISO 8601)."""

    kind: ClassVar[str] = "waiver"
    model: str
    gate: str
    bundle: str
    policy: str
    reason: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Record):
    """A model moved to a stage of its service. `generation` grows by one with every change of what is live.

    `previous` is the model that was live before, which the same act archived; `rollback` says that an earlier live model came
    back; `reasons` are the gates' sentences at that moment.
    """

    kind: ClassVar[str] = "release"
    model: str
    service: str
    stage: Stage
    bundle: str
    policy: str
    generation: int
    previous: str | None = None
    rollback: bool = False
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(Record):
    """A bento that was started to answer requests, and the folder of its prediction log."""

    kind: ClassVar[str] = "deployment"
    url: str
    predictions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringReport(Record):
    """One window of served predictions compared with the training reference."""

    kind: ClassVar[str] = "report"
    notebook: NotebookRun
    parameters: Mapping[str, Any]
    saved: Mapping[str, Saved]
    window: Mapping[str, Any]
    schema: tuple[str, ...]
    drifted: tuple[str, ...]
    features: tuple[Mapping[str, Any], ...]


KINDS: Mapping[str, type[Record]] = {
    record.kind: record
    for record in (
        DatasetVersion,
        PreparedData,
        Candidate,
        FairnessReview,
        ModelVersion,
        Acceptance,
        BentoBuild,
        Approval,
        Waiver,
        Release,
        Deployment,
        MonitoringReport,
    )
}

HOPS: Mapping[str, type[Record]] = {
    "prepare": PreparedData,
    "train": Candidate,
    "review": FairnessReview,
    "choose": ModelVersion,
    "watch": MonitoringReport,
}
"""The record that each notebook hop writes when its notebook succeeds."""

_COMMON = frozenset(common.name for common in fields(Record))


def body_of(kind: type[Record]) -> tuple[str, ...]:
    """The names of the fields that are a record's own, beyond those every record carries."""
    return tuple(own.name for own in fields(kind) if own.name not in _COMMON)


def outcome_of(kind: type[Record]) -> tuple[str, ...]:
    """The names of the fields that a notebook itself records; the runner adds the evidence of the run."""
    return tuple(name for name in body_of(kind) if name not in ("name", "notebook", "parameters", "saved"))
