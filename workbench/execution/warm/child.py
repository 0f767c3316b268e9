"""What a forked child does to become the process its client asked for: files, folder, environment, randomness, exit."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import random
import signal
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from workbench.execution.warm.inherited import inherit

__all__ = [
    "become",
    "close_others",
    "end_with_parent",
    "exit_hooks",
    "freeze",
    "one_thread",
    "reseed",
    "stand_alone",
    "take_files",
]

PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent() -> None:
    """Asks Linux to kill this process when its parent dies, so that a crash of a warm process leaves no orphans."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def freeze() -> None:
    """Before the first fork: no inherited finalizer runs in a child, and the collector leaves shared pages alone."""
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        finalizer.atexit = False
    gc.collect()
    gc.freeze()


def become(files: Sequence[int], order: Mapping[str, Any]) -> None:
    """Takes over what the client has and its order holds: standard files, limits, folder, environment.

    Raises:
        OSError: the folder does not exist or cannot be entered.
    """
    take_files(files)
    inherit(order["traits"])
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    tempfile.tempdir = None  # found by the former environment, if it was
    time.tzset()


def stand_alone() -> None:
    """Gives a forked process a session of its own; it still ends with its parent."""
    os.setsid()
    end_with_parent()


def take_files(files: Sequence[int]) -> None:
    """Takes over the client's standard files."""
    for descriptor, given in enumerate(files[:3]):
        os.dup2(given, descriptor)
    for given in files[:3]:
        if given > 2:  # noqa: PLR2004 - the standard files themselves stay open
            os.close(given)
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc]  # noqa: SIM115 - lives as long as we
    sys.stdout = sys.__stdout__ = open(1, "w", buffering=1, closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")  # type: ignore[misc]  # noqa: SIM115


def close_others(keep: Iterable[int]) -> None:
    """Closes every inherited file but the standard ones and `keep`: connections of others must not live on in a child."""
    kept = {0, 1, 2, *keep}
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with suppress(OSError):
                os.close(int(name))


def reseed() -> None:
    """Siblings must not draw the same random numbers; `secrets` and `uuid` ask the system each time anyway."""
    random.seed()
    numpy_random: Any = sys.modules.get("numpy.random")  # numpy imports it late, and seeds it then
    if numpy_random is not None:
        numpy_random.seed(int.from_bytes(os.urandom(4), "little"))
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "seed"):
        torch.seed()


def one_thread() -> None:
    """In a copy of a process that has computed: OpenMP's threads stayed behind, and a team of one does not wait for them."""
    import threadpoolctl  # type: ignore[import-untyped]

    threadpoolctl.threadpool_limits(1)
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_num_threads"):
        torch.set_num_threads(1)


def exit_hooks() -> None:
    """What the interpreter does at its end: waits for threads, runs exit hooks, flushes. The caller then leaves by `_exit`."""
    for hook in (threading._shutdown, atexit._run_exitfuncs, *(s.flush for s in (sys.stdout, sys.stderr))):  # type: ignore[attr-defined]
        with suppress(BaseException):
            hook()
