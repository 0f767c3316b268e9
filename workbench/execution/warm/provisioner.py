"""The kernel provisioner `workbench-provisioner`: JupyterLab and nbclient get their kernels from the warm process.

jupyter_client finds it by its entry point. `workbench lab` makes it the default, and the kernelspec `workbench` names it; a
kernel that the warm process cannot serve is started as ever.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from workbench.errors import NotebookInvalid
from workbench.execution.code_cells import code_cells
from workbench.execution.kernels import require_own
from workbench.execution.warm.asking import Process, Unavailable, ask
from workbench.execution.warm.imports import modules_of

__all__ = ["WarmProvisioner"]

SESSION_VARIABLE = "JPY_SESSION_NAME"
"""jupyter_server names here the notebook for which a kernel is started."""

MOST_NOTEBOOKS = 20
OPEN_SECONDS = 30.0


class WarmProvisioner(LocalProvisioner):
    """Starts ipykernel as a fork of the warm process."""

    async def launch_kernel(self, cmd: list[str], **given: Any) -> Any:
        """Starts the kernel; falls back to a process of its own, and logs why."""
        environment = dict(given.get("env") or os.environ)
        folder = Path(given.get("cwd") or Path.cwd())
        try:
            require_own(cmd)
            order = {
                "kind": "jupyter",
                "modules": modules_of(_sources(folder, environment)),
                "cwd": str(folder),
                "environment": environment,
                "arguments": cmd[3:],
            }
            with open(os.devnull, "r+b") as null:
                standard = [null.fileno(), *(_descriptor(given.get(name), own, null.fileno()) for name, own in _OUTPUTS)]
                # an executor of its own: the loop's may come from before a fork of this process, without its threads
                with ThreadPoolExecutor(1) as thread:
                    forked = await asyncio.get_running_loop().run_in_executor(thread, lambda: _opened(order, standard))
        except Unavailable as reason:
            self.log.warning("workbench: no warm kernel, a cold one is started: %s", reason)
            return await super().launch_kernel(cmd, **given)
        self.process = _Popen(forked)  # type: ignore[assignment]  # as much of one as jupyter_client uses
        self.pid = self.pgid = forked.pid
        self.cwd = given.get("cwd", Path.cwd())
        return self.connection_info

    async def wait(self) -> int | None:
        """Waits for the kernel's end; a forked one's is told at once, not polled for."""
        process: object = self.process
        if not isinstance(process, _Popen):
            code: int | None = await super().wait()
            return code
        if process.poll() is None:
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_reader(process.fileno(), ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(process.fileno())
        code = process.wait()
        process.close()
        self.process = None
        return code


def _opened(order: Mapping[str, Any], standard: Sequence[int]) -> Process:
    """A forked kernel whose channels are open: a client that connects before has to try again, which takes it long."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            forked = ask(order, [theirs.fileno()], standard=standard)
        ours.settimeout(OPEN_SECONDS)
        with suppress(TimeoutError):  # jupyter_client has time-outs of its own
            ours.recv(1)  # nothing, when the kernel has died: jupyter_client finds out
    return forked


_OUTPUTS = (("stdout", 1), ("stderr", 2))


class _Popen:
    """A forked kernel as jupyter_client knows processes: a part of `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, forked: Process) -> None:
        self.forked, self.pid = forked, forked.pid

    @property
    def returncode(self) -> int | None:
        return self.forked.exit_code

    def poll(self) -> int | None:
        return self.forked.poll()

    def wait(self, timeout: float | None = None) -> int:
        code = self.forked.wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("kernel", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def fileno(self) -> int:
        return self.forked.control.fileno()

    def close(self) -> None:
        self.forked.close()


def _descriptor(given: Any, own: int, null: int) -> int:
    """A standard file as `subprocess` takes it: nobody reads what a kernel says outside its cells, so pipes are not made."""
    if given is None:
        return own
    if given in (subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT):
        return null
    return given if isinstance(given, int) else int(given.fileno())


def _sources(folder: Path, environment: Mapping[str, str]) -> Sequence[str]:
    """The code of the notebook that is being opened; while it has none, that of its neighbours, which import what it will."""
    named = environment.get(SESSION_VARIABLE)
    own = _code(folder / Path(named).name) if named else []
    if any("import" in source for source in own):
        return own
    neighbours = sorted(folder.glob("*.ipynb"), key=lambda path: path.name)[:MOST_NOTEBOOKS]
    return [line for path in neighbours for source in _code(path) for line in _import_lines(source)]


def _import_lines(source: str) -> list[str]:
    return [line for line in source.splitlines() if line.startswith(("import ", "from "))]


def _code(notebook: Path) -> list[str]:
    try:
        return [cell.source for cell in code_cells(notebook)]
    except NotebookInvalid:
        return []
