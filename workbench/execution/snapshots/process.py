"""The process around a namespace: folder, variables, search path, imports, a project's own code. Called by `snapshots.folder`."""

from __future__ import annotations

import ast
import hashlib
import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.execution.snapshots.baseline import Baseline

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["apply_changes", "changed_sources", "process_changes"]


def process_changes(shell: InteractiveShell, before: Baseline) -> dict[str, Any]:
    """What must be set again before a value can be unpickled, as plain JSON: folder, search path, variables, imports."""
    history: Any = shell.history_manager
    extensions: Any = shell.extension_manager
    variables = {name: value for name, value in os.environ.items() if before.variables.get(name) != value}
    added = [entry for entry in sys.path if entry not in before.path]
    known = [index for index, entry in enumerate(sys.path) if entry in before.path]
    first = sys.path[: known[0]] if known else added
    return {
        "folder": None if os.getcwd() == before.folder else os.getcwd(),
        "path": {
            "first": first,
            "last": added[len(first) :],
            "without": [entry for entry in before.path if entry not in sys.path],
        },
        "variables": variables | {name: None for name in before.variables if name not in os.environ},
        "recursion": None if sys.getrecursionlimit() == before.recursion else sys.getrecursionlimit(),
        "imports": sorted(set(_imports(history.input_hist_parsed))),
        "extensions": sorted(extensions.loaded - before.extensions),
        "sources": _source_digests(),
    }


def _imports(cells: list[str]) -> Iterator[str]:
    """The submodules that cells import: `import xml.etree.ElementTree` binds `xml` alone, and needs more to be loaded."""
    for cell in cells:
        if "import" in cell:
            try:
                nodes = list(ast.walk(ast.parse(cell)))
            except SyntaxError:  # a cell that failed; nothing was imported by it
                continue
            names = (alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names)
            yield from (name for name in names if "." in name and name in sys.modules)


def _source_digests() -> dict[str, str]:
    """The sha256 of each loaded module's file that no package version vouches for: a project's own code, by path."""
    installed = (sysconfig.get_path("stdlib"), *site.getsitepackages(), site.getusersitepackages())
    found: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name == "__main__" or not isinstance(file, str):
            continue
        if file.endswith(".py") and not file.startswith(installed) and os.path.isfile(file):
            found[file] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return found


def apply_changes(changes: Mapping[str, Any], shell: InteractiveShell) -> None:
    """Sets this process up as `process_changes` saw the other one.

    Raises:
        OSError: a folder is gone.
        ImportError: a module is not installed.
    """
    if changes["folder"] is not None:
        os.chdir(changes["folder"])
    if changes["recursion"] is not None:
        sys.setrecursionlimit(changes["recursion"])
    path = changes["path"]
    sys.path[:] = [*path["first"], *(entry for entry in sys.path if entry not in path["without"]), *path["last"]]
    for name, value in changes["variables"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    for module in changes["imports"]:
        import_module(module)
    manager: Any = shell.extension_manager
    for extension in changes["extensions"]:
        manager.load_extension(extension)


def changed_sources(digests: Mapping[str, str]) -> list[str]:
    """Which files are no longer what they were when `_source_digests` saw them."""

    def differs(path: Path, digest: str) -> bool:
        return not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest

    return [file for file, digest in digests.items() if differs(Path(file), digest)]
