"""Imports point down, frameworks stay in the package that wraps them, and the contracts notice when they do not."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

LEAVES = ("notebooks", "flows", "bentos", "extensions", "tests")


def lint_imports(checkout: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": str(checkout), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(
        [str(program), "--no-cache"], cwd=checkout, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def protected_frameworks(root: Path) -> list[str]:
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [name for contract in contracts if contract["type"] == "protected" for name in contract["protected_modules"]]


@pytest.fixture(scope="module")
def planted(root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy into which one wrong import of each sort was planted."""
    checkout = tmp_path_factory.mktemp("planted")
    shutil.copy(root / "pyproject.toml", checkout)
    shutil.copytree(root / "workbench", checkout / "workbench", ignore=shutil.ignore_patterns("__pycache__", "*.parquet"))
    frameworks = "".join(f"import {name}\n" for name in protected_frameworks(root))
    (checkout / "workbench/store/planted_frameworks.py").write_text(frameworks)
    (checkout / "workbench/store/planted_upward.py").write_text("import workbench.cli\n")
    (checkout / "workbench/fairness/planted_sibling.py").write_text("import workbench.training\n")
    (checkout / "workbench/unplanned").mkdir()
    (checkout / "workbench/unplanned/__init__.py").touch()
    done = lint_imports(checkout)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_the_contracts_hold(root: Path) -> None:
    done = lint_imports(root)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_framework_outside_its_package_is_reported(root: Path, planted: str) -> None:
    frameworks = protected_frameworks(root)
    assert {"torch", "fairlearn", "bentoml", "evidently", "metaflow", "papermill", "ipywidgets"} <= set(frameworks)
    for name in frameworks:
        assert f"workbench.store.planted_frameworks -> {name} (l." in planted


def test_an_upward_import_is_reported(planted: str) -> None:
    assert "workbench.store.planted_upward -> workbench.cli (l.1)" in planted


def test_an_import_between_siblings_is_reported(planted: str) -> None:
    assert "workbench.fairness.planted_sibling -> workbench.training (l.1)" in planted


def test_a_package_without_a_layer_is_reported(planted: str) -> None:
    assert "workbench.unplanned" in planted


def imported_roots(path: Path) -> set[str]:
    """The top-level names that a module or a notebook imports."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = ["".join(cell["source"]) for cell in json.loads(source)["cells"] if cell["cell_type"] == "code"]
        source = "\n".join(line for cell in cells for line in cell.splitlines() if not line.lstrip().startswith(("%", "!")))
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_the_leaves_are_imported_by_nobody(root: Path, checkout_files: list[Path]) -> None:
    sources = [path for path in checkout_files if path.suffix in {".py", ".ipynb"} and path.relative_to(root).parts[0] != "tests"]
    assert sources
    assert [str(path) for path in sources if imported_roots(path) & {*LEAVES, "metaflow_extensions"}] == []
