"""A command that was forwarded to the warm process: what it needs is imported there once. Called in the process forked for it."""

from __future__ import annotations

import signal
import sys
from typing import Any

import rich.progress  # noqa: F401 - imported ahead, like the two below: what `execute` imports when it runs

import workbench.cli.output
import workbench.execution.papermill_run  # noqa: F401
from workbench.cli.entry import commands, main
from workbench.execution.warm.wire import Wire

__all__ = ["run"]


def _parse_once() -> None:
    """The first parsing takes longest; the warm process imports this module once, and its forks have that behind them."""
    with commands().make_context("workbench", ["execute", "in.ipynb", "out.ipynb"]) as context:
        execute = commands().get_command(context, "execute")
        assert execute is not None  # noqa: S101 - the command is forwarded, so there is one
        execute.make_context("execute", ["in.ipynb", "out.ipynb"])


_parse_once()


def run(job: dict[str, Any], wire: Wire) -> int:
    """Runs the command line with the job's arguments; returns its exit code."""
    wire.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["workbench", *job["arguments"]]
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
