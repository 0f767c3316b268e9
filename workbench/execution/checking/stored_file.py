"""What is stale, oversized or out of place in a notebook file. Called by `trust`."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import PurePath
from typing import Any

from workbench.execution.checking.document import Cell, Document, texts_of
from workbench.execution.checking.report import Finding, finding

__all__ = ["find_file_faults"]

LARGEST = 1_000_000
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
MACHINE_PATH = re.compile(r"(?:(?<![\w.~/:-])/(?:home|Users)/|\b[A-Za-z]:\\{1,2}Users\\{1,2})([\w.@-]+)")
SHARED_HOMES = frozenset({"jovyan", "runner", "user", "username", "you", "name", "Public", "Shared", "shared"})
"""Names of homes in containers and examples, which name nobody."""

LISTED = 5
IDS_SINCE = 5
"""The minor version of format 4 that brought cell ids."""

CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def find_file_faults(document: Document) -> Iterator[Finding]:
    """Findings on the format, the metadata, sizes and paths."""
    yield from _format(document)
    yield from _cell_ids(document)
    tagged = [cell for cell in document.cells if "parameters" in cell.tags]
    if len(tagged) > 1:
        yield finding("parameters-cells", f"is the second of {len(tagged)} cells tagged parameters", cell=tagged[1])
    yield from _kernel(document)
    yield from _papermill(document)
    yield from _widgets(document)
    yield from _paths(document)
    for cell in document.code:
        size = len(json.dumps(cell.outputs).encode()) if cell.outputs else 0
        if size > LARGEST:
            yield finding("large-output", f"keeps {size / 1e6:.1f} MB of outputs", cell=cell)
    empty = _trailing_empty(document)
    if empty:
        yield finding("empty-cells", f"ends in {len(empty)} empty cell{'s' if len(empty) > 1 else ''}", cell=empty[0])


def _format(document: Document) -> Iterator[Finding]:
    """What breaks the JSON schema of the notebook format; ids have a rule of their own, and no value is quoted."""
    from nbformat.validator import better_validation_error, get_validator

    minor = document.content.get("nbformat_minor")
    if not isinstance(minor, int):
        yield finding("invalid-format", "nbformat_minor is not a whole number")
        return
    ids = {"id": "any"} if minor >= IDS_SINCE else {}
    cells = [{**cell, **ids} if isinstance(cell, dict) else cell for cell in document.content["cells"]]
    content = {**document.content, "cells": cells}
    if not list(get_validator(4, minor).iter_errors(content)):  # the fast one, which does not say much
        return
    errors = get_validator(4, minor, name="jsonschema").iter_errors(content)
    for error in islice(errors, LISTED):
        told = better_validation_error(error, 4, minor)
        where, message = list(told.relative_path), str(told.message).partition("\n")[0]
        names_only = "required property" in message or "Additional properties" in message
        what = message if names_only else f"does not fit the schema's {told.validator!r}"
        cell = document.cells[where[1]] if where[:1] == ["cells"] and len(where) > 1 else None
        yield finding("invalid-format", f"{'/'.join(map(str, where)) or 'the notebook'}: {what}", cell=cell)


def _cell_ids(document: Document) -> Iterator[Finding]:
    """Ids exist from format 4.5 on; without them a cell cannot be named from one version of the file to the next."""
    if document.minor < IDS_SINCE:
        return
    unnamed = [cell for cell in document.cells if not CELL_ID.fullmatch(cell.id)]
    if unnamed:
        yield finding("cell-ids", f"has no valid id, as {len(unnamed)} of {len(document.cells)} cells", cell=unnamed[0])
    for cell_id, times in Counter(cell.id for cell in document.cells if cell.id).items():
        if times > 1:
            second = [cell for cell in document.cells if cell.id == cell_id][1]
            yield finding("cell-ids", f"shares its id with {times - 1} other cells", cell=second)


def _kernel(document: Document) -> Iterator[Finding]:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    spec, language = document.section("kernelspec"), document.section("language_info")
    name, meant, ran = (str(given or "") for given in (spec.get("name"), spec.get("language"), language.get("name")))
    if not name:
        yield finding("kernel", "names no kernel, so that it cannot run headless as it is")
        return
    if meant and ran and meant.lower() != ran.lower():
        yield finding("kernel", f"names a kernel for {meant}, but was last run in {ran}")
    try:
        KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        yield finding("kernel", f"names the kernel {name!r}, which is not installed here")
        return
    yield from _version(document, language)


def _version(document: Document, language: Mapping[str, Any]) -> Iterator[Finding]:
    import platform

    here, there = platform.python_version_tuple()[:2], tuple(str(language.get("version") or "").split(".")[:2])
    if document.language == "python" and document.was_run and len(there) > 1 and there != here:
        yield finding("other-version", f"was run with Python {'.'.join(there)}; here is {'.'.join(here)}")


def _papermill(document: Document) -> Iterator[Finding]:
    told = document.section("papermill")
    written = PurePath(str(told.get("output_path") or "").replace("\\", "/")).name
    if told and not document.was_run:
        yield finding("foreign-run", "keeps papermill's metadata of a run, but none of its outputs")
    elif written and written != document.path.name:
        yield finding("foreign-run", f"keeps papermill's metadata of a run that wrote {written!r}")


def _widgets(document: Document) -> Iterator[Finding]:
    kept = document.section("widgets").get(WIDGET_STATE)
    state = kept.get("state") if isinstance(kept, dict) else None
    shown = any(WIDGET_VIEW in (output.get("data") or {}) for cell in document.code for output in cell.outputs)
    if isinstance(state, dict) and state and not shown:
        yield finding("widget-state", f"keeps the state of {len(state)} widgets, but shows none")


def _paths(document: Document) -> Iterator[Finding]:
    """Paths under a person's home: one finding for the sources and one for the outputs, at the first of each."""
    places: dict[str, list[tuple[Cell, int]]] = {"source": [], "outputs": []}
    for cell in document.code:
        for number, line in enumerate(cell.source.splitlines(), start=1):
            if _names_a_home(line):
                places["source"].append((cell, number))
        for number, output in enumerate(cell.outputs, start=1):
            if any(_names_a_home(text) for _, text in texts_of(output)):
                places["outputs"].append((cell, number))
    for what, found in places.items():
        if found:
            first, number = found[0]
            more = f", and {len(found) - 1} more places" if len(found) > 1 else ""
            message = f"has a path of one machine in its {what}{more}"
            if what == "source":
                yield finding("machine-path", message, cell=first, line=number)
            else:
                yield finding("machine-path", message, cell=first, output=number)


def _names_a_home(text: str) -> bool:
    return any(match[1] not in SHARED_HOMES for match in MACHINE_PATH.finditer(text))


def _trailing_empty(document: Document) -> list[Cell]:
    empty: list[Cell] = []
    for cell in reversed(document.cells):
        if cell.source.strip() or cell.outputs:
            break
        empty.insert(0, cell)
    return empty
