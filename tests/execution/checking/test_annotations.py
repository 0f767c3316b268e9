from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.execution.checking import RULES, Finding, Report, annotation_lines, check_notebook
from workbench.execution.checking.annotations import _file_lines

from .conftest import Write, cell, printed, prose


def test_an_annotation_stands_at_the_line_of_the_file(write: Write, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(prose("# Title"), cell("x = 1", 1, printed('"source": [\n')), cell("y = x\nprint(nowhere)", 2))
    (line,) = annotation_lines(check_notebook(path))
    number = 1 + path.read_text().splitlines().index('    "print(nowhere)"')
    assert line == (
        f"::error file=notebook.ipynb,line={number},title=undefined-name::"
        "cell 3 (cell-3), line 2: 'nowhere' is used, but no cell defines it"
    )


def test_severities_have_githubs_names_and_texts_are_escaped(write: Write) -> None:
    path = write("x = 1")
    findings = tuple(Finding(rule="kernel", severity=kind, message="50%\r\nof: a,b") for kind in ("error", "warning", "note"))
    report = Report(notebook=str(path), score=70, rerun=False, findings=findings)
    lines = list(annotation_lines(report))
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning", "::notice"]
    assert all(line.endswith("line=1,title=kernel::notebook: 50%25%0D%0Aof: a,b") for line in lines)
    odd = path.rename(path.with_name("a, b: 1%.ipynb"))
    assert "a%2C b%3A 1%25.ipynb" in next(annotation_lines(replace(report, notebook=str(odd))))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text(max_size=12), max_size=4), max_size=4), st.sampled_from([None, 0, 1, 4]))
def test_every_source_line_is_found_however_the_file_is_laid_out(sources: list[list[str]], indent: int | None) -> None:
    cells = [{"metadata": {"source": ["no"], "cells": [[{"source": ["no"]}]]}, "source": source} for source in sources]
    text = json.dumps({"metadata": {"cells": [{"source": ["no"]}]}, "cells": cells}, indent=indent)
    places = _file_lines(text)
    lines = text.split("\n")
    assert {place for place in places if place[1]} == {
        (number, row) for number, source in enumerate(sources, 1) for row in range(1, len(source) + 1)
    }
    for (number, row), line in places.items():
        if row:
            assert json.dumps(sources[number - 1][row - 1]) in lines[line - 1]


def test_every_rule_has_a_weight() -> None:
    assert set(RULES.values()) == {"error", "warning", "note"}
