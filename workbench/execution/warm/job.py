"""A job: a whole notebook run inside a process forked from the warm one, so that its caller imports nothing heavy."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import NotebookFailed, WorkbenchError
from workbench.execution.notebook_run import CellEvent, Execution
from workbench.execution.papermill_run import execute
from workbench.execution.rendering import page_beside
from workbench.execution.warm.wire import ANSWER, Wire

__all__ = ["run_job"]

logger = logging.getLogger(__name__)

CANCELLED = 130


def run_job(job: dict[str, Any], wire: Wire) -> int:
    """Runs the notebook, tells the caller of each cell and of the end; returns the exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    execution = msgspec.convert(job["execution"], Execution)

    def report(event: CellEvent) -> None:
        wire.send(ANSWER, {"cell": msgspec.to_builtins(event)})

    try:
        try:
            execute(execution, dict(os.environ), report)
        finally:
            _draw(Path(execution.executed))
    except WorkbenchError as error:
        _say(wire, {"failed": error.as_json()})
        return error.exit_code
    except (KeyboardInterrupt, SystemExit):
        return CANCELLED
    except BrokenPipeError:  # the caller is gone
        return CANCELLED
    except Exception as error:
        failure = NotebookFailed(f"{type(error).__name__}: {error}", hint="This is a fault of the runner; please report it.")
        _say(wire, {"failed": failure.as_json()})
        return failure.exit_code
    _say(wire, {"done": True})
    return 0


def _draw(executed: Path) -> None:
    """The executed notebook as a page: here, where the renderer is imported already, instead of in the step that wants it."""
    if executed.exists():
        try:
            page_beside(executed)
        except Exception:
            logger.exception("the page of %s could not be made; its step will try again", executed)


def _say(wire: Wire, content: object) -> None:
    with suppress(OSError):
        wire.send(ANSWER, content)
