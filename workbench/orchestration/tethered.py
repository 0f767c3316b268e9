"""Continues a run in a process of its own that ends with the one that asked, however that ends. Called by the panel of runs.

A kernel may be restarted or killed at any moment, and its libraries and threads are no place to start a flow from. So the
process leads a session of its own, where no signal meant for the kernel reaches it, and cancels the run when it is orphaned.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from workbench import errors
from workbench.errors import RunFailed, WorkbenchError, bounded
from workbench.orchestration.continuing import resume_run
from workbench.orchestration.progress import Event
from workbench.settings import Layout, find_project

__all__ = ["resume_tethered"]

ORPHANED_SECONDS = 0.5
OF_A_KERNEL = ("JPY_PARENT_PID", "JPY_SESSION_NAME", "MPLBACKEND")
"""Variables that speak of the kernel that asks, and would mislead the kernels of the run."""


def resume_tethered(layout: Layout, run: str, *, from_cell: str | None, on_event: Callable[[Event], None]) -> str:
    """What `continuing.resume_run` does, from a process that may be killed; returns the new run's id.

    Raises:
        WorkbenchError: what `resume_run` raised, or the process ended without a word.
    """
    command = [sys.executable, "-m", __name__, str(os.getpid()), run, *([from_cell] if from_cell else [])]
    said = ""
    with subprocess.Popen(  # noqa: S603 - our own interpreter and this module
        command,
        cwd=layout.root,
        env={name: value for name, value in os.environ.items() if name not in OF_A_KERNEL},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    ) as process:
        for line in process.stdout or ():
            try:
                message = msgspec.json.decode(line)
            except msgspec.DecodeError:  # a library's warning, or the last words of a crash
                said = line.strip() or said
                continue
            if "run" in message:
                return str(message["run"])
            if "error" in message:
                raise _error(message["error"])
            on_event(msgspec.convert(message["event"], Event))
    raise RunFailed(
        f"continuing {run} ended with exit code {process.returncode}: {bounded(said, 300)}",
        hint=f"Continue it in a terminal: workbench resume {run}",
    )


def _error(said: dict[str, Any]) -> WorkbenchError:
    kind = getattr(errors, said["error"], RunFailed)
    error: WorkbenchError = kind(said["message"], problems=said["problems"], hint=said["hint"])
    return error


def main(client: str, run: str, from_cell: str | None = None) -> int:
    """Runs as a program: `CLIENT RUN [CELL]`, where CLIENT is the id of the process that asks."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a parent may have had them ignored, which is inherited
        signal.signal(number, signal.default_int_handler)
    threading.Thread(target=_cancel_when_orphaned, args=(int(client),), daemon=True).start()
    try:
        _say({"run": resume_run(find_project(), run, from_cell=from_cell, on_event=lambda event: _say({"event": event}))})
    except WorkbenchError as error:
        _say({"error": error.as_json()})
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _cancel_when_orphaned(client: int) -> None:
    """Polls, since nothing else sees any end of a parent on every platform; then does what Ctrl-C does."""
    while os.getppid() == client:
        time.sleep(ORPHANED_SECONDS)
    os.kill(os.getpid(), signal.SIGINT)


def _say(message: object) -> None:
    with suppress(BrokenPipeError):  # nobody listens any more: the run is about to be cancelled
        os.write(sys.stdout.fileno(), msgspec.json.encode(message) + b"\n")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
