"""What the execution counts of a notebook tell about the order in which its cells ran. Called by `trust`.

Counts cannot tell that a cell was edited and not run again; where outputs contradict the source, that is told.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from workbench.execution.checking.document import Cell, Document
from workbench.execution.checking.python_cells import python_of
from workbench.execution.checking.report import Finding, finding

__all__ = ["find_order_faults"]


def find_order_faults(document: Document) -> Iterator[Finding]:
    """Findings from counts and from the outputs' own counts; a notebook that was stripped has none."""
    if not document.was_run:
        return
    cells = [cell for cell in document.code if cell.runs]
    counted = [cell for cell in cells if cell.count is not None]
    if counted:
        yield from _sequence(counted)
        last = counted[-1].number
        for cell in cells:
            if cell.count is None and cell.number < last:
                yield finding("not-executed", "never ran, although a cell below it did", cell=cell)
    kept = [cell for cell in document.code if cell.outputs and cell.count is None]
    if kept:
        also = f", and {len(kept) - 1} more cells too" if len(kept) > 1 else ""
        yield finding("outputs-without-counts", f"has outputs, but no count that says when it ran{also}", cell=kept[0])
    for cell in document.code:
        yield from _contradictions(cell, document.language)


def _sequence(counted: list[Cell]) -> Iterator[Finding]:
    """Counts that do not go 1, 2, 3 … down the page."""
    by_count: dict[int, Cell] = {}
    highest = counted[0]
    for cell in counted:
        count = cell.count or 0
        if count in by_count:
            other = by_count[count]
            yield finding("mixed-sessions", f"carries count {count}, as cell {other.number} does: two kernels", cell=cell)
        elif count < (highest.count or 0):
            message = f"ran as [{count}], before cell {highest.number} above it, which ran as [{highest.count}]"
            yield finding("out-of-order", message, cell=cell)
        by_count.setdefault(count, cell)
        highest = max(highest, cell, key=lambda one: one.count or 0)
    missing = [(before, after) for before, after in pairwise([0, *sorted(by_count)]) if after > before + 1]
    if missing:
        before, after = missing[0]
        gap = f"{before + 1}" if after == before + 2 else f"{before + 1} to {after - 1}"
        more = f", and {len(missing) - 1} more gaps" if len(missing) > 1 else ""
        yield finding(
            "skipped-counts",
            f"count {gap} is missing before it{more}: cells ran more than once, or were removed",
            cell=by_count[after],
        )


def _contradictions(cell: Cell, language: str) -> Iterator[Finding]:
    """Outputs that cannot come from the source as it stands."""
    for number, output in enumerate(cell.outputs, start=1):
        kind, count = output.get("output_type"), output.get("execution_count")
        if kind == "error" and not cell.may_raise:
            yield finding("saved-error", f"was saved with its {output.get('ename')}", cell=cell, output=number)
        if kind != "execute_result":
            continue
        if cell.count is not None and count is not None and count != cell.count:
            message = f"ran as [{cell.count}], but shows the result of [{count}]"
            yield finding("edited-since-run", message, cell=cell, output=number)
        elif language == "python" and cell.source.strip() and not _can_show_a_result(cell.source):
            message = "shows a result, but no line of it is an expression: it was edited after it ran"
            yield finding("edited-since-run", message, cell=cell, output=number)
    if cell.outputs and not cell.source.strip():
        yield finding("edited-since-run", "is empty, but shows outputs", cell=cell)


def _can_show_a_result(source: str) -> bool:
    """Whether the cell has a statement whose value IPython would show; what cannot be read counts as one."""
    try:
        tree = ast.parse(python_of(source).code)
    except SyntaxError:
        return True
    return any(isinstance(statement, ast.Expr) for statement in tree.body)
