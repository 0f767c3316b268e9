"""How commands print: tables for people on a terminal, one JSON document for programs, errors always in the same shape."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from workbench.errors import WorkbenchError

__all__ = ["console", "errors", "print_done", "print_error", "print_json", "print_next", "print_table"]

WHOLE = ("id", "hop", "state", "started", "finished", "at", "time")
"""Columns whose cells are never broken over lines."""

PIPED_WIDTH = 240
"""Where no terminal sets a width, wide enough that no id is broken."""

console = Console(highlight=False, soft_wrap=True, emoji=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
errors = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def print_done(what: str) -> None:
    """What a command has done."""
    console.print(f"[green]✓[/] {escape(what)}")


def print_next(how: str) -> None:
    """What to do after a command."""
    console.print(f"[cyan]next[/]  {escape(how)}")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A table on standard output; columns are as wide as their content."""
    table = Table(title=title and escape(title), title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in WHOLE)
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(table)


def print_error(error: WorkbenchError, *, as_json: bool) -> None:
    """An error on standard error, or as JSON on standard output when that was asked for."""
    if as_json:
        print_json(error.as_json())
        return
    errors.print(f"[bold red]error[/] {escape(error.message)}")
    for problem in error.problems:
        errors.print(f"  • {escape(problem)}")
    if error.left_out:
        errors.print(f"  … and {error.left_out} more")
    if error.hint:
        errors.print(f"[cyan]next[/]  {escape(error.hint)}")
