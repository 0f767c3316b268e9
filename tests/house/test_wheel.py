"""The wheel holds what a person who installs it needs, and nothing that happened to lie around."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import workbench

TEMPLATES = ("notebooks", "flows", "bentos")


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `pip wheel` builds it, but with the hatchling of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-q",
        "-w",
        str(folder),
        ".",
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_is_named_after_the_version_of_the_package(wheel: Path) -> None:
    assert wheel.name == f"workbench-{workbench.__version__}-py3-none-any.whl"


def test_every_file_of_the_templates_is_in_the_wheel(root: Path, checkout_files: list[Path], names: set[str]) -> None:
    shipped = [path.relative_to(root).as_posix() for path in checkout_files if path.relative_to(root).parts[0] in TEMPLATES]
    assert {name.partition("/")[0] for name in shipped} == set(TEMPLATES)
    assert {f"workbench/templates/{name}" for name in shipped} <= names


def test_every_file_of_the_package_and_of_the_metaflow_extension_is_in_the_wheel(
    root: Path, checkout_files: list[Path], names: set[str]
) -> None:
    files = [path.relative_to(root).as_posix() for path in checkout_files]
    assert {name for name in files if name.startswith("workbench/")} <= names
    extension = {
        name.removeprefix("extensions/metaflow/") for name in files if name.startswith("extensions/metaflow/metaflow_extensions/")
    }
    assert extension
    assert extension <= names
    assert "metaflow_extensions/__init__.py" not in names, "metaflow finds extensions only in a namespace package"


def test_annotations_example_data_and_licence_are_in_the_wheel(names: set[str]) -> None:
    assert "workbench/py.typed" in names
    assert [name for name in names if name.startswith("workbench/data/examples/credit/") and name.endswith(".parquet")]
    assert f"workbench-{workbench.__version__}.dist-info/licenses/LICENSE" in names


def test_nothing_else_is_in_the_wheel(names: set[str]) -> None:
    own = (
        "workbench/",
        "metaflow_extensions/",
        f"workbench-{workbench.__version__}.dist-info/",
        f"workbench-{workbench.__version__}.data/",
    )
    assert [name for name in names if not name.startswith(own)] == []
    assert [name for name in names if "__pycache__" in name or ".ipynb_checkpoints" in name or name.endswith(".pyc")] == []


def test_jupyterlab_asks_for_no_news_and_no_updates(wheel: Path, tmp_path: Path) -> None:
    prefix = f"workbench-{workbench.__version__}.data/data/"
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(prefix + "etc/jupyter/"):
                target = tmp_path / name.removeprefix(prefix + "etc/jupyter/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
    script = """
import json
from jupyterlab_server.settings_utils import _get_overrides
print(json.dumps(_get_overrides("nowhere")[0]))
"""
    environment = {**os.environ, "JUPYTER_CONFIG_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["@jupyterlab/apputils-extension:notification"] == {
        "fetchNews": "false",
        "checkForUpdates": False,
    }


def test_an_installed_wheel_starts_and_finds_its_templates_and_its_metaflow_extension(wheel: Path, tmp_path: Path) -> None:
    """Away from the checkout, in an interpreter that sees this environment's packages but not its editable installation."""
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "-q", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, timeout=120)
    script = (
        "import workbench, workbench.settings as settings\n"
        "print(workbench.__file__)\n"
        f"for name in {TEMPLATES}:\n"
        "    folder = settings.templates(name)\n"
        "    assert any(folder.iterdir()), name\n"
        "    print(folder)\n"
        "from metaflow import notebook\n"
        "print(__import__(notebook.__module__, fromlist=['']).__file__)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), sysconfig.get_path("purelib")])}
    command = [sys.executable, "-S", "-c", script]  # -S: the .pth file of the editable installation is not read
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2 + len(TEMPLATES)
    assert all(line.startswith(str(site)) for line in done.stdout.splitlines()), done.stdout
