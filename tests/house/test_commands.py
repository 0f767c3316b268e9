"""There is one test command, and whoever runs the tests runs that one."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import yaml

TARGETS = {"demo", "test", "lab", "check", "bench", "clean"}


def test_the_documents_name_the_test_command_of_the_makefile(root: Path) -> None:
    found = re.search(r"^TEST := \$\(BIN\)/(.+)$", (root / "Makefile").read_text(), re.MULTILINE)
    assert found is not None
    for document in ("README.md", "CONTRIBUTING.md"):
        assert found[1] in (root / document).read_text(), document


def test_continuous_integration_runs_the_checks_and_the_tests_of_the_makefile(root: Path) -> None:
    script = root / ".ci/run"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert "set -euo pipefail" in lines
    assert [line for line in lines if line.startswith("make ")] == ["make check", "make test"]
    workflow = yaml.safe_load((root / ".github/workflows/test.yml").read_text())
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert ".ci/run" in [step.get("run") for step in workflow["jobs"]["test"]["steps"]]


def test_make_alone_explains_every_target(root: Path) -> None:
    done = subprocess.run(["make", "--no-print-directory"], cwd=root, capture_output=True, text=True, timeout=60, check=True)
    explained = {line.split(":")[0].strip() for line in done.stdout.splitlines() if ":" in line}
    assert explained >= TARGETS
