from __future__ import annotations

import json
import tempfile
from pathlib import Path

import nbformat
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode
from papermill.iorw import write_ipynb

from workbench.execution.saving import NotebookFile
from workbench.execution.serialising import cell_bytes, merged_bytes, notebook_bytes

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["a\nb\n", "a\r\nb", "\u2028\x0b\x1c", "é✓𝒳", ',\n  {\n "cells": []', "\\ud800"]
)
NAMES = st.sampled_from(["zed", "Aa", "tags", "x y", "cells", "é"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
METADATA = st.dictionaries(NAMES.filter(lambda name: name != "tags") | st.just("trusted"), JSON, max_size=3)
BUNDLES = st.fixed_dictionaries(
    {},
    optional={
        "text/plain": TEXT,
        "text/html": st.lists(TEXT, max_size=3),
        "image/svg+xml": TEXT,
        "image/png": st.binary(max_size=9).map(lambda data: data.hex().encode()) | TEXT,
        "image/jpeg": TEXT.map(lambda text: text + 5000 * "A"),
        "audio/wav": TEXT.map(lambda text: text + 9000 * "é"),
        "application/json": JSON,
        "application/javascript": TEXT,
    },
)
OUTPUTS = st.one_of(
    st.fixed_dictionaries(
        {"output_type": st.just("stream"), "name": st.just("stdout"), "text": TEXT | st.lists(TEXT, max_size=3)}
    ),
    st.fixed_dictionaries({"output_type": st.just("display_data"), "data": BUNDLES, "metadata": METADATA}),
    st.fixed_dictionaries(
        {"output_type": st.just("execute_result"), "data": BUNDLES, "metadata": METADATA, "execution_count": st.integers(1, 9)}
    ),
    st.fixed_dictionaries(
        {"output_type": st.just("error"), "ename": TEXT, "evalue": TEXT, "traceback": st.lists(TEXT, max_size=2)}
    ),
)
CODE = st.fixed_dictionaries(
    {
        "cell_type": st.just("code"),
        "source": TEXT | st.lists(TEXT, max_size=3),
        "metadata": METADATA,
        "outputs": st.lists(OUTPUTS, max_size=3),
        "execution_count": st.none() | st.integers(1, 99),
    }
)
PROSE = st.fixed_dictionaries(
    {"cell_type": st.sampled_from(["markdown", "raw"]), "source": TEXT, "metadata": METADATA},
    optional={"attachments": st.dictionaries(st.just("a.png"), BUNDLES, max_size=1)},
)


@st.composite
def notebooks(draw: st.DrawFn) -> NotebookNode:
    """Notebooks of every minor version of format 4, also such that do not validate."""
    minor = draw(st.integers(0, 5))
    cells = draw(st.lists(CODE | PROSE, max_size=4))
    named = [cell | ({"id": f"cell-{place}"} if minor >= 5 else {}) for place, cell in enumerate(cells)]
    metadata = draw(METADATA | st.just({"orig_nbformat": 3, "orig_nbformat_minor": 0, "signature": "x", "papermill": {}}))
    more = draw(st.dictionaries(st.sampled_from(["aaa", "Zed", "zzz"]), JSON, max_size=1))
    notebook: NotebookNode = nbformat.from_dict(
        {"cells": named, "metadata": metadata, "nbformat": 4, "nbformat_minor": minor} | more
    )
    return notebook


def written(notebook: NotebookNode) -> bytes:
    """The file as nbformat makes it."""
    return nbformat.writes(notebook).encode()


@given(notebooks())
@settings(deadline=None)
def test_the_file_put_together_from_cells_is_what_nbformat_writes(notebook: NotebookNode) -> None:
    before = json.dumps(notebook, default=str)
    together = notebook_bytes(notebook, [cell_bytes(cell) for cell in notebook.cells])
    assert json.dumps(notebook, default=str) == before  # nothing was changed in passing
    assert together == written(notebook)


@given(notebooks())
@settings(deadline=None)
def test_the_finished_file_is_what_papermill_leaves(notebook: NotebookNode) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder, "ours.ipynb"), Path(folder, "theirs.ipynb")
        NotebookFile(ours, notebook).finish()
        write_ipynb(notebook, str(theirs))
        assert ours.read_bytes() == theirs.read_bytes()


@given(notebooks().filter(lambda notebook: notebook.cells), st.data())
@settings(deadline=None)
def test_a_merged_file_is_what_nbformat_writes_of_the_merged_notebook(notebook: NotebookNode, data: st.DataObject) -> None:
    before, place = written(notebook), data.draw(st.integers(0, len(notebook.cells) - 1))
    kept = {name: notebook.cells[place][name] for name in ("id",) if name in notebook.cells[place]}
    notebook.cells[place] = nbformat.from_dict(data.draw(CODE | PROSE) | kept)
    assert merged_bytes(before, {place: cell_bytes(notebook.cells[place])}) == written(notebook)
