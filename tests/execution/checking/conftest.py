"""Small notebooks with the traces of a run, written cell by cell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.execution.checking import Finding, Report, check_notebook

PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}

Write = Callable[..., Path]
Judge = Callable[..., Report]


def cell(source: str, count: int | None = None, *outputs: dict[str, Any], tags: tuple[str, ...] = ()) -> dict[str, Any]:
    """A code cell as the format has it; its id is added when the notebook is written."""
    return {
        "cell_type": "code",
        "source": source.splitlines(keepends=True),
        "execution_count": count,
        "outputs": list(outputs),
        "metadata": {"tags": list(tags)} if tags else {},
    }


def prose(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def printed(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def shown(count: int, **data: Any) -> dict[str, Any]:
    """A result by media type, with `_` for the slash: `text_plain`."""
    named = {media.replace("_", "/", 1): value for media, value in data.items()}
    return {"output_type": "execute_result", "execution_count": count, "data": named, "metadata": {}}


def raised(name: str) -> dict[str, Any]:
    return {"output_type": "error", "ename": name, "evalue": "no", "traceback": [f"{name}: no"]}


def rules(report: Report) -> list[str]:
    return [found.rule for found in report.findings]


def only(report: Report, rule: str) -> Finding:
    (found,) = (found for found in report.findings if found.rule == rule)
    return found


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a notebook of cells; a text is a code cell that never ran."""

    def write(*cells: dict[str, Any] | str, metadata: dict[str, Any] | None = None, minor: int = 5) -> Path:
        whole = [cell(given) if isinstance(given, str) else given for given in cells]
        if minor >= 5:
            whole = [{"id": f"cell-{number}", **given} for number, given in enumerate(whole, start=1)]
        content = {
            "cells": whole,
            "metadata": PYTHON if metadata is None else metadata,
            "nbformat": 4,
            "nbformat_minor": minor,
        }
        path = tmp_path / "notebook.ipynb"
        path.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
        return path

    return write


@pytest.fixture
def judge(write: Write) -> Judge:
    """Writes a notebook and checks it without running it."""

    def judge(*cells: dict[str, Any] | str, metadata: dict[str, Any] | None = None, minor: int = 5) -> Report:
        return check_notebook(write(*cells, metadata=metadata, minor=minor))

    return judge
