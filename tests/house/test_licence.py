"""The licence is the whole Apache License 2.0, and the package says so."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path


def test_the_licence_is_the_unchanged_apache_text(root: Path) -> None:
    digest = hashlib.sha256((root / "LICENSE").read_bytes()).hexdigest()
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def test_the_package_names_its_licence(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE"]
