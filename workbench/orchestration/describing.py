"""One line about a record, for traces and tables. Called by `tracing` and the command line."""

from __future__ import annotations

from workbench.records import (
    Acceptance,
    BentoBuild,
    Candidate,
    DatasetVersion,
    Deployment,
    FairnessReview,
    ModelVersion,
    MonitoringReport,
    PreparedData,
    Record,
)

__all__ = ["describe"]


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
            return {"chosen": "chosen", "waiting": "waits for a person", "none": "no candidate passed"}[record.state]
        case Acceptance():
            return f"accepted by {record.actor}: {record.reason}"
        case BentoBuild():
            return f"{record.tag} ({record.format}), sha256 {record.digest[:12]}"
        case Deployment():
            return f"served at {record.url}"
        case MonitoringReport():
            return f"{len(record.drifted)} drifted, {len(record.schema)} schema problems, {record.window.get('rows', 0):,} rows"
    raise AssertionError(record.kind)
