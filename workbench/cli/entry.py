"""The way in and out of the command line: arguments are put right, and whatever ends a command becomes a message and a code."""

from __future__ import annotations

import gc
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from typer import TyperException
from typer.main import get_group

from workbench.cli.app import app
from workbench.cli.output import errors, print_error
from workbench.cli.permissions import require_declared
from workbench.errors import BadInput, WorkbenchError

if TYPE_CHECKING:
    from typer.core import TyperGroup

__all__ = ["commands", "main"]

INTERRUPTED = 130


def main() -> None:
    """Runs the command line; every error becomes a message and an exit code, never a traceback."""
    arguments = _joined(sys.argv[1:]) or ["--help"]
    as_json = "--json" in arguments
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _run(arguments)
    except WorkbenchError as error:
        print_error(error, as_json=as_json)
        code = error.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # the last resort: a fault of ours is kept in a file, not thrown at a person
        print_error(_fault(error), as_json=as_json)
        code = WorkbenchError.exit_code
    if code == INTERRUPTED:
        errors.print("interrupted; nothing is left running")
    gc.freeze()  # a process that ends need not look for cycles in all it has imported: 0.2 s where polars is
    sys.exit(code)


@cache
def commands() -> TyperGroup:
    """The tree of all commands, which takes longer to build than many of them to run.

    Raises:
        WorkbenchError: a command declares no permission.
    """
    group = get_group(app)
    require_declared(group)
    return group


def _run(arguments: Sequence[str]) -> int:
    """Runs the command; returns 0, or the code with which Typer wants to end, as 130 after Ctrl-C.

    Raises:
        BadInput: the words are not a command of ours.
    """
    try:
        return commands().main(args=list(arguments), prog_name="workbench", standalone_mode=False) or 0
    except TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "workbench"
        raise BadInput(error.format_message(), hint=f"Read how it is used: {command} --help") from error


def _fault(error: Exception) -> WorkbenchError:
    with tempfile.NamedTemporaryFile("w", prefix="workbench-", suffix=".log", delete=False) as log:
        log.write("".join(traceback.format_exception(error)))
    return WorkbenchError(
        f"a fault of the workbench: {type(error).__name__}: {error}",
        hint=f"Please report it, with {log.name}",
    )


def _terminate(_signal: int, _frame: object) -> None:
    """SIGTERM ends a command like Ctrl-C does: what it started is stopped first."""
    raise KeyboardInterrupt


def _joined(arguments: Sequence[str]) -> list[str]:
    """`-p NAME VALUE`, as papermill's users write it, becomes `-p NAME=VALUE`; a pair without a value stays as it is."""
    joined: list[str] = []
    waiting = list(reversed(arguments))
    while waiting:
        joined.append(waiting.pop())
        if joined[-1] in ("-p", "--parameter") and waiting:
            joined.append(waiting.pop())
            if "=" not in joined[-1] and waiting and _is_value(waiting[-1]):
                joined[-1] += f"={waiting.pop()}"
    return joined


def _is_value(word: str) -> bool:
    """Whether a word can be a parameter's value: what begins with a dash is an option, unless it is a number."""
    if not word.startswith("-"):
        return True
    try:
        float(word)
    except ValueError:
        return False
    return True
