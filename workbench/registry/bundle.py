"""What exactly is approved: one digest over a model's bytes, data, notebooks, numbers and verdicts. Built from records only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from workbench.errors import NotFound
from workbench.records import (
    BentoBuild,
    Candidate,
    DatasetVersion,
    Estimate,
    FairnessReview,
    ModelVersion,
    PreparedData,
    Record,
    Verdict,
)
from workbench.store import Control

__all__ = ["Bundle", "bento_of", "bundle_of"]

Kind = TypeVar("Kind", bound=Record)
ByNotebook = PreparedData | Candidate | FairnessReview | ModelVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The facts that a decision is about. Digests are sha256 in hexadecimal.

    `bento` names the packaged model, `signature` the signature over every packaged file, `notebooks` each hop's executed
    notebook, `parity` whether the served format provably predicts the same (None where the trained file itself is served),
    `accepted` whether a reviewer has accepted an INCONCLUSIVE fairness verdict, `made` when the bento was built (ISO 8601).
    `contract` is None where no data contract was kept.
    """

    model: str
    service: str
    zone: str
    bento: str
    format: str
    signature: str | None
    dataset: str
    contract: str | None
    contract_passed: bool
    notebooks: Mapping[str, str]
    revision: str
    metrics: Mapping[str, Estimate]
    fairness: Verdict
    fairness_reasons: tuple[str, ...]
    accepted: bool
    parity: bool | None
    made: str

    @property
    def digest(self) -> str:
        """The sha256 of the bundle's canonical JSON."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


def bento_of(model: str, control: Control) -> BentoBuild:
    """The newest package of a model version.

    Raises:
        NotFound: there is no such model version, or it is not packaged.
    """
    version = control.get(model)
    if not isinstance(version, ModelVersion):
        raise NotFound(f"{model} is a {version.kind}, not a model version", hint="List them: workbench models")
    parents = [version, *control.all(kind="acceptance", parent=model)]
    bentos = [bento for parent in parents for bento in control.all(kind="bento", parent=parent.id)]
    if not bentos:
        raise NotFound(f"{model} is not packaged yet", hint=f"Package it first: workbench package {model}")
    return max((bento for bento in bentos if isinstance(bento, BentoBuild)), key=lambda bento: bento.at)


def bundle_of(model: str, control: Control) -> Bundle:
    """The bundle of a packaged model version.

    Raises:
        NotFound: there is no such model version, it is not packaged, or its chain lacks a record.
    """
    bento = bento_of(model, control)
    chain = list(_chain(bento, control))
    version, review, candidate = _one(chain, ModelVersion), _one(chain, FairnessReview), _one(chain, Candidate)
    prepared, dataset = _one(chain, PreparedData), _one(chain, DatasetVersion)
    hops: Mapping[str, ByNotebook] = {"prepare": prepared, "train": candidate, "review": review, "choose": version}
    contract = prepared.saved.get("contract")
    return Bundle(
        model=model,
        service=bento.tag.partition(":")[0],
        zone=bento.zone,
        bento=bento.digest,
        format=bento.format,
        signature=bento.signature,
        dataset=dataset.digest,
        contract=None if contract is None else contract.digest,
        contract_passed=contract is not None and bool(prepared.contract.get("rows")),
        notebooks={hop: record.notebook.executed for hop, record in hops.items()},
        revision=bento.revision,
        metrics=candidate.metrics,
        fairness=review.verdict,
        fairness_reasons=review.reasons,
        accepted=bool(control.all(kind="acceptance", parent=model)),
        parity=None if bento.format == "skops" else bento.parity.get("passed") is True,
        made=bento.at,
    )


def _chain(record: Record, control: Control) -> Iterator[Record]:
    yield record
    while record.parent is not None:
        record = control.get(record.parent)
        yield record


def _one(chain: Sequence[Record], kind: type[Kind]) -> Kind:
    for record in chain:
        if isinstance(record, kind):
            return record
    raise NotFound(f"{chain[0].id} does not come from a {kind.kind}", hint=f"See: workbench trace {chain[0].id}")
