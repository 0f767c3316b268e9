from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import NotebookInvalid
from workbench.execution.code_cells import code_cells


def test_only_code_is_read_with_its_id_and_tags(write_notebook) -> None:
    notebook = write_notebook("read", parameters="rows: int = 1", prose="# words", work="a\nb")
    first, second = code_cells(notebook)
    assert (first.id, first.source, first.has_tag("parameters")) == ("parameters", "rows: int = 1", True)
    assert (second.id, second.source, second.is_injected) == ("work", "a\nb", False)


def test_lines_are_joined_and_a_cell_without_an_id_has_its_position(tmp_path: Path) -> None:
    path = tmp_path / "old.ipynb"
    path.write_text('{"nbformat": 4, "cells": [{"cell_type": "markdown"}, {"cell_type": "code", "source": ["a\\n", "b"]}]}')
    (cell,) = code_cells(path)
    assert (cell.id, cell.source, dict(cell.metadata)) == ("1", "a\nb", {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": "", "metadata": {"tags": null}}]}',
        '{"nbformat": 4}',
        '{"nbformat": 4, "cells": [1]}',
        '{"nbformat": 3, "worksheets": []}',
        "[" * 100_000,
    ],
)
def test_what_is_no_notebook_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.ipynb").write_text(text)
    with pytest.raises(NotebookInvalid, match=r"broken\.ipynb is not a notebook"):
        code_cells(tmp_path / "broken.ipynb")
    with pytest.raises(NotebookInvalid, match="no notebook") as missing:
        code_cells(tmp_path / "brokn.ipynb")
    assert "broken.ipynb" in str(missing.value.hint)
