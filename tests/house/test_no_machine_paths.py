"""No file of the checkout knows the machine it was written on, or where packages are fetched from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

MACHINE_PATH = re.compile(r"(?<![\w.~)}>-])/(?:home|root|Users|work|opt|srv|mnt|farm)/[\w.]")
REGISTRY = re.compile(r"pypi\.org|pythonhosted\.org|registry\.npmjs\.org|download\.pytorch\.org|anaconda\.org|deb\.debian\.org")


def findings(path: Path, pattern: re.Pattern[str]) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return []
    return [f"{path}:{number}" for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]


def test_no_file_names_a_machine_path(checkout_files: list[Path]) -> None:
    found = [finding for path in checkout_files for finding in findings(path, MACHINE_PATH)]
    assert not found, "\n".join(found)


def test_no_file_names_a_package_registry(checkout_files: list[Path]) -> None:
    found = [finding for path in checkout_files for finding in findings(path, REGISTRY)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("place", ["home", "root", "Users", "work"])
def test_a_machine_path_is_found_wherever_it_stands(place: str, tmp_path: Path) -> None:
    for text in ("{}", 'open("{}")', "path={}", "file://{}"):
        (tmp_path / "file.txt").write_text(text.format("/".join(["", place, "ann", "data.csv"])))
        assert findings(tmp_path / "file.txt", MACHINE_PATH) != []


@pytest.mark.parametrize("text", ["notebooks/work/x", "~/work/x", "the home/root of", "https://example.com/home/x"])
def test_a_relative_path_or_an_address_is_no_machine_path(text: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text(text)
    assert findings(tmp_path / "file.txt", MACHINE_PATH) == []
