"""Writes what the judges found: `docs/conformance.md` for readers, JSON for programs. Called by `__main__`."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from itertools import groupby
from typing import Any

from tests.conformance.corpus import Corpus, Judged
from tests.conformance.differences import explanation
from tests.conformance.suites import Suite

__all__ = ["as_document", "as_json", "corpus_lines", "suite_lines"]

PACKAGES = ("papermill", "nbclient", "ipykernel", "jupyter_client", "IPython", "nbformat")
HEAD = """# Conformance

Whether a notebook runs with the papermill engine `workbench`, in a warm kernel, as it runs with papermill's default engine.
This page is written by `python -m tests.conformance`, which judges again from scratch: it fetches the source archives of
nbclient and papermill, installs what their tests need into a separate environment under `build/`, and runs everything in
place. It fails when a test or a cell differs that is not explained below.
"""
HOW_COMPARED = """Every notebook runs three times in the same folder, each time from a fresh copy: by papermill's default
engine, by it once more, and by ours. Two cells are equal when type, id, source, execution count, outputs, and metadata are
equal; beside the cells, the notebook's metadata, widget states included, and the exception that the caller sees are compared.
Only this is taken out first: memory addresses, times, process ids, random ids (numbered by appearance, so that what they link
stays linked), names of temporary files, where a stream was cut into messages, and the key `workbench` that our engine adds to
metadata. Only code cells are counted."""


def as_document(suites: Sequence[Suite], corpus: Corpus) -> str:
    """The page."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    parts = [
        HEAD,
        f"Judged with Python {platform.python_version()} on {platform.system()}, {versions}.",
        "## Public test suites\n",
        *suite_lines(suites),
        "\n## Notebooks, cell by cell\n",
        HOW_COMPARED,
        "",
        *corpus_lines(corpus),
    ]
    return "\n".join(parts) + "\n"


def suite_lines(suites: Sequence[Suite]) -> Iterator[str]:
    """A table of both runs, and every test that does not pass in both."""
    yield from _table(
        ("suite", "tests", "default: failed", "ours: failed", "newly failing", "only ours passes", "kernels warm / cold"),
        (
            (
                suite.name,
                len(suite.stock),
                len(suite.failing(suite.stock)),
                len(suite.failing(suite.ours)),
                len(suite.new),
                len(suite.mended),
                f"{suite.kernels.get('warm', 0)} / {suite.kernels.get('cold', 0)}",
            )
            for suite in suites
        ),
    )
    yield "\nTests that did not pass in both runs:\n"
    differing = [
        (suite.name, f"`{test}`", suite.stock.get(test, "not run"), suite.ours.get(test, "not run"), _why(suite, test))
        for suite in suites
        for test in sorted(suite.stock.keys() | suite.ours.keys())
        if {suite.stock.get(test), suite.ours.get(test)} != {"passed"}
    ]
    yield from _table(("suite", "test", "default", "ours", "why"), differing) if differing else ["None."]


def corpus_lines(corpus: Corpus) -> Iterator[str]:
    """Groups, notebooks in other languages, exceptions with their reasons, and every notebook."""
    groups = [(name, list(each)) for name, each in groupby(sorted(corpus.notebooks, key=_group), key=_group)]
    rows = [_counted(name, judged, corpus) for name, judged in groups]
    head = (
        "group",
        "notebooks",
        "code cells",
        "equal",
        "meant to differ",
        "equal of the rest",
        "default twice: equal",
        "warm kernels",
    )
    yield from _table(head, [*rows, _counted("all", corpus.notebooks, corpus)])
    yield "\n### Kernels of other languages\n"
    yield "They run in a kernel of their own, and our engine says so:\n"
    for judged in corpus.notebooks:
        if judged.said:
            yield f"- `{judged.name}`: {judged.ours.equal} of {judged.ours.cells} cells equal; {_code(judged.said[0])}"
    yield "\n### What differs, and why\n"
    yield from _reasons(corpus)
    yield "\n### Every notebook\n"
    yield from _table(
        ("notebook", "code cells", "equal", "kernel", "default engine, s", "ours, s"),
        (
            (
                f"`{each.name}`",
                each.ours.cells,
                each.ours.equal,
                each.kernel,
                f"{each.seconds['stock']:.2f}",
                f"{each.seconds['ours']:.2f}",
            )
            for each in sorted(corpus.notebooks, key=lambda judged: judged.name)
        ),
    )


def as_json(suites: Sequence[Suite], corpus: Corpus | None) -> dict[str, Any]:
    """The same as plain objects."""
    found: dict[str, Any] = {
        "suites": [{**asdict(suite), "new": sorted(suite.new), "mended": sorted(suite.mended)} for suite in suites]
    }
    if corpus is not None:
        found["corpus"] = {**asdict(corpus), "cells": corpus.cells, "equal": corpus.equal}
    return found


def _why(suite: Suite, test: str) -> str:
    if test not in suite.new:
        return "It does not pass without us either." if test not in suite.mended else ""
    found = explanation(f"{suite.name}-suite", test)
    return found.why if found is not None else "**Not explained.**"


def _group(judged: Judged) -> str:
    return judged.name.partition("/")[0]


def _counted(name: str, judged: Sequence[Judged], corpus: Corpus) -> tuple[object, ...]:
    cells, ours, itself = (
        sum(counts) for counts in zip(*((j.ours.cells, j.ours.equal, j.again.equal) for j in judged), strict=True)
    )
    intended = sum(corpus.intended(each.name) for each in judged)
    share = f"{100 * ours / max(cells - intended, 1):.1f} %"
    return name, len(judged), cells, ours, intended, share, itself, sum(each.kernel == "warm" for each in judged)


def _reasons(corpus: Corpus) -> Iterator[str]:
    """One entry for each reason, with the places that it explains."""
    reasons: dict[str, list[str]] = {}
    for name, difference, why in corpus.explained:
        place = f"`{name}` {difference.place}"
        said = f"**Meant.** {why.why}" if why.intended else why.why
        if place not in reasons.setdefault(said, []):
            reasons[said].append(place)
    for said, places in reasons.items():
        yield f"- {said} ({'; '.join(places)})"
    for name, difference in corpus.unexplained:
        yield (
            f"- **Not explained**: `{name}` {difference.place}, {difference.what}: "
            f"{_code(difference.stock)} by the default engine, {_code(difference.ours)} by ours."
        )
    if not reasons and not corpus.unexplained:
        yield "Nothing."


def _code(text: str) -> str:
    return "`` " + text.replace("`", "'").replace("\n", " ") + " ``"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(str(each).replace("|", "\\|") for each in row) + " |"
