"""The competitors of a choice, read from their records. Called by the runner for 04_choose and by the session interactively."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.records import Candidate, FairnessReview, Record
from workbench.registry.choice import Entry

__all__ = ["entries_of"]


def entries_of(records: Iterable[Record]) -> list[Entry]:
    """One entry for each reviewed candidate among the records, in the order in which they were reviewed."""
    listed = list(records)
    candidates = {record.id: record for record in listed if isinstance(record, Candidate)}
    return [
        Entry(
            candidate=review.parent,
            name=candidates[review.parent].name,
            review=review.id,
            verdict=review.verdict,
            metrics=candidates[review.parent].metrics,
        )
        for review in listed
        if isinstance(review, FairnessReview) and review.parent in candidates
    ]
