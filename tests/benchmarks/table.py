"""What a benchmark found, as a table for people or as JSON for programs; every benchmark returns `Measurement`s."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

NUMBERS = ("ours", "peer", "ratio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One path against its peer.

    `ours` and `peer` are in the unit that `path` names, `goal` says which way round `ratio` is, and `limit` is what physics
    leaves at best: a number, and in words what it is the time of.
    """

    path: str
    ours: float
    peer: float
    ratio: float
    goal: str
    limit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Measurement):
    """A measurement and where it was taken. These are the columns of the table and the keys of the JSON."""

    machine: str


def on(machine: str, measured: Measurement) -> Row:
    """Notes where a measurement was taken."""
    return Row(**asdict(measured), machine=machine)


def show(rows: Sequence[Row], *, as_json: bool) -> None:
    """Prints the rows on standard output."""
    if as_json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False) + "\n")
        return
    table = Table(header_style="bold", show_lines=True)
    for name in Row.__dataclass_fields__:
        table.add_column(name, justify="right" if name in NUMBERS else "left", no_wrap=name in NUMBERS, overflow="fold")
    for row in rows:
        table.add_row(*(_shown(value) for value in asdict(row).values()))
    Console(highlight=False).print(table)


def _shown(value: object) -> str:
    """A number with three digits that count, a text as it is."""
    if not isinstance(value, float):
        return escape(str(value))
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
