"""The files of the checkout, as the tests of the house read them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkout_files(root: Path) -> list[Path]:
    """Every file that git keeps or would keep, so that a new file is held to the rules before it is committed."""
    listing = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(path for name in listing.stdout.split("\0") if name and (path := root / name).is_file())


@pytest.fixture(scope="session")
def python_files(checkout_files: list[Path]) -> list[Path]:
    """Every module, tests included."""
    return [path for path in checkout_files if path.suffix == ".py"]
