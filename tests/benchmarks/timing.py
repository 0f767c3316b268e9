"""How the benchmarks measure: sides take turns in one process tree, so that whatever else the machine does meets them all."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable


def interleaved(*sides: Callable[[], float], rounds: int) -> tuple[float, ...]:
    """The median of each side, measured in turns: A B A B …; a side does its work once and returns what it cost."""
    taken = [[side() for side in sides] for _ in range(rounds)]
    return tuple(statistics.median(costs) for costs in zip(*taken, strict=True))


def cpu_seconds(work: Callable[[], object]) -> float:
    """The processor time that work takes on all threads of this process; other people's load hardly touches it."""
    started = time.process_time()
    work()
    return time.process_time() - started


def wall_seconds(work: Callable[[], object]) -> float:
    """The time a person waits for work."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def load() -> float:
    """How many processes wanted a core, on average over the last minute."""
    return os.getloadavg()[0]


def machine(load_before: float) -> str:
    """System, cores, and the load before and after: after, the benchmark itself is in it."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, load {load_before:.1f} → {load():.1f}"
