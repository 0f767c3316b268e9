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
from workbench.serving.scorer.signature import SIGNATURE
from workbench.serving.scorer.trusted import open_skops
from workbench.settings import TELEMETRY_OFF, templates

__all__ = ["bento_folder", "build_bento", "date", "model_folder", "open_bentoml", "pinned", "remove_bento"]

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


def bento_folder(tag: str) -> Path | None:
    """Where BentoML's store keeps a bento, or None: the store is outside the project, and people may clean it."""
    return _stored(tag, "bento_store_dir")


def model_folder(tag: str) -> Path | None:
    """Where BentoML's store keeps a model, or None."""
    return _stored(tag, "model_store_dir")


def _stored(tag: str, store: str) -> Path | None:
    """The folder of a tag, without parsing what is in it: it is read to be verified, and may hold anything."""
    open_bentoml()
    from bentoml._internal.configuration.containers import BentoMLContainer

    name, _, version = tag.partition(":")
    folder = Path(getattr(BentoMLContainer, store).get(), name, version)
    return folder if version and folder.is_dir() else None


def remove_bento(tag: str) -> None:
    """Removes a bento from BentoML's store."""
    open_bentoml().bentos.delete(tag)


def date(description: Path, made: str) -> None:
    """Writes `made` in place of the clock's time into BentoML's description of a model or bento.

    Nothing else in it depends on when it was built, so the same model gives the same bytes, and its signature holds again.
    """
    text = description.read_text(encoding="utf-8")
    description.write_text(re.sub(r"(creation_time: )'[^']*'", rf"\g<1>'{made}'", text), encoding="utf-8")


def build_bento(manifest: Manifest, *, model_tag: str, model_file: Path, signature: bytes, made: str, folder: Path) -> Path:
    """Builds `name:version` of a manifest anew; the same content dated the same gives the same bytes.

    The build runs in its own process inside the generated folder, so it imports the copied modules and not this installation:
    a module that the bento would miss fails here.

    Args:
        manifest: The model's manifest.
        model_tag: The stored model the bento carries.
        model_file: The skops file, asked which of our own classes it holds.
        signature: The signature over the model's files, which travels with them.
        made: When it counts as made (ISO 8601).
        folder: Generated anew; left behind for people who want to look.

    Returns:
        The bento's folder.

    Raises:
        PackagingFailed: BentoML cannot build; the end of its output is in the message.
    """
    _generate(manifest, model_tag=model_tag, model_file=model_file, folder=folder)
    (folder / SIGNATURE).write_bytes(signature)
    tag = f"{manifest.name}:{manifest.version}"
    if bento_folder(tag) is not None:
        remove_bento(tag)
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
    built = Path(open_bentoml().bentos.get(tag).path)
    date(built / "bento.yaml", made)
    return built


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
