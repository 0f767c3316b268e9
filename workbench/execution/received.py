"""What the runner of a notebook receives from a warm kernel, and what it makes of it. Used by `client`."""

from __future__ import annotations

import datetime
import json
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nbformat import NotebookNode, ValidationError
from nbformat.v4 import output_from_msg
from nbformat.validator import get_validator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.execution.warm.wire import Frame

__all__ = ["FIELDS", "OutputLimits", "cause_of_end", "merge_streams", "message_in", "note_end", "output_in"]

FIELDS = {
    "execute_result": ("metadata", "data", "execution_count"),
    "stream": ("name", "text"),
    "display_data": ("metadata", "data"),
    "error": ("ename", "evalue", "traceback"),
}
"""What an output of each kind takes from its message, by nbformat's `output_from_msg`."""

A_NOTEBOOK: dict[str, Any] = {"metadata": {}, "nbformat": 4, "nbformat_minor": 5}
A_CELL: dict[str, Any] = {"cell_type": "code", "id": "any", "metadata": {}, "source": "", "execution_count": None}


class OutputLimits:
    """How many bytes of output a cell, and all cells of a notebook, may send."""

    def __init__(self, cell_bytes: int, notebook_bytes: int) -> None:
        self.cell_bytes, self.notebook_bytes = cell_bytes, notebook_bytes
        self.cell = self.notebook = 0

    def begin_cell(self) -> None:
        """A new cell has sent nothing yet."""
        self.cell = 0

    def exceeded(self, frame: Frame) -> str | None:
        """Counts a message; says which limit it breaks."""
        size = len(frame.payload) + sum(map(len, frame.buffers))
        self.cell += size
        self.notebook += size
        if self.cell > self.cell_bytes:
            return f"the cell has sent more than {self.cell_bytes:,} bytes of output"
        if self.notebook > self.notebook_bytes:
            return f"the notebook has sent more than {self.notebook_bytes:,} bytes of output"
        return None


def message_in(frame: Frame) -> dict[str, Any]:
    """A Jupyter message as nbclient takes it."""
    message: dict[str, Any] = json.loads(frame.payload)
    header = message["header"]
    header["date"] = datetime.datetime.fromisoformat(header["date"])
    return {**message, "msg_type": header["msg_type"], "buffers": list(frame.buffers)}


def output_in(message: Mapping[str, Any]) -> NotebookNode:
    """The output that a message holds, as nbformat's `output_from_msg` makes it.

    It is checked by the compiled schema of whole notebooks. nbformat checks a single output without compiling, which takes four
    times as long, and ten times where it holds a picture.

    Raises:
        ValueError: the message holds no output.
        ValidationError: what it holds does not fit the notebook format.
    """
    kind, content = message["header"]["msg_type"], message["content"]
    if kind in FIELDS and content.keys() >= set(FIELDS[kind]):
        output = NotebookNode(output_type=kind)
        output.update({field: content[field] for field in FIELDS[kind]})  # makes nodes of what is inside
        notebook = {**A_NOTEBOOK, "cells": [{**A_CELL, "outputs": [output]}]}
        with suppress(ValidationError):
            get_validator(4, 5).validate(notebook)
            return output
    checked: NotebookNode = output_from_msg(message)  # says what is wrong
    return checked


def note_end(frame: Frame, identity: str, cell: NotebookNode) -> bool:
    """Whether the kernel tells the end of the cell; then what it cost is noted."""
    answer = frame.content()
    if answer.get("done") != identity:
        return False
    cell["metadata"].setdefault("workbench", {}).update(answer["usage"])
    return True


def cause_of_end(code: int | None) -> str:
    """How a kernel ended, as far as it can be told."""
    if code is None:
        return ""
    if code < 0:
        with suppress(ValueError):
            return f": killed by {signal.Signals(-code).name}"
    return f" with exit code {code}"


def merge_streams(cell: NotebookNode) -> None:
    """Neighbouring texts of one stream are one output, as JupyterLab shows and saves them; how they were cut is chance."""
    merged: list[NotebookNode] = []
    for output in cell.outputs:
        if merged and output.output_type == "stream" and merged[-1].output_type == "stream" and merged[-1].name == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    if len(merged) < len(cell.outputs):
        cell.outputs = merged
