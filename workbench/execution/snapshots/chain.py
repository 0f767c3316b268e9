"""Names of snapshots: a hash chain over what a namespace was computed from. Called by the runner and by `resume`."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["chain", "environment", "origin"]

_INSTALLED = (".dist-info", ".egg-info")


def origin(*, parameters: Mapping[str, Any], data: Mapping[str, str], environment: str) -> str:
    """The first link, before any cell ran.

    Args:
        parameters: the run's parameters, plain JSON values; 1, 1.0 and true are three different ones.
        data: the digest of each upstream value, by name.
        environment: what `environment()` said.

    Returns:
        A sha256 in hexadecimal.
    """
    start = {"parameters": dict(parameters), "data": dict(data), "environment": environment}
    return hashlib.sha256(json.dumps(start, sort_keys=True).encode()).hexdigest()


def chain(previous: str, source: str) -> str:
    """The link after one executed code cell: a sha256 in hexadecimal over the link before it and the cell's source."""
    return hashlib.sha256(f"{previous}\0{source}".encode()).hexdigest()


def environment() -> str:
    """The fingerprint of this interpreter and of every distribution on its path, by name and version.

    It reads the names of the metadata folders (PyPA, "Recording installed projects") rather than the metadata: two
    milliseconds instead of hundreds. What an editable install holds is not seen here; a snapshot checks such sources itself.
    """
    facts = [sys.version, platform.machine(), sys.implementation.cache_tag or "", *sorted(set(_distributions()))]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _distributions() -> Iterator[str]:
    for folder in sys.path:
        if os.path.isdir(folder):
            yield from (name for name in os.listdir(folder) if name.endswith(_INSTALLED))
