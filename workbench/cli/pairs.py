"""Parameters on a command line, `NAME=VALUE`, as a mapping. Used by `run` and `execute`."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.errors import BadInput

__all__ = ["pairs"]


def pairs(given: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` texts as a mapping."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise BadInput(f"-p was given {text!r}, expected NAME VALUE", hint="For example: -p learning_rate 0.05")
        found[name] = value
    return found
