"""What a process hands on to those it starts, besides files and environment. Used by `asking`, `place` and forked children."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

TYPE_CHECKING = False  # typing's own takes milliseconds to import, and thin processes load this module
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["inherit", "lift_limits", "traits", "unalterable"]

LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
LIFTED = ("AS", "CPU", "DATA", "FSIZE", "MEMLOCK", "NOFILE", "NPROC", "RSS")


def unalterable() -> list[object]:
    """What a fork of another process cannot be given: namespaces, root folder, priority, hard limits.

    Its client needs a warm process where these are the same.
    """
    names = sorted(name for name in os.listdir("/proc/self/ns") if not name.endswith("_for_children"))
    spaces = [os.readlink(f"/proc/self/ns/{name}") for name in names]
    hard = [resource.getrlimit(each)[1] for each in LIMITS]
    root = os.stat("/")
    return [spaces, root.st_dev, root.st_ino, os.getpriority(os.PRIO_PROCESS, 0), hard]


def traits() -> dict[str, Any]:
    """What a fork can be given: umask, processors and soft limits of this process."""
    with open("/proc/self/status") as status:  # os.umask tells it only by changing it, for other threads too
        (umask,) = [line.split()[1] for line in status if line.startswith("Umask:")]
    return {
        "umask": int(umask, 8),
        "processors": sorted(os.sched_getaffinity(0)),
        "limits": {str(each): resource.getrlimit(each) for each in LIMITS},
    }


def inherit(given: Mapping[str, Any]) -> None:
    """Takes over the traits of a client.

    Raises:
        OSError: the system does not allow it.
    """
    os.umask(given["umask"])
    os.sched_setaffinity(0, given["processors"])
    for each, (soft, hard) in given["limits"].items():
        resource.setrlimit(int(each), (soft, hard))


def lift_limits() -> None:
    """The warm process must not be held to what its first client allowed itself."""
    for name in LIFTED:
        each = getattr(resource, f"RLIMIT_{name}")
        with suppress(ValueError, OSError):
            hard = resource.getrlimit(each)[1]
            resource.setrlimit(each, (hard, hard))
