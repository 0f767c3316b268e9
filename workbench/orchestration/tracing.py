"""The chain of the journey for any id: up to its dataset version, and down to the predictions. Called by `workbench trace`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench.errors import NotFound, did_you_mean
from workbench.monitoring.windows import find_request, read_predictions
from workbench.orchestration.describing import describe
from workbench.orchestration.watching import answering_bento
from workbench.records import Deployment, Record
from workbench.settings import Layout
from workbench.store import Control, Run

__all__ = ["Link", "trace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One line of a trace: a record, a prediction or a run without records, and how deep it stands below the dataset version."""

    kind: str
    id: str
    parent: str | None
    at: str
    depth: int
    asked: bool
    summary: str


def trace(wanted: str, layout: Layout, control: Control) -> tuple[Link, ...]:
    """Everything that a record, run or served request came from and led to, dataset version first.

    The links are a tree, depth first: each stands below the nearest link before it that is one less deep.

    Args:
        wanted: a record's id, a run's id, or the request id of a served prediction.
        layout: the project, whose prediction logs are searched.
        control: its control database.

    Raises:
        NotFound: nothing has this id; the message names the closest record.
    """
    records = {record.id: record for record in control.all()}
    asked = {record.id for record in records.values() if wanted in (record.id, record.run)}
    if asked:
        return _around(asked, records, layout)
    run = control.find_run(wanted)
    if run is not None:
        return (_of_run(run),)
    prediction = find_request(layout.predictions, wanted) if layout.predictions.is_dir() else None
    if prediction is None:
        raise NotFound(f"no record, run or served request {wanted!r}", hint=did_you_mean(wanted, records))
    return _of_prediction(prediction, records, layout, control)


def _around(asked: Collection[str], records: Mapping[str, Record], layout: Layout) -> tuple[Link, ...]:
    """The records asked for, all that they came from, and all that they led to."""
    children = _children(records.values())
    below = {found for record in asked for found in _below(record, children)}
    above = {found.id for record in asked for found in _up(records[record], records)}
    logs = {record: log for record in below if (log := _prediction_log(records[record], layout)) is not None}
    return _tree([records[record] for record in records if record in above | below], asked, logs)


def _tree(shown: Iterable[Record], asked: Collection[str], leaves: Mapping[str, Link]) -> tuple[Link, ...]:
    """Records that include every parent of theirs, depth first; of one parent, in the order they were added."""
    children = _children(shown)

    def walk(record: Record, depth: int) -> Iterator[Link]:
        yield Link(
            kind=record.kind,
            id=record.id,
            parent=record.parent,
            at=record.at,
            depth=depth,
            asked=record.id in asked,
            summary=describe(record),
        )
        for child in children.get(record.id, ()):
            yield from walk(child, depth + 1)
        if record.id in leaves:
            yield replace(leaves[record.id], depth=depth + 1)

    return tuple(link for root in children[None] for link in walk(root, 0))


def _children(records: Iterable[Record]) -> dict[str | None, list[Record]]:
    children: dict[str | None, list[Record]] = {}
    for record in records:
        children.setdefault(record.parent, []).append(record)
    return children


def _below(record: str, children: Mapping[str | None, list[Record]]) -> Iterator[str]:
    yield record
    for child in children.get(record, ()):
        yield from _below(child.id, children)


def _up(record: Record, records: Mapping[str, Record]) -> list[Record]:
    chain = [record]
    while chain[0].parent is not None:
        chain.insert(0, records[chain[0].parent])
    return chain


def _of_run(run: Run) -> Link:
    """A run that ended, or still is, before its first record."""
    summary = f"{run.state}: {run.reason}" if run.reason else run.state
    return Link(kind="run", id=run.id, parent=None, at=run.started, depth=0, asked=True, summary=summary)


def _of_prediction(
    prediction: Mapping[str, Any], records: Mapping[str, Record], layout: Layout, control: Control
) -> tuple[Link, ...]:
    request = str(prediction["request_id"])
    source: Record = answering_bento(control, str(prediction["digest"]))
    of_bento = [item for item in records.values() if isinstance(item, Deployment) and item.parent == source.id]
    for deployment in reversed(of_bento):  # whoever asks may use an id again: the newest answer is the one that was found
        if find_request(layout.root / deployment.predictions, request):
            source = deployment
            break
    answer = prediction["probabilities"] or prediction["prediction"]
    leaf = Link(
        kind="prediction",
        id=request,
        parent=source.id,
        at=str(prediction["time"]),
        depth=0,
        asked=True,
        summary=f"row {prediction['row']} answered {prediction['prediction']} ({answer})",
    )
    return _tree(_up(source, records), (), {source.id: leaf})


def _prediction_log(record: Record, layout: Layout) -> Link | None:
    """What a deployment answered, as one line; None for other records, and where nothing was asked."""
    if not isinstance(record, Deployment):
        return None
    try:
        frame = read_predictions(layout.root / record.predictions)
    except NotFound:
        return None
    first, last = frame.item(0, "time"), frame.item(-1, "time")
    return Link(
        kind="predictions",
        id=record.predictions,
        parent=record.id,
        at=last.isoformat(),
        depth=0,
        asked=False,
        summary=f"{frame.height:,} predictions from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC",
    )
