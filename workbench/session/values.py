"""How `session.save` and `session.load` store and read one value; a save that fails says which part of which value it was."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from workbench.errors import BadInput
from workbench.records import Saved
from workbench.session.formats import READERS, as_json, format_of
from workbench.store import Objects

__all__ = ["plain", "read_value", "write_value"]

PLAIN = "value.json"
HINT = "Save a frame, an array, tensors, a fitted scikit-learn model, a file, or plain numbers, texts, lists and mappings."
FULL = "Make room on the disk that holds the project's .workbench folder, then run the cell again."


def plain(value: object) -> Any:
    """A value as plain JSON types; numpy numbers and records become numbers and objects, NaN becomes null.

    Raises:
        TypeError: something inside has no JSON form.
    """
    return msgspec.json.decode(as_json(value))


def write_value(objects: Objects, name: str, value: object) -> Saved:
    """Stores one value under its natural format.

    Raises:
        BadInput: the value cannot be stored; the message names it, its type, the cell, and what inside it is to blame.
    """
    kept_as = format_of(value)
    try:
        digest, size = kept_as.write(objects, value)
    except Exception as error:  # whichever library refused: polars, Arrow, torch and skops share no kind of error
        raise _refusal(name, value, error, nested=kept_as.name == PLAIN) from error
    return Saved(name=name, format=kept_as.name, digest=digest, size=size)


def read_value(objects: Objects, saved: Saved) -> object:
    """Reads a stored value back as the type it was saved from; changing it changes no file.

    Raises:
        NotFound: its file was removed.
        BadInput: a later version of the workbench saved it, in a format this one does not know.
    """
    if saved.format not in READERS:
        raise BadInput(
            f"{saved.name} was saved as {saved.format!r}, expected one of {', '.join(READERS)}", hint="Upgrade the workbench."
        )
    return READERS[saved.format](objects.path(saved.digest))


def _refusal(name: str, value: object, error: Exception, *, nested: bool) -> BadInput:
    place, culprit = getattr(error, "place", ""), value
    if nested and not isinstance(error, RecursionError | OSError):
        place, culprit = _culprit(value, "")
    blamed = f"{name}{place} is a {_kind(culprit)}" if culprit is not value else f"{name}{place}"
    reason = f"{blamed}: {error}" if place else str(error)
    hint = HINT
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = FULL
    elif culprit is not value and format_of(culprit).name != PLAIN:
        hint = "Save it by itself, under a name of its own."
    return BadInput(f"session.save({name}=…){_cell()} was given a {_kind(value)}, which cannot be stored: {reason}", hint=hint)


def _culprit(value: object, place: str) -> tuple[str, object]:
    """The innermost part of a container that has no JSON form, and how Python reaches it from the whole."""
    for inside, item in _items(value):
        try:
            as_json(item)
        except (TypeError, ValueError, OverflowError):
            return _culprit(item, place + inside)
    return place, value


def _items(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _cell() -> str:
    """Which cell is running, as its number in the notebook; nothing outside a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return f" in cell [{shell.execution_count - 1}]" if shell is not None else ""  # IPython 9 counts a cell when it begins
