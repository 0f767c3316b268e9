"""The flows fit one screen, contain no maths, and Metaflow accepts them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.orchestration.projects import init_example
from workbench.settings import Layout, environment, templates

USER_NAMES = {"METAFLOW_USER", "USER", "USERNAME", "LOGNAME", "SUDO_USER"}
FLOWS = sorted(templates("flows").glob("*.py"))


def test_both_flows_ship() -> None:
    assert [path.stem for path in FLOWS] == ["experiment", "watch"]


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_a_flow_fits_one_screen_and_holds_no_maths(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert path.read_text(encoding="utf-8").count("\n") <= 60
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.BinOp)]
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert not imported


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_metaflow_accepts_the_flow_even_where_the_environment_names_no_user(path: Path, tmp_path: Path) -> None:
    made = init_example(tmp_path / "credit", "credit")
    layout = Layout(root=made.folder)
    command = [sys.executable, str(layout.flows / path.name), "--no-pylint", "check"]
    nameless = {name: value for name, value in environment(layout).items() if name not in USER_NAMES}
    done = subprocess.run(command, cwd=made.folder, env=nameless, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
