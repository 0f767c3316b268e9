"""One line about a record, for traces and tables. Called by `tracing` and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workbench.records import (
    KINDS,
    Acceptance,
    Approval,
    BentoBuild,
    Candidate,
    DatasetVersion,
    Deployment,
    FairnessReview,
    ModelVersion,
    MonitoringReport,
    PreparedData,
    Record,
    Release,
    Waiver,
)

__all__ = ["HOP_WORDS", "describe", "in_journey_order", "seconds_of"]

HOP_WORDS: Mapping[str, str] = {
    "dataset": "dataset",
    "prepared": "prepare",
    "candidate": "train",
    "review": "review",
    "model": "choose",
    "acceptance": "choose",
    "bento": "package",
    "approval": "release",
    "waiver": "release",
    "release": "release",
    "deployment": "release",
    "report": "watch",
}
"""The word of the journey for each kind of record."""


def in_journey_order(records: Iterable[Record]) -> list[Record]:
    """Records by hop, and within a hop by time: parallel steps end in any order."""
    hops = list(KINDS)
    return sorted(records, key=lambda record: (hops.index(record.kind), record.at))


def seconds_of(record: Record, hops: Mapping[str, float]) -> float | None:
    """How long a record took: its notebook's own time, or that of its hop where no notebook ran."""
    notebook = getattr(record, "notebook", None)
    return float(notebook.seconds) if notebook is not None else hops.get(HOP_WORDS[record.kind])


def describe(record: Record) -> str:  # noqa: PLR0911 - one case for each kind of record
    """What a record says, in a line."""
    match record:
        case DatasetVersion():
            return f"{record.name}: {record.rows:,} rows × {len(record.columns)} columns, sha256 {record.digest[:12]}"
        case PreparedData():
            return ", ".join(f"{rows:,} {split} rows" for split, rows in record.rows.items())
        case Candidate():
            first = next(iter(record.metrics.items()), None)
            return f"{record.name}" + (f": {first[0]} {first[1].value:.4g}" if first and first[1].value is not None else "")
        case FairnessReview():
            return f"{record.verdict} on {record.metric}"
        case ModelVersion():
            return {"chosen": "chosen", "waiting": "a person must accept it", "none": "no candidate passed"}[record.state]
        case Acceptance():
            return f"accepted by {record.actor}: {record.reason}"
        case BentoBuild():
            return f"{record.tag} ({record.format}), sha256 {record.digest[:12]}"
        case Approval():
            verb = "approved" if record.decision == "approve" else "rejected"
            return f"{verb} by {record.actor} as {record.role}" + (f": {record.comment}" if record.comment else "")
        case Waiver():
            return f"{record.actor} waived {record.gate} until {record.expires[:10]}: {record.reason}"
        case Release():
            moved = "came back to" if record.rollback else "moved to"
            instead = f" in place of {record.previous}" if record.previous else ""
            return f"{moved} {record.stage} of {record.service}, generation {record.generation}{instead}, by {record.actor}"
        case Deployment():
            return f"served at {record.url}"
        case MonitoringReport():
            return f"{len(record.drifted)} drifted, {len(record.schema)} schema problems, {record.window.get('rows', 0):,} rows"
    raise AssertionError(record.kind)
