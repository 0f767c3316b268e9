"""The chain of the journey for any id: up to its dataset version, and down to the predictions. Called by `workbench trace`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import NotFound
from workbench.monitoring.windows import find_request, read_predictions
from workbench.orchestration.describing import describe
from workbench.orchestration.watching import answering_bento
from workbench.records import Deployment, Record
from workbench.settings import Layout
from workbench.store import Control

__all__ = ["Link", "trace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One line of a trace: a record (or a prediction) and how deep it stands below the dataset version."""

    kind: str
    id: str
    parent: str | None
    at: str
    depth: int
    asked: bool
    summary: str


def trace(wanted: str, layout: Layout, control: Control) -> tuple[Link, ...]:
    """Everything that a record, run or served request came from and led to, dataset version first.

    Args:
        wanted: a record's id, a run's id, or the request id of a served prediction.
        layout: the project, whose prediction logs are searched.
        control: its control database.

    Raises:
        NotFound: nothing has this id; the message names the closest record.
    """
    by_parent = _by_parent(control.all())
    record = control.find(wanted)
    if record is not None:
        return _around(record, layout, control, by_parent)
    of_run = control.all(run=wanted)
    if of_run:
        inside = {link.id: link for item in of_run for link in _around(item, layout, control, by_parent)}
        return tuple(sorted(inside.values(), key=lambda link: (link.depth, link.at)))
    prediction = find_request(layout.predictions, wanted) if layout.predictions.is_dir() else None
    if prediction is None:
        raise _unknown(wanted, control)
    return _of_prediction(prediction, layout, control)


def _unknown(wanted: str, control: Control) -> NotFound:
    try:
        control.get(wanted)
    except NotFound as error:
        return NotFound(f"no record, run or served request {wanted!r}", hint=error.hint)
    raise AssertionError(wanted)


def _of_prediction(prediction: Mapping[str, Any], layout: Layout, control: Control) -> tuple[Link, ...]:
    bento = answering_bento(control, str(prediction["digest"]))
    deployments = [
        record
        for record in control.all(kind="deployment", parent=bento.id)
        if isinstance(record, Deployment) and find_request(layout.root / record.predictions, str(prediction["request_id"]))
    ]
    source: Record = deployments[-1] if deployments else bento
    chain = _up(source, control)
    answer = prediction["probabilities"] or prediction["prediction"]
    leaf = Link(
        kind="prediction",
        id=str(prediction["request_id"]),
        parent=source.id,
        at=str(prediction["time"]),
        depth=len(chain),
        asked=True,
        summary=f"row {prediction['row']} answered {prediction['prediction']} ({answer})",
    )
    return (*(_link(record, depth, asked=False) for depth, record in enumerate(chain)), leaf)


def _around(record: Record, layout: Layout, control: Control, by_parent: Mapping[str, list[Record]]) -> tuple[Link, ...]:
    chain = _up(record, control)
    links = [_link(item, depth, asked=item.id == record.id) for depth, item in enumerate(chain)]
    links += _down(record, len(chain), layout, by_parent)
    return tuple(links)


def _up(record: Record, control: Control) -> list[Record]:
    chain = [record]
    while chain[0].parent is not None:
        chain.insert(0, control.get(chain[0].parent))
    return chain


def _down(record: Record, depth: int, layout: Layout, by_parent: Mapping[str, list[Record]]) -> list[Link]:
    links: list[Link] = []
    for child in by_parent.get(record.id, ()):
        links.append(_link(child, depth, asked=False))
        links += _down(child, depth + 1, layout, by_parent)
    if isinstance(record, Deployment):
        links += _prediction_log(record, depth, layout)
    return links


def _prediction_log(deployment: Deployment, depth: int, layout: Layout) -> list[Link]:
    try:
        frame = read_predictions(layout.root / deployment.predictions)
    except NotFound:
        return []
    first, last = frame.item(0, "time"), frame.item(-1, "time")
    return [
        Link(
            kind="predictions",
            id=str(Path(deployment.predictions)),
            parent=deployment.id,
            at=last.isoformat(),
            depth=depth,
            asked=False,
            summary=f"{frame.height:,} predictions from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC",
        )
    ]


def _by_parent(records: Iterable[Record]) -> dict[str, list[Record]]:
    children: dict[str, list[Record]] = {}
    for record in records:
        if record.parent is not None:
            children.setdefault(record.parent, []).append(record)
    return children


def _link(record: Record, depth: int, *, asked: bool) -> Link:
    return Link(
        kind=record.kind, id=record.id, parent=record.parent, at=record.at, depth=depth, asked=asked, summary=describe(record)
    )
