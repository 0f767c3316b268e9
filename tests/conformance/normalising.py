"""What may differ between two runs of one notebook by any engine, taken out before two executed notebooks are compared.

Nothing else is touched: memory addresses, times, process ids, random ids, names of temporary files, and where a stream of
text happened to be cut into messages. Random ids are numbered in the order in which they appear, so that two places that
named one thing still name one thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["normalised", "normalised_text"]

RULES = (
    (re.compile(r"0x[0-9a-fA-F]{6,16}\b"), "0x<address>"),
    (re.compile(r"ipykernel_\d+"), "ipykernel_<pid>"),
    (re.compile(r"\btmp[a-z0-9_]{8}\b"), "<temporary>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), "<moment>"),
    (re.compile(r"(CPU times|Wall time): [^\n]*"), r"\1: <time>"),  # %time
    (re.compile(r"[\d.]+ [nμm]?s ± [\d.]+ [nμm]?s per loop"), "<time> per loop"),  # %timeit
    (re.compile(r"\[\d\d:\d\d(<|&lt;|,)[^\]\n]*(it/s|s/it|/s|s/\w+)"), "[<time>"),  # tqdm
)
RANDOM = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|(?<![0-9a-f])[0-9a-f]{32}\b|\bT_[0-9a-f]{5}(?=[\s_\"])"
)
"""UUIDs (RFC 9562) with and without hyphens, and the table ids of pandas' Styler."""

DRAWN = re.compile(r"(?<=[\"#])[a-zA-Z]{1,12}[0-9a-f]{10}(?=[\")])")
"""Ids that matplotlib makes up in a drawing, in its `id` attributes and in references to them."""

CELL_ID = re.compile(r"[0-9a-f]{8}")
"""An id that nbformat drew for a cell without one."""

STATES = "application/vnd.jupyter.widget-state+json"
TIMES = {"start_time", "end_time", "duration"}


def normalised(notebook: dict[str, Any]) -> dict[str, Any]:
    """A copy of an executed notebook, as nbformat's JSON, without what differs from run to run.

    Widget states become a list in the order in which the cells show them, then by content: their keys are random.
    The key `workbench` of our engine's own metadata is left out; the default engine has no such key.
    """
    ids: dict[str, str] = {}
    cells = [_cell(_walked(cell, ids)) for cell in notebook["cells"]]
    metadata = {key: value for key, value in notebook["metadata"].items() if key not in {"widgets", "workbench"}}
    metadata = _without_times(_walked(metadata, ids))
    if "widgets" in notebook["metadata"]:
        metadata["widgets"] = _states(notebook["metadata"]["widgets"][STATES], ids)
    return {"cells": cells, "metadata": metadata, "nbformat": [notebook["nbformat"], notebook["nbformat_minor"]]}


def normalised_text(text: str, ids: dict[str, str] | None = None) -> str:
    """One text without addresses, times, process ids and temporary names; random ids are numbered in `ids`."""
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    if ids is not None:
        text = RANDOM.sub(lambda found: ids.setdefault(found[0], f"<id {len(ids) + 1}>"), text)
    return text


def _walked(value: Any, ids: dict[str, str]) -> Any:
    """Normalises every text inside, in a fixed order."""
    match value:
        case str():
            return normalised_text(value, ids)
        case list():
            return [_walked(each, ids) for each in value]
        case dict():
            return {
                key: _walked(_drawing(each, ids) if key == "image/svg+xml" else each, ids) for key, each in sorted(value.items())
            }
    return value


def _drawing(drawn: Any, ids: dict[str, str]) -> Any:
    text = "".join(drawn) if isinstance(drawn, list) else drawn
    return DRAWN.sub(lambda found: ids.setdefault(found[0], f"<id {len(ids) + 1}>"), text)


def _cell(cell: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in cell["metadata"].items() if key not in {"execution", "workbench"}}
    changed = {**cell, "metadata": _without_times(metadata), "source": "".join(cell["source"])}
    if CELL_ID.fullmatch(cell.get("id", "")):
        changed["id"] = "<id>"
    if "outputs" in cell:
        changed["outputs"] = list(_joined(cell["outputs"]))
    return changed


def _joined(outputs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Neighbouring texts of one stream become one: a kernel cuts them by its clock, every 0.2 s."""
    last: dict[str, Any] | None = None
    for output in outputs:
        if output["output_type"] != "stream":
            if last is not None:
                yield last
            last = None
            yield output
            continue
        text = "".join(output["text"])
        if last is not None and last["name"] == output["name"]:
            last["text"] += text
        else:
            if last is not None:
                yield last
            last = {**output, "text": text}
    if last is not None:
        yield last


def _without_times(metadata: dict[str, Any]) -> dict[str, Any]:
    if "papermill" in metadata:
        kept = {key: value for key, value in metadata["papermill"].items() if key not in TIMES}
        return {**metadata, "papermill": kept}
    return metadata


def _states(saved: dict[str, Any], ids: dict[str, str]) -> list[Any]:
    """The states that cells show, each followed by those it names; then the rest, ordered by what they hold."""
    states = dict(saved["state"])
    ordered = []
    while known := [identity for identity in ids if identity in states]:
        ordered += [{"id": ids[identity], **_walked(states.pop(identity), ids)} for identity in known]
    rest = [RANDOM.sub("<id>", repr(_walked(state, {}))) for state in states.values()]
    return [saved["version_major"], saved["version_minor"], *ordered, *sorted(rest)]
