"""Builds a bento from a clean, generated folder: the service, the scorer's modules, the manifest and pinned requirements."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import workbench
from workbench.errors import ComponentMissing, PackagingFailed, bounded
from workbench.serving.scorer.manifest import MANIFEST, Manifest
from workbench.serving.scorer.trusted import open_skops
from workbench.settings import TELEMETRY_OFF, templates

__all__ = ["build_bento", "is_stored", "open_bentoml", "pinned"]

REQUIREMENTS = {
    "onnx": ("bentoml", "numpy", "onnxruntime", "pydantic"),
    "skops": ("bentoml", "numpy", "pydantic", "scikit-learn", "skops", "pandas"),
}
MODULES = ("__init__.py", "errors.py", "serving/__init__.py")
BUILD_SECONDS = 180
_OURS = re.compile(r"workbench(?:\.[a-z_]+)+(?=\.[A-Z])")


def open_bentoml() -> ModuleType:
    """BentoML with its stores, imported with its telemetry off."""
    os.environ.update({name: value for name, value in TELEMETRY_OFF.items() if name.startswith(("BENTOML", "DO_NOT"))})
    with warnings.catch_warnings():
        # BentoML 1.4 builds its ignore patterns with an old name of pathspec's
        warnings.simplefilter("ignore", DeprecationWarning)
        import bentoml
        import bentoml.bentos
        import bentoml.exceptions
        import bentoml.models
    return bentoml


def is_stored(tag: str) -> bool:
    """Whether BentoML's store holds a bento with this tag: it is outside the project, and people may clean it."""
    bentoml = open_bentoml()
    try:
        bentoml.bentos.get(tag)
    except bentoml.exceptions.BentoMLException:
        return False
    return True


def build_bento(manifest: Manifest, *, model_tag: str, model_file: Path, folder: Path) -> None:
    """Builds `name:version` of a manifest, unless the store already holds a bento of exactly the same content.

    The build runs in its own process inside the generated folder, so it imports the copied modules and not this installation:
    a module that the bento would miss fails here.

    Args:
        manifest: The model's manifest.
        model_tag: The stored model the bento carries.
        model_file: The skops file, asked which of our own classes it holds.
        folder: Generated anew; left behind for people who want to look.

    Raises:
        PackagingFailed: BentoML cannot build; the end of its output is in the message.
    """
    _generate(manifest, model_tag=model_tag, model_file=model_file, folder=folder)
    bentoml = open_bentoml()
    tag = f"{manifest.name}:{manifest.version}"
    try:
        if _same(folder, Path(bentoml.bentos.get(tag).path) / "src"):
            return
        bentoml.bentos.delete(tag)
    except bentoml.exceptions.BentoMLException:
        pass  # not built yet
    command = [sys.executable, "-m", "bentoml", "build", ".", "--version", manifest.version, "--output", "tag"]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            cwd=folder,
            env={**os.environ, **TELEMETRY_OFF},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PackagingFailed(f"building the bento took more than {BUILD_SECONDS} s", hint=f"Look into {folder}.") from error
    if done.returncode:
        raise PackagingFailed(
            f"BentoML cannot build {tag}",
            problems=[bounded(line) for line in (done.stdout + done.stderr).strip().splitlines()[-8:]],
            hint=f"Look into {folder}, or run there: python -m bentoml build",
        )


def pinned(names: Iterable[str]) -> list[str]:
    """`name==version` of distributions and of everything they need, as installed here: a bento answers the same in a year.

    Raises:
        ComponentMissing: one of them is not installed.
    """
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        requirement = waiting.pop()
        extras = frozenset(requirement.extras)
        name = canonicalize_name(requirement.name)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found = distribution(name)
        except PackageNotFoundError as error:
            raise ComponentMissing(f"{name} is not installed", hint="Install the workbench with its dependencies.") from error
        versions[name] = found.version.partition("+")[0]
        needed = (Requirement(text) for text in found.requires or ())
        waiting += [one for one in needed if one.marker is None or any(one.marker.evaluate({"extra": e}) for e in extras or {""})]
    return [f"{name}=={version}" for name, version in sorted(versions.items())]


def _generate(manifest: Manifest, *, model_tag: str, model_file: Path, folder: Path) -> None:
    """Writes the bento's source folder: nothing but what is named here travels."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(templates("bentos") / "scorer" / "service.py", folder / "service.py")
    scorer = {"service": manifest.name, "model_tag": model_tag, "digest": manifest.digest}
    (folder / "scorer.json").write_text(json.dumps(scorer, indent=1), encoding="utf-8")
    (folder / MANIFEST).write_bytes(manifest.content())
    package = Path(workbench.__file__).parent
    for path in (*(package / name for name in MODULES), *sorted((package / "serving" / "scorer").glob("*.py"))):
        _copy(path, folder / "workbench" / path.relative_to(package))
    if manifest.format == "skops":
        _copy_estimators(model_file, package, folder / "workbench")
    bentofile = {
        "service": "service:Scorer",
        "name": manifest.name,
        "description": f"Predicts {manifest.target}: model {manifest.name}, version {manifest.version}, as {manifest.format}.",
        "labels": manifest.labels,
        "include": ["*.py", "*.json"],
        "python": {"packages": pinned(REQUIREMENTS[manifest.format]), "lock_packages": False},
    }
    (folder / "bentofile.yaml").write_text(json.dumps(bentofile, indent=1), encoding="utf-8")  # JSON is YAML


def _copy_estimators(model_file: Path, package: Path, target: Path) -> None:
    """Copies the modules of our own estimators that a skops file names, and what these import; their packages become empty."""
    named = (_OURS.match(kind) for kind in open_skops().get_untrusted_types(file=model_file))
    waiting, copied = [module[0] for module in named if module], set(MODULES)
    while waiting:
        relative = "/".join(waiting.pop().split(".")[1:]) + ".py"
        if relative in copied:
            continue
        copied.add(relative)
        _copy(package / relative, target / relative)
        (target / relative).with_name("__init__.py").write_text('"""Holds only what the model needs."""\n', encoding="utf-8")
        waiting += _own_imports((package / relative).read_text(encoding="utf-8"))


def _own_imports(source: str) -> list[str]:
    """The workbench modules that a module's `from workbench.… import …` lines name."""
    nodes = ast.walk(ast.parse(source))
    names = (node.module or "" for node in nodes if isinstance(node, ast.ImportFrom))
    return [name for name in names if name.startswith("workbench.")]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _same(generated: Path, built: Path) -> bool:
    """Whether a built bento holds exactly the generated files; BentoML rewrites bentofile.yaml, so it is left out."""
    return _contents(generated) == _contents(built)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "bentofile.yaml" and "__pycache__" not in path.parts
    }
