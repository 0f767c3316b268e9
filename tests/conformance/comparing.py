"""Compares two executed notebooks cell by cell, and what the caller of papermill saw. Used by `corpus`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.conformance.normalising import normalised, normalised_text

__all__ = ["Compared", "Difference", "compare"]

LONGEST = 160  # characters of a value that a report quotes


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where two runs differ: a cell's id or position, `metadata`, `error`, or a number of cells."""

    place: str
    what: str
    stock: str
    ours: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A notebook's code cells, how many of them are equal, and every difference, also outside of code cells."""

    name: str
    cells: int
    equal: int
    differences: tuple[Difference, ...]


def compare(name: str, stock: dict[str, Any], ours: dict[str, Any]) -> Compared:
    """Compares two runs of one notebook.

    Args:
        name: the notebook's name in the report.
        stock: `{"notebook": nbformat JSON or None, "error": description or None}` of the default engine.
        ours: the same of our engine.
    """
    differences = list(_errors(stock["error"], ours["error"]))
    if stock["notebook"] is None or ours["notebook"] is None:
        if (stock["notebook"] is None) != (ours["notebook"] is None):
            differences.append(_difference("notebook", "written", stock["notebook"] is not None, ours["notebook"] is not None))
        return Compared(name=name, cells=0, equal=0, differences=tuple(differences))
    first, second = normalised(stock["notebook"]), normalised(ours["notebook"])
    differences += _maps("metadata", first["metadata"], second["metadata"])
    if first["nbformat"] != second["nbformat"]:
        differences.append(_difference("metadata", "nbformat", first["nbformat"], second["nbformat"]))
    if len(first["cells"]) != len(second["cells"]):
        differences.append(_difference("cells", "count", len(first["cells"]), len(second["cells"])))
    cells = equal = 0
    for position, left in enumerate(first["cells"]):
        right = second["cells"][position] if position < len(second["cells"]) else {}
        found = list(_maps(_place(position, left), left, right))
        differences += found
        if left["cell_type"] == "code":
            cells, equal = cells + 1, equal + (not found)
    return Compared(name=name, cells=cells, equal=equal, differences=tuple(differences))


def _place(position: int, cell: dict[str, Any]) -> str:
    identity = cell.get("id", "<id>")
    return str(position) if identity == "<id>" else str(identity)


def _maps(place: str, stock: dict[str, Any], ours: dict[str, Any]) -> list[Difference]:
    """One difference for each key; lists, such as outputs, are quoted from where they begin to differ."""
    found = []
    for key in sorted(stock.keys() | ours.keys()):
        left, right = stock.get(key), ours.get(key)
        if left == right:
            continue
        if isinstance(left, list) and isinstance(right, list):
            first = next(
                (n for n, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]), min(len(left), len(right))
            )
            found.append(_difference(place, f"{key}[{first}]", left[first : first + 1], right[first : first + 1]))
        else:
            found.append(_difference(place, key, left, right))
    return found


def _errors(stock: dict[str, Any] | None, ours: dict[str, Any] | None) -> list[Difference]:
    left, right = (_error(each) for each in (stock, ours))
    return [] if left == right else [_difference("error", "seen by the caller", left, right)]


def _error(error: dict[str, Any] | None) -> Any:
    return None if error is None else json.loads(normalised_text(json.dumps(error, ensure_ascii=False), {}))


def _difference(place: str, what: str, stock: object, ours: object) -> Difference:
    """Quotes both values from shortly before they begin to differ."""
    left, right = (json.dumps(each, ensure_ascii=False, sort_keys=True) for each in (stock, ours))
    same = next((n for n, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]), min(len(left), len(right)))
    start = max(0, same - 40)
    return Difference(place=place, what=what, stock=left[start : start + LONGEST], ours=right[start : start + LONGEST])
