"""What a trust check says: the rules and their weight, findings with their place, the score. Made by the rules, read by gates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from workbench.errors import bounded
from workbench.execution.checking.document import Cell

__all__ = ["RULES", "Finding", "Report", "Severity", "finding", "score_of"]

Severity = Literal["error", "warning", "note"]

WEIGHTS: Mapping[Severity, int] = {"error": 25, "warning": 5, "note": 0}
"""How many of the 100 points a finding takes."""

RULES: Mapping[str, Severity] = {
    # the order in which cells ran
    "out-of-order": "warning",  # a cell ran before a cell above it
    "skipped-counts": "warning",  # execution counts leave numbers out: something ran that is no longer seen
    "mixed-sessions": "warning",  # two cells carry the same count, so they ran in different kernels
    "not-executed": "warning",  # a cell never ran, although one below it did
    "outputs-without-counts": "warning",  # outputs are kept, but not when they were made
    "edited-since-run": "warning",  # a cell's outputs cannot come from its source
    "saved-error": "error",  # the notebook was saved with a cell that raised
    # names
    "syntax": "error",  # a cell is not Python
    "undefined-name": "error",  # no cell defines the name
    "defined-later": "error",  # only a cell further down defines the name
    "deleted-name": "error",  # a cell further up deleted the name
    "hidden-state": "warning",  # a value comes from another session, or is named by an execution count
    "cannot-tell": "note",  # a star import or a magic may define names that nobody can see
    # a clean rerun
    "rerun-failed": "error",
    "not-reproduced": "error",  # a text, a number or the kind of an output differs
    "picture-differs": "warning",  # pictures differ, which fonts and libraries alone can cause
    # what should not be shared
    "secret": "error",  # a known format, or a value given to a name such as api_key
    "possible-secret": "warning",  # a random-looking text, or a password without a digit
    "personal-data": "error",  # bank account, payment card or identity number with a right checksum
    "possible-personal-data": "warning",  # e-mail address, telephone number, or a number that has no checksum
    # the file
    "invalid-format": "error",  # the file breaks the schema of its notebook format
    "parameters-cells": "error",  # several cells are tagged parameters, and only the first would be replaced
    "cell-ids": "warning",  # a cell id is missing or used twice
    "kernel": "warning",  # the kernel is not named, not installed, or of another language than the cells
    "other-version": "note",  # the outputs were made by another minor version of Python
    "machine-path": "warning",  # a path that exists on one person's machine only
    "foreign-run": "warning",  # papermill's metadata tell of a run that this file does not show
    "widget-state": "warning",  # widget state without a widget
    "large-output": "warning",  # the outputs of a cell take more than 1 MB
    "empty-cells": "note",  # the notebook ends in empty cells
}
"""Every rule and its severity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One doubt. `cell` counts all cells from 1, `line` the lines of the cell's source, `output` the outputs of the cell."""

    rule: str
    severity: Severity
    message: str
    cell: int | None = None
    cell_id: str = ""
    line: int | None = None
    output: int | None = None

    @property
    def place(self) -> str:
        """Where it is, in words: `cell 3 (fit), line 2`."""
        if self.cell is None:
            return "notebook"
        named = f"cell {self.cell} ({self.cell_id})" if self.cell_id else f"cell {self.cell}"
        output = f", output {self.output}" if self.output is not None else ""
        return f"{named}{output}" + (f", line {self.line}" if self.line is not None else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The judgement on one notebook: a score from 0 to 100, and the findings, worst first."""

    notebook: str
    score: int
    rerun: bool
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(found.severity == "error" for found in self.findings)

    def trusted(self, minimum: int = 0) -> bool:
        """Whether there is no error and the score is at least `minimum`."""
        return not self.errors and self.score >= minimum


def finding(rule: str, message: str, *, cell: Cell | None = None, line: int | None = None, output: int | None = None) -> Finding:
    """A finding of a rule of `RULES`, with a message that is cut to a bearable length."""
    return Finding(
        rule=rule,
        severity=RULES[rule],
        message=bounded(message, 300),
        cell=cell.number if cell else None,
        cell_id=cell.id if cell else "",
        line=line,
        output=output,
    )


def score_of(findings: Iterable[Finding]) -> int:
    """100 less 25 for each error and 5 for each warning, and never below 0; notes cost nothing."""
    return max(0, 100 - sum(WEIGHTS[found.severity] for found in findings))
