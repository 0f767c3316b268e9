"""Asks the warm process for a kernel or a job, and starts it on first use. Called by the engine, the provisioner and commands.

Warm processes are never a dependency: whatever goes wrong here is `Unavailable` with a reason, and the caller goes the standard
way and says so. `WORKBENCH_WARM=0` turns them off.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sys
import time
from contextlib import contextmanager, suppress

from workbench.errors import WorkbenchError
from workbench.execution.warm.inherited import traits
from workbench.execution.warm.place import socket_path, starting_environment
from workbench.execution.warm.wire import ANSWER, ORDER, RELEASE, Wire, pair

TYPE_CHECKING = False  # typing's own, dataclasses and pathlib take milliseconds to import, and thin processes load this module
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from workbench.execution.warm.kept import Kept

__all__ = ["Process", "Unavailable", "ask", "ask_cells", "ask_fork_point", "ask_job", "reason_against", "state", "stop"]

START_SECONDS = 60.0
ANSWER_SECONDS = 60.0
TRIES = 3


class Unavailable(Exception):
    """Why there is no warm process for this request; the message completes the sentence 'the standard engine is used: …'."""


class Process:
    """A forked process that lives for us: it ends when `control` is closed, or when this process does."""

    def __init__(self, pid: int, control: Wire) -> None:
        self.pid, self.control = pid, control
        self.exit_code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs; -9 when the warm process itself is gone."""
        return self.wait(0.0)

    def wait(self, seconds: float | None = None) -> int | None:
        """Waits for its end; None when the time is over."""
        if self.exit_code is None:
            try:
                frame = self.control.receive(None if seconds is None else time.monotonic() + seconds)
            except (EOFError, OSError):
                self.exit_code = -9
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)  # what it started: the process that would have seen to that is gone
            else:
                self.exit_code = None if frame is None else int(frame.content()["exit"])
        return self.exit_code

    def close(self) -> None:
        """Ends it, if it still runs."""
        self.poll()  # where the process that would see to its group is gone, this does
        self.control.close()

    def release(self) -> None:
        """Lets it live on without us."""
        with suppress(OSError):
            self.control.send(ORDER, RELEASE)
        self.control.close()


def reason_against(environment: Mapping[str, str]) -> str | None:
    """Why warm processes are not to be used at all, or None."""
    if environment.get("WORKBENCH_WARM", "1") in ("0", "off", "no"):
        return "WORKBENCH_WARM turns warm kernels off"
    if sys.platform != "linux":
        return f"warm kernels need Linux, this is {sys.platform}"
    if sys.flags.optimize or sys.flags.isolated or sys.flags.no_site:
        return "the interpreter runs with options that a warm process does not have"
    return None


def ask_cells(
    modules: Sequence[str],
    *,
    folder: str | os.PathLike[str],
    environment: Mapping[str, str],
    output: str | os.PathLike[str] | None = None,
) -> tuple[Process, Wire]:
    """A kernel that has imported `modules`, and the wire over which it runs cells.

    `output` is the file that this process keeps up to date with `saving`; if it is killed, what it left there is merged.

    Raises:
        Unavailable: there is none to be had.
    """
    order = {
        "kind": "cells",
        "modules": list(modules),
        "cwd": os.fspath(folder),
        "environment": dict(environment),
        "output": _named(output),
    }
    return _ask_with_wire(order)


def ask_job(
    entry: str, job: Mapping[str, Any], *, folder: str | os.PathLike[str], environment: Mapping[str, str]
) -> tuple[Process, Wire]:
    """A process that calls `entry`, as `module:function`, with the job, and the wire over which it tells of it.

    The warm process imports the module, so that later jobs have it. The function's result is the exit code.

    Raises:
        Unavailable: there is none to be had.
    """
    order = {"kind": "job", "entry": entry, "job": dict(job), "cwd": os.fspath(folder), "environment": dict(environment)}
    return _ask_with_wire(order)


def ask_fork_point(
    entry: Kept, environment: Mapping[str, str], output: str | os.PathLike[str] | None = None
) -> tuple[Process, Wire]:
    """A kernel that continues from a fork point; `output` as for `ask_cells`.

    Raises:
        Unavailable: it has just ended.
    """
    from workbench.execution.warm.kept import connect

    order = {"kind": "cells", "environment": dict(environment), "output": _named(output)}
    return _ask_with_wire(order, lambda: connect(entry))


def _named(output: str | os.PathLike[str] | None) -> str | None:
    return None if output is None else os.fspath(output)


def _ask_with_wire(order: Mapping[str, Any], connect_to: Callable[[], Wire] | None = None) -> tuple[Process, Wire]:
    ours, theirs = pair()
    try:
        return ask(order, [theirs.fileno()], connect_to=connect_to), ours
    except Unavailable:
        ours.close()
        raise
    finally:
        theirs.close()


def ask(
    order: Mapping[str, Any],
    connections: Sequence[int],
    *,
    standard: Sequence[int] = (0, 1, 2),
    connect_to: Callable[[], Wire] | None = None,
) -> Process:
    """Hands an order to the warm process, with the standard files of the process to be and further connections.

    `connect_to` connects to another process that forks, instead of the warm one.

    Raises:
        Unavailable: the order was refused, or nobody answers.
    """
    environment = order["environment"]
    against = reason_against(environment)
    if against is not None:
        raise Unavailable(against)
    with _all_open(standard) as files:
        for _ in range(TRIES):
            try:
                control = _connect(environment, order["cwd"]) if connect_to is None else connect_to()
            except OSError as error:
                raise Unavailable(f"what the run would continue from is gone: {error.strerror}") from error
            try:
                control.send_files(ORDER, json.dumps({**order, "traits": traits()}).encode(), [*files, *connections])
                frame = control.receive(time.monotonic() + ANSWER_SECONDS)
            except (EOFError, OSError):
                control.close()
                continue  # it was about to end: the next connection starts another
            answer = frame.content() if frame is not None else {"error": f"no answer in {ANSWER_SECONDS:.0f} s"}
            if "pid" in answer:
                return Process(int(answer["pid"]), control)
            control.close()
            if "stale" not in answer:
                raise Unavailable(answer["error"])
    raise Unavailable("the warm process ended each time it was asked")


@contextmanager
def _all_open(standard: Sequence[int]) -> Iterator[list[int]]:
    """The standard files, with the null device for those this process was started without."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        yield [given if _is_open(given) else null for given in standard]
    finally:
        os.close(null)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _connect(wanted: Mapping[str, str], folder: str) -> Wire:
    try:
        environment = starting_environment(wanted, folder)
        address = socket_path(environment)
        return _open(address) or _start(address, environment)
    except (OSError, WorkbenchError) as error:
        raise Unavailable(str(error).partition("\n")[0]) from error


def _open(address: str) -> Wire | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError:
        connection.close()
        raise
    return Wire(connection)


def _start(address: str, environment: Mapping[str, str]) -> Wire:
    """Starts the warm process, once, however many ask at the same time."""
    import subprocess  # only whoever starts it pays for that

    named = address.removesuffix(".sock")
    with open(f"{named}.lock", "w") as lock, open(f"{named}.log", "ab") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        already = _open(address)
        if already is not None:
            return already
        # the folder of this command is not to be searched; option -P would do that too, but every kernel would then have it
        program = "import sys; sys.path.remove(''); from workbench.execution.warm.server import main; main(sys.argv[1])"
        command = [sys.executable, "-c", program, address]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(command, **quiet, env={**environment}, cwd="/", timeout=START_SECONDS, check=False)  # type: ignore[call-overload]  # noqa: S603
        started = _open(address)
        if started is None:
            raise Unavailable(f"the warm process did not start; its log: {log.name}")
        return started


def state(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """What the warm process of this environment says of itself, or None when there is none."""
    return _tell({"kind": "state"}, environment)


def stop(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """Asks the warm process to take no more orders and to end with its last kernel."""
    return _tell({"kind": "stop"}, environment)


def _tell(order: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any] | None:
    control = _open(socket_path(starting_environment(environment, os.getcwd())))
    if control is None:
        return None
    with suppress(EOFError, OSError):
        control.send(ORDER, order)
        frame = control.receive(time.monotonic() + ANSWER_SECONDS)
        control.close()
        if frame is not None and frame.kind == ANSWER:
            found: dict[str, Any] = frame.content()
            return found
    control.close()
    return None
