"""Hands `workbench execute` to the warm process, which has everything imported: an answer in a tenth of a second."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from workbench.execution.warm.asking import Process, Unavailable, ask_job

TYPE_CHECKING = False  # typing's own takes milliseconds to import, and this module is all that a forwarded command loads
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

__all__ = ["forward"]

FORWARDED = ("execute",)


def forward(arguments: Sequence[str]) -> int | None:
    """Runs the command in the warm process, with this process's terminal, folder and environment.

    Returns:
        Its exit code; None when the command is to be run here: it is not one of these, or there is no warm process.
    """
    if not arguments or arguments[0] not in FORWARDED:
        return None
    os.environ.pop("WORKBENCH_TOKEN", None)  # what runs in a notebook must not act as the person
    job = {"arguments": list(arguments)}
    try:
        process, wire = ask_job("workbench.cli.forwarded:run", job, folder=os.getcwd(), environment=dict(os.environ))
    except (Unavailable, OSError):
        return None
    wire.close()
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, lambda *_: _pass_on(process, signal.SIGTERM))
    return _wait(process)


def _wait(process: Process) -> int:
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            _pass_on(process, signal.SIGINT)
            continue
        return 128 - code if code is not None and code < 0 else code or 0


def _pass_on(process: Process, number: int, _frame: FrameType | None = None) -> None:
    with suppress(ProcessLookupError):
        os.kill(process.pid, number)
