"""Which modules a notebook imports, and importing them ahead of it without changing what it sees. Used by runner and nest."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import sys
import sysconfig
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path

from workbench.execution.warm.gpu import driver_started

__all__ = ["changed", "hidden", "import_all", "modules_of", "stamps"]

CHANGES_IMPORTS = re.compile(
    r"environ|putenv|%env|%set_env|dotenv|sys\.path|sys\.modules|site\.|monkeypatch|meta_path|%matplotlib (?!inline)"
    r"|^[ \t!%]*(?:python\S* -m )?(?:pip3?|conda|mamba|uv)\b.*\binstall\b"
    r"|(?:simplefilter|filterwarnings)\(\s*(?:action=)?.(?:error|always|default)",
    re.MULTILINE,
)
"""What a line must not hold before an import that is to be done ahead: it may change what the import does."""

NEVER = frozenset({"matplotlib_inline", "antigravity", "this", "__main__"})
"""Modules that only work when they are imported inside the notebook's own shell."""


def modules_of(sources: Iterable[str]) -> tuple[str, ...]:
    """The modules that code cells import, in order; it stops where a cell changes what imports do.

    Names only: nothing is imported or looked up here. `from a import b` counts as `a` and perhaps `a.b`, relative imports not
    at all.
    """
    found: dict[str, None] = {}
    for source in sources:
        changed = CHANGES_IMPORTS.search(source)
        for name in _imported(source[: changed.start()] if changed else source):
            found[name] = None
        if changed:
            break
    return tuple(found)


def _imported(source: str) -> list[str]:
    """Imports at any depth of a cell; lines that only IPython understands are left out."""
    code = "\n".join("" if re.match(r"\s*[%!?]", line) else line for line in source.splitlines())
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # what is imported from a package may be a module of it, as in `from workbench import session`
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names if alias.name.islower())]
    return [name for name in names if name.partition(".")[0] not in NEVER | sys.stdlib_module_names]


def import_all(modules: Sequence[str], displayed: Callable[[], int] = lambda: 0) -> list[str]:
    """Imports modules in a process that will be forked; returns those that must not be imported ahead.

    These are modules whose import writes to the terminal, displays something, warns or starts a thread of Python's: a notebook
    would not see that again. Nor one that starts a GPU's driver, since no fork could use the GPU then. One that cannot be
    imported is left to the notebook, whose cell will say why.

    Args:
        modules: their names, in the order of their imports.
        displayed: how many messages the shell has sent so far.
    """
    unfit = []
    for name in modules:
        threads, before, started = threading.active_count(), displayed(), driver_started()
        with tempfile.TemporaryFile() as said:
            kept = [os.dup(descriptor) for descriptor in (1, 2)]
            for descriptor in (1, 2):
                os.dup2(said.fileno(), descriptor)
            try:
                with warnings.catch_warnings(record=True) as warned, suppress(BaseException):
                    warnings.simplefilter("default")
                    if not _is_there(name):
                        importlib.import_module(name)
                _flush()
            finally:
                for descriptor, original in zip((1, 2), kept, strict=True):
                    os.dup2(original, descriptor)
                    os.close(original)
            seen = said.tell() or _shown(warned) or displayed() > before
            if seen or threading.active_count() > threads or driver_started() > started:
                unfit.append(name)
    return unfit


def _is_there(name: str) -> bool:
    """Whether a package has something of this name, which may be no module: `from a import b` does not import `a.b` then."""
    package, _, last = name.rpartition(".")
    return hasattr(sys.modules.get(package), last)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _shown(warned: Sequence[warnings.WarningMessage]) -> bool:
    """Python shows deprecations only where `__main__` causes them, so those of a library do not count."""
    quiet = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
    return any(not issubclass(message.category, quiet) for message in warned)


def hidden(folder: str) -> str | None:
    """A file in the notebook's folder that would be imported there, had a module of its name not been imported ahead; or None."""
    with suppress(OSError):
        there = {entry.partition(".")[0] for entry in os.listdir(folder)}
        for name in sorted(name for name in there if name in sys.modules and name not in sys.stdlib_module_names):
            found = PathFinder.find_spec(name, [folder])
            loaded = getattr(sys.modules[name], "__file__", None)
            if found and found.origin and loaded and os.path.realpath(found.origin) != os.path.realpath(loaded):
                return found.origin
    return None


def stamps(configuration: Iterable[str] = ()) -> dict[str, int]:
    """The files and folders that this process was made of, each with the time of its last change in nanoseconds.

    Of installed packages that is their folder, which pip changes; of others, such as editable installs, each loaded file. Files
    of `configuration` need not exist, and count as changed when one is made.
    """
    installed = {str(Path(sysconfig.get_path(name))) for name in ("purelib", "platlib", "stdlib", "platstdlib")}
    origins = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    edited = {origin for origin in origins if isinstance(origin, str) and not origin.startswith(tuple(installed))}
    there = {path: stamp for path in installed | edited if (stamp := _stamp(path))}
    return there | {path: _stamp(path) for path in configuration}


def _stamp(path: str) -> int:
    """When a file or folder was changed; 0 where there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def changed(seen: Mapping[str, int]) -> str | None:
    """A path that is no longer as `stamps` saw it, or None: what it gave would not be what an import gives now."""
    return next((path for path, stamp in seen.items() if _stamp(path) != stamp), None)
