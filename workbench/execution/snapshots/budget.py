"""Whether a snapshot is worth its cost, decided before it is taken. Called by the code that drives a kernel."""

from __future__ import annotations

import sys
import time
import types
from itertools import islice
from typing import TYPE_CHECKING, Any

from workbench.execution.snapshots.baseline import Baseline, changed_names

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Budget", "size_of"]

GRACE, SHARE = 0.2, 0.05
"""Seconds that snapshots may always take, and the share of the elapsed run on top."""

_FIXED, _PER_BYTE = 0.02, 2e-9
_TELLING = 1 << 24
"""From this size on, in bytes, a snapshot tells what a byte takes on this machine."""

_OBJECT = 128
_LOOKED_AT, _SAMPLE = 5000, 200


class Budget:
    """The time that the snapshots of one run may take: half a second, and a tenth of what the run has taken so far."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._spent = 0.0
        self._asked = self._missed = 0
        self._per_byte = _PER_BYTE

    def allows(self, size: int) -> bool:
        """Whether the next snapshot fits, by its expected size in bytes.

        What the estimate missed before (`size_of` cannot look into every object) is added, as is what a byte took.
        """
        self._asked = size
        allowed = GRACE + SHARE * (time.perf_counter() - self._started)
        return self._spent + _FIXED + (size + self._missed) * self._per_byte <= allowed

    def charge(self, seconds: float, size: int) -> None:
        """Counts a snapshot that was taken or refused: what it took, and its size in bytes (0 if refused)."""
        self._spent += seconds
        if size:
            self._missed = max(0, size - self._asked)
            if self._asked + self._missed > _TELLING:
                self._per_byte = max(0.0, seconds - _FIXED) / (self._asked + self._missed)


def size_of(shell: InteractiveShell, before: Baseline) -> int:
    """About how many bytes a snapshot would have, found in milliseconds.

    Arrays, frames and tensors are asked. Of a long list or mapping a sample is looked at. Any other object counts as the
    bytes of an array that take as long to write.
    """
    seen: set[int] = set()
    return sum(_weight(value, seen) for value in changed_names(shell, before).values())


def _weight(value: Any, seen: set[int]) -> int:
    if id(value) in seen or isinstance(value, type | types.ModuleType):
        return 0
    if len(seen) > _LOOKED_AT:
        return _OBJECT
    seen.add(id(value))
    memory = _memory(value)
    if memory is not None:
        return memory
    if isinstance(value, str | bytes | bytearray):
        return _OBJECT + len(value)
    if isinstance(value, dict | list | tuple | set | frozenset):
        sample = list(islice(value, _SAMPLE))
        found = sum(_weight(entry, seen) for entry in sample)
        if isinstance(value, dict):
            found += sum(_weight(value[key], seen) for key in sample)
        return _OBJECT + found * len(value) // max(1, len(sample))
    return _OBJECT + _weight(getattr(value, "__dict__", ()), seen)


def _memory(value: Any) -> int | None:
    """The bytes of an array, a frame or a tensor; None for anything else."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    size: Any = None
    if numpy is not None and isinstance(value, numpy.ndarray):
        held = value.base if isinstance(value.base, numpy.ndarray) else value
        size = held.nbytes + held.dtype.hasobject * held.size * _OBJECT
    elif pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series | pandas.Index):
        columns = value.dtypes if isinstance(value, pandas.DataFrame) else [value.dtype]
        used = value.memory_usage()
        size = used.sum() if isinstance(value, pandas.DataFrame) else used
        size += sum(kind.kind == "O" for kind in columns) * len(value) * _OBJECT
    elif polars is not None and isinstance(value, polars.DataFrame | polars.Series):
        size = value.estimated_size()
    elif torch is not None and isinstance(value, torch.Tensor):
        size = value.untyped_storage().nbytes()
    return None if size is None else int(size)
