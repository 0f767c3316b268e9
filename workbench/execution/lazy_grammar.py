"""Builds the grammar of international addresses when one is checked, not when Jupyter is imported: a second less in each process.

jupyter-events and nbformat import jsonschema with its `format-nongpl` extra. jsonschema then imports `rfc3987_syntax`, which
compiles three dozen Earley parsers of RFC 3987 at its own import: 0.8 to 1.2 s in every papermill and JupyterLab process, for
the formats `iri` and `iri-reference`, which no schema of Jupyter names. Known upstream as issue 1559 of jupyter-server; pull
request 1521 of jsonschema moves to a fork that is lazy by itself, and makes this module superfluous. Called by the warm
kernels, the cards and `workbench lab` before they import Jupyter.

`WORKBENCH_LAZY_GRAMMAR=0` in the environment switches it off.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["defer_iri_grammar"]

PACKAGE = "rfc3987_syntax"
SWITCH = "WORKBENCH_LAZY_GRAMMAR"


def defer_iri_grammar() -> None:
    """Puts the package `rfc3987_syntax` in its place unread; it is read when an address is checked or another name is asked for.

    Addresses are judged as before. Does nothing where the package is imported already, or not installed.
    """
    if PACKAGE in sys.modules or os.environ.get(SWITCH) == "0":
        return
    spec = importlib.util.find_spec(PACKAGE)
    if spec is not None and spec.loader is not None:
        sys.modules[PACKAGE] = _unread(spec, spec.loader)


def _unread(spec: ModuleSpec, loader: Loader) -> ModuleType:
    """The package's own module object before it is executed, with the one function that jsonschema takes from it.

    `importlib.util.LazyLoader` would not do: to take a function from its modules executes them.
    """
    package = importlib.util.module_from_spec(spec)
    real: list[Callable[[str, str], bool]] = []

    def is_valid_syntax(term: str, value: str) -> bool:
        """Whether `value` follows the rule `term` of RFC 3987."""
        return read()(term, value)

    def read() -> Callable[[str, str], bool]:
        if not real:
            loader.exec_module(package)
            real.append(package.is_valid_syntax)
            vars(package)["is_valid_syntax"] = is_valid_syntax  # one function under this name, so that it can be pickled
        return real[0]

    def absent(name: str) -> Any:
        """What Python calls for a name that the module lacks (PEP 562); debuggers and tests ask every module for dunders."""
        if real or (name.startswith("__") and name != "__all__"):
            raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}")
        read()
        return getattr(package, name)

    is_valid_syntax.__module__, is_valid_syntax.__qualname__ = PACKAGE, "is_valid_syntax"
    vars(package).update(is_valid_syntax=is_valid_syntax, __getattr__=absent)
    return package
