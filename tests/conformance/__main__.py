"""Judges the notebook engine: `python -m tests.conformance [suites|corpus] [--only PATTERN] [--json]` at the checkout's root."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markdown import Markdown

from tests.conformance.corpus import Corpus, judge_corpus
from tests.conformance.document import as_document, as_json, corpus_lines, suite_lines
from tests.conformance.environment import ROOT, prepare
from tests.conformance.suites import SUITES, Suite, judge_suite
from workbench.errors import WorkbenchError

PARTS = ("suites", "corpus")


def main(arguments: Sequence[str] | None = None) -> int:
    """Judges one part or both, and prints what was found; both together write the page anew. 1 when something differs."""
    part, only, json_wanted = _asked(arguments)
    progress = Console(stderr=True, highlight=False)
    suites: list[Suite] = []
    corpus: Corpus | None = None
    try:
        environment = prepare()
        for name in SUITES if part in {None, "suites"} else ():
            progress.print(f"[cyan]▸[/] the suite of {name}, twice")
            suites.append(judge_suite(name, environment))
        if part in {None, "corpus"}:
            progress.print("[cyan]▸[/] the notebooks, three times")
            corpus = judge_corpus(environment, only or ("*",))
    except WorkbenchError as error:
        progress.print(str(error), markup=False)
        return error.exit_code
    if suites and corpus is not None and not only:
        (ROOT / "docs" / "conformance.md").write_text(as_document(suites, corpus), encoding="utf-8")
    if json_wanted:
        sys.stdout.write(json.dumps(as_json(suites, corpus), indent=2, ensure_ascii=False) + "\n")
    else:
        lines = [*(suite_lines(suites) if suites else ()), "", *(corpus_lines(corpus) if corpus is not None else ())]
        Console().print(Markdown("\n".join(lines)))
    return int(any(suite.unexplained for suite in suites) or (corpus is not None and bool(corpus.unexplained)))


def _asked(arguments: Sequence[str] | None) -> tuple[str | None, list[str], bool]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance", description="Our notebook engine against the default one."
    )
    parser.add_argument(
        "part", nargs="?", choices=PARTS, help="what to judge; both when left out, which writes docs/conformance.md"
    )
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN", help="notebooks, such as 'features/plots_*'")
    parser.add_argument("--json", action="store_true", help="print objects instead of tables")
    asked = parser.parse_args(arguments)
    return asked.part, asked.only, asked.json


if __name__ == "__main__":
    sys.exit(main())
