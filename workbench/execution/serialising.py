"""A notebook as bytes, cell by cell, equal to what nbformat writes of the whole. Called by `saving`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping

import msgspec
import nbformat
from nbformat import NotebookNode
from nbformat.v4.nbjson import BytesEncoder
from nbformat.v4.rwbase import split_lines, strip_transient

__all__ = ["cell_bytes", "merged_bytes", "notebook_bytes"]

BEFORE_CELL = b'{\n "cells": [\n  '
AFTER_CELL = b'\n ],\n "metadata": {}\n}'
BETWEEN_CELLS = b",\n  "
NO_CELLS = b'\n "cells": []'
"""One space before a key is the notebook's own level, and a line break in a value is escaped: this stands in a file once."""

LARGE = 4_096
UNSPLIT = ("image/png", "image/jpeg", "image/gif", "image/webp", "audio/", "video/", "application/pdf")
MARK = secrets.token_hex(16)
"""Stands for a large text until the rest is written; no notebook holds it by chance."""


def cell_bytes(cell: NotebookNode) -> bytes:
    """One cell of a version 4 notebook, exactly as it stands in the file that nbformat writes of the whole notebook."""
    return _written(NotebookNode(cells=[cell], metadata=NotebookNode()))[len(BEFORE_CELL) : -len(AFTER_CELL)]


def notebook_bytes(notebook: NotebookNode, cells: Iterable[bytes]) -> bytes:
    """The file of a notebook whose cells are given as `cell_bytes` made them; only the rest of it is serialised.

    The result equals `nbformat.writes(notebook)`, but the notebook is not validated.
    """
    rest = _written(NotebookNode({**notebook, "cells": []}))
    joined = BETWEEN_CELLS.join(cells)
    if not joined:
        return rest
    before, _, after = rest.partition(NO_CELLS)
    return b"".join((before, b'\n "cells": [\n  ', joined, b"\n ]", after))


def merged_bytes(content: bytes, cells: Mapping[int, bytes]) -> bytes:
    """The file `content` with some of its cells, given by position, replaced by others as `cell_bytes` made them."""
    notebook = nbformat.from_dict(json.loads(content))
    for index, cell in cells.items():
        notebook.cells[index] = nbformat.from_dict(json.loads(cell))
    # what was read is split into lines already, and a list that was no split text must stay as it is
    return _encoded(nbformat.v4.writes_json(notebook, split_lines=False))


def _written(notebook: NotebookNode) -> bytes:
    """What nbformat writes, faster: without a deep copy, and with large texts, spaces and line breaks written in C."""
    large: list[str] = []
    copy = NotebookNode({**notebook, "metadata": NotebookNode(notebook.metadata)})
    copy["cells"] = [_copied(cell, large) for cell in notebook.cells]
    text = json.dumps(strip_transient(split_lines(copy)), cls=BytesEncoder, sort_keys=True, ensure_ascii=False)
    try:
        content = msgspec.json.format(text.encode(), indent=1)
        for position, each in enumerate(large):
            content = content.replace(b'"%s"' % _stand_in(position).encode(), msgspec.json.encode(each))
    except (msgspec.DecodeError, UnicodeEncodeError):  # not quite JSON: an infinite number, half a character
        return _encoded(nbformat.v4.writes_json(notebook))
    return content


def _copied(cell: NotebookNode, large: list[str]) -> NotebookNode:
    """A copy as deep as nbformat changes what it writes: it splits texts into lines and leaves out what is transient.

    Pictures and sounds, which it does not split, are taken out into `large`: msgspec writes the same JSON four times as fast.
    """
    copy = NotebookNode({**cell, "metadata": NotebookNode(cell.metadata)})
    if "attachments" in cell:
        copy["attachments"] = NotebookNode({name: NotebookNode(bundle) for name, bundle in cell.attachments.items()})
    if "outputs" in cell:
        copy["outputs"] = [NotebookNode(output) for output in cell.outputs]
        for output in copy["outputs"]:
            if "data" in output:
                output["data"] = NotebookNode(output.data)
                for kind, value in output.data.items():
                    if isinstance(value, str) and len(value) > LARGE and kind.startswith(UNSPLIT):
                        output["data"][kind] = _stand_in(len(large))
                        large.append(value)
    return copy


def _stand_in(position: int) -> str:
    return f"{MARK}-{position}"


def _encoded(text: str) -> bytes:
    # a lone surrogate, which UTF-8 cannot hold, becomes its JSON escape; papermill leaves an empty file there
    return text.encode("utf-8", "backslashreplace")
