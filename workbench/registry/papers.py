"""All that is on file about a registered model: its records, the decisions on it, the audit about both. Asked for evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.records import Record
from workbench.registry.bundle import bento_of
from workbench.registry.standings import decisions_on
from workbench.store import Control
from workbench.store.chain import Entry

__all__ = ["Papers", "papers_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """The records, each after its parent; the audit's entries about them, oldest first, and the newest of the whole audit.

    `people` are the names behind the pseudonyms in the entries, of who is not forgotten.
    """

    records: tuple[Record, ...]
    entries: tuple[Entry, ...]
    head: Entry | None
    people: Mapping[str, str]


def papers_of(model: str, control: Control) -> Papers:
    """The papers of a packaged model.

    Raises:
        NotFound: there is no such model version, or it is not packaged.
    """
    record: Record = bento_of(model, control)
    wanted = {record.id}
    while record.parent is not None:
        record = control.get(record.parent)
        wanted.add(record.id)
    wanted |= {decision.id for decision in decisions_on(model, control)}
    wanted |= {acceptance.id for acceptance in control.all(kind="acceptance", parent=model)}
    wanted |= {release.id for release in control.all(kind="release") if getattr(release, "model", None) == model}
    entries = tuple(control.entries(subjects=wanted))
    acted = {entry.actor for entry in entries}
    return Papers(
        records=tuple(found for found in control.all() if found.id in wanted),
        entries=entries,
        head=next(iter(control.newest_entries(1)), None),
        people={pseudonym: name for pseudonym, name in control.people().items() if pseudonym in acted},
    )
