"""One set of pins: pyproject.toml names what is needed, constraints.txt pins it, and everything else follows them."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

EXTRAS = ("dev", "keyring", "postgres")


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return dict(tomllib.loads((root / "pyproject.toml").read_text())["project"])


@pytest.fixture(scope="module")
def pins(root: Path) -> list[Requirement]:
    lines = (root / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def pinned_here(pins: list[Requirement]) -> dict[str, Requirement]:
    """The pins that apply to this interpreter and platform."""
    return {canonicalize_name(pin.name): pin for pin in pins if pin.marker is None or pin.marker.evaluate()}


def required(project: dict[str, Any], *extras: str) -> list[Requirement]:
    optional = project["optional-dependencies"]
    return [Requirement(line) for line in (*project["dependencies"], *(line for extra in extras for line in optional[extra]))]


def installed_closure(requirements: list[Requirement]) -> Iterator[tuple[str, str]]:
    """Each installed distribution that the requirements need here, directly or not, with its version."""
    seen: set[tuple[str, str]] = set()
    waiting = [(requirement, "") for requirement in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(Requirement(line), wanted) for line in found.requires or ()]
        yield name, found.version


def test_every_pin_is_one_exact_version(pins: list[Requirement]) -> None:
    for pin in pins:
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), pin
        assert pin.url is None


def test_every_dependency_is_pinned_within_its_range(project: dict[str, Any], pins: list[Requirement]) -> None:
    for requirement in required(project, *EXTRAS):
        versions = [str(pin.specifier)[2:] for pin in pins if canonicalize_name(pin.name) == canonicalize_name(requirement.name)]
        assert versions, f"{requirement.name} is not in constraints.txt"
        assert all(version in requirement.specifier for version in versions), requirement


def test_this_environment_has_the_pinned_versions(project: dict[str, Any], pinned_here: dict[str, Requirement]) -> None:
    installed = dict(installed_closure(required(project, *EXTRAS)))
    assert len(installed) > 100
    unpinned = sorted(name for name in installed if name not in pinned_here)
    assert unpinned == []
    different = [f"{name} {version}" for name, version in sorted(installed.items()) if version not in pinned_here[name].specifier]
    assert different == []


def test_the_dependencies_of_a_plain_installation_are_all_installed(project: dict[str, Any]) -> None:
    for requirement in required(project):
        assert Version(distribution(requirement.name).version) in requirement.specifier


def test_whatever_the_code_imports_is_declared(root: Path, project: dict[str, Any]) -> None:
    declared = {canonicalize_name(requirement.name) for requirement in required(project, "keyring")}
    providers = packages_distributions()
    undeclared: set[str] = set()
    for path in (*root.glob("workbench/**/*.py"), *root.glob("extensions/**/*.py"), *root.glob("flows/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module else []
            for name in {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names, "workbench"}:
                if not {canonicalize_name(provider) for provider in providers.get(name, ())} & declared:
                    undeclared.add(f"{path.relative_to(root)} imports {name}")
    assert not undeclared, "\n".join(sorted(undeclared))


def test_conda_users_get_the_same_pins(root: Path, project: dict[str, Any]) -> None:
    environment = yaml.safe_load((root / "environment.yml").read_text())
    *from_conda, from_pip = environment["dependencies"]
    assert from_pip == {"pip": ["--constraint constraints.txt", "--editable .[dev]"]}
    assert "pip" in from_conda
    (interpreter,) = (line.partition("=")[2] for line in from_conda if line.startswith("python="))
    assert interpreter in SpecifierSet(project["requires-python"])
    assert {line.partition("=")[0] for line in from_conda} == {"python", "pip"}, "a package from conda would escape the pins"


def test_pip_finds_nothing_to_change_for_a_conda_user(root: Path, tmp_path: Path) -> None:
    """Conda hands the pip section to pip as a requirements file beside environment.yml; here pip only says what it would do."""
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE", "workbench/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(root / name, tmp_path / name)
    *_, from_pip = yaml.safe_load((root / "environment.yml").read_text())["dependencies"]
    (tmp_path / "requirements.txt").write_text("\n".join(from_pip["pip"]))
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--no-build-isolation",
        "--no-index",
        "-r",
        "requirements.txt",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"Would install (.*)", done.stdout) == [f"workbench-{distribution('workbench').version}"]


def test_the_commit_hooks_use_the_pinned_tools(root: Path, pinned_here: dict[str, Requirement]) -> None:
    (repository,) = yaml.safe_load((root / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repository["hooks"]:
        for line in hook["additional_dependencies"]:
            tool = Requirement(line)
            assert tool.specifier == pinned_here[canonicalize_name(tool.name)].specifier
