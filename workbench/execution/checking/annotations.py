"""Findings as annotations on a pull request: the workflow commands of GitHub Actions. Called by `workbench check --github`.

Syntax and escaping: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from workbench.execution.checking.report import Finding, Report, Severity

__all__ = ["annotation_lines"]

COMMANDS: Mapping[Severity, str] = {"error": "error", "warning": "warning", "note": "notice"}
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def annotation_lines(report: Report) -> Iterator[str]:
    """One workflow command for each finding, at the line of the notebook's file where the cell's source line stands.

    Files are named relative to the working directory, which in a workflow is the root of the repository.
    """
    path = Path(report.notebook)
    places = _file_lines(path.read_text(encoding="utf-8"))
    name = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    for found in report.findings:
        line = _line(found, places)
        where = f"file={_property(name.as_posix())},line={line},title={_property(found.rule)}"
        yield f"::{COMMANDS[found.severity]} {where}::{_data(f'{found.place}: {found.message}')}"


def _line(found: Finding, places: Mapping[tuple[int, int], int]) -> int:
    """The line in the file: of the source line, else of the cell, else the first."""
    cell = found.cell or 0
    return places.get((cell, found.line or 0)) or places.get((cell, 0), 1)


def _file_lines(text: str) -> dict[tuple[int, int], int]:
    """Where each cell (line 0) and each line of its source stand in the JSON text; cells and lines count from 1."""
    places: dict[tuple[int, int], int] = {}
    path: list[str | int] = []
    line, end, key = 1, 0, ""
    for token in TOKEN.finditer(text):
        line, end = line + text.count("\n", end, token.start()), token.start()
        mark = token[0]
        if mark in "]}":
            path.pop()
        elif mark == ",":
            if path and isinstance(path[-1], int):
                path[-1] += 1
        elif mark == ":":
            path[-1] = key
        else:
            match path:
                case ["cells", int(cell)] if mark == "{":
                    places[cell + 1, 0] = line
                case ["cells", int(cell), "source", int(row)]:
                    places[cell + 1, row + 1] = line
                case ["cells", int(cell), "source"] if mark.startswith('"'):
                    places[cell + 1, 0] = line
            key = mark[1:-1] if mark.startswith('"') else key
            if mark in "[{":
                path.append(0 if mark == "[" else "")
    return places


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
