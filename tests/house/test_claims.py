"""The claims page: every promise names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_promise_names_tests_that_exist(root: Path) -> None:
    rows = [line for line in (root / "docs" / "claims.md").read_text().splitlines() if line.startswith("| ")]
    promises = [row for row in rows if not row.startswith(("| promise", "| ---"))]
    assert len(promises) > 30
    absent = []
    for row in promises:
        named = NAMED.findall(row)
        assert named, f"no test shows: {row}"
        absent += [f"{path}::{test}" for path, test in named if test not in names_in(root / path)]
    assert absent == []


def names_in(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    return {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)}
