"""What may differ is listed precisely: an entry names notebooks and cells that exist, and says why."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.conformance.differences import explanation, listed
from tests.conformance.suites import Suite

NOTEBOOKS = Path(__file__).parent / "notebooks"


@pytest.fixture(scope="module")
def places() -> set[str]:
    """Every place in the committed notebooks that an entry may name."""
    found: set[str] = set()
    for path in NOTEBOOKS.rglob("*.ipynb"):
        group = "features" if path.parent == NOTEBOOKS else path.parent.name
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found |= {f"{group}/{path.stem}:{place}" for place in ("error", "metadata", *(cell["id"] for cell in cells))}
    return found


def test_every_entry_names_something_that_exists_and_says_why(places: set[str]) -> None:
    for entry in listed():
        assert entry.why.endswith(".")
        for pattern in entry.where:
            if pattern.startswith(("features/", "kernels/")):
                assert any(fnmatchcase(place, pattern) for place in places), pattern


def test_what_is_not_listed_has_no_explanation() -> None:
    assert explanation("features/plots_are_drawn_as_png", "two-figures") is None
    found = explanation("features/the_kernel_crashes", "error")
    assert found is not None
    assert found.intended


def test_a_test_that_fails_only_with_us_or_is_not_run_any_more_is_new() -> None:
    stock = {"a": "passed", "b": "failed", "c": "passed", "d": "failed"}
    suite = Suite(name="nbclient", stock=stock, ours={"a": "failed", "b": "failed", "d": "passed"})
    assert suite.new == {"a", "c"}
    assert suite.mended == {"d"}
    assert suite.unexplained == {"a", "c"}


def test_each_committed_notebook_is_small_and_has_cell_ids_that_are_words() -> None:
    for path in NOTEBOOKS.rglob("*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        assert path.stat().st_size < 20_000, path.name
        assert all(cell.get("outputs", []) == [] for cell in notebook["cells"]), path.name
        assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"]), path.name
        assert all(cell["id"].replace("-", "").isalpha() for cell in notebook["cells"]), path.name
