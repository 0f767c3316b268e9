"""Reads `differences.toml`: what may differ from papermill's default engine, and why. Used by `corpus` and `suites`."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

__all__ = ["Explanation", "explanation", "listed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why something differs; `intended` when our engine is meant to do otherwise, as it is not when it merely may."""

    where: tuple[str, ...]
    why: str
    intended: bool = False


def explanation(name: str, place: str) -> Explanation | None:
    """Why a difference is as it should be, or None.

    Args:
        name: a notebook as `GROUP/NOTEBOOK`, or `SUITE-suite`.
        place: a cell's id or position, `metadata`, `error` or `cells`; or a test's id.
    """
    return next((each for each in listed() if any(fnmatchcase(f"{name}:{place}", pattern) for pattern in each.where)), None)


@functools.cache
def listed() -> tuple[Explanation, ...]:
    """Every entry, in order."""
    listed = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return tuple(Explanation(**{**each, "where": tuple(each["where"])}) for each in listed["difference"])
