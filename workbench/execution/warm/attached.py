"""Kernels that talk ZeroMQ as Jupyter clients expect: those of JupyterLab, and kept kernels that a person attaches to."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from ipykernel.kernelapp import IPKernelApp

from workbench.execution.warm.child import become, close_others, exit_hooks, reseed, stand_alone
from workbench.execution.warm.kernel import WarmKernel, introduce

__all__ = ["open_channels", "serve_jupyter"]

CHECK_SECONDS = 1.0


def serve_jupyter(kernel: WarmKernel, order: dict[str, Any], files: list[int]) -> None:
    """Becomes an ordinary ipykernel with the given arguments; never returns. Runs in a child forked from a nest.

    The last file is a connection that is told when the kernel's channels are open.
    """
    *files, connection = files
    close_others([*files, connection])
    stand_alone()
    reseed()
    kernel.leave()
    become(files, order)
    arguments = list(order["arguments"])
    sys.argv = ["ipykernel_launcher.py", *arguments]
    os.environ.pop("JPY_PARENT_PID", None)  # the nest ends it with its client
    application = IPKernelApp.instance()
    application.parent_handle = 1
    application.initialize(arguments)
    introduce(application.shell)
    with socket.socket(fileno=connection) as ready:
        ready.send(b"1")
    application.start()
    exit_hooks()
    os._exit(0)


def open_channels(kernel: WarmKernel, order: dict[str, Any]) -> None:
    """Lets Jupyter clients talk to a kernel that a run left, with its variables, history and count; never returns.

    The order names the `connection_file` to write, readable by its owner alone, and `seconds` without a request after which the
    kernel ends. The channels are unix sockets beside that file.
    """
    shell = kernel.shell
    history = shell.history_manager
    kept = (list(history.input_hist_raw), list(history.input_hist_parsed), dict(history.output_hist), shell.execution_count)
    names, module = shell.user_ns, shell.user_module
    kernel.leave()
    asyncio.set_event_loop(asyncio.new_event_loop())
    path = Path(order["connection_file"])
    draft = path.parent.with_name(path.name)  # JupyterLab takes any file in its folder, also one without a kernel's name
    application = IPKernelApp.instance(user_ns=names, transport="ipc", ip=str(path.with_suffix("")))
    application.parent_handle = 1
    application.capture_fd_output = True
    application.initialize(["-f", str(draft), "--HistoryManager.hist_file=:memory:", "--IPKernelApp.log_level=40"])
    renewed: Any = application.shell
    kernel_of_channels: Any = application.kernel
    renewed.user_module = kernel_of_channels.user_module = module
    raw, parsed, outputs, count = kept
    renewed.history_manager.input_hist_raw[:], renewed.history_manager.input_hist_parsed[:] = raw, parsed
    renewed.history_manager.output_hist.update(outputs)
    renewed.execution_count = count
    renewed.user_ns["get_ipython"] = renewed.get_ipython
    introduce(renewed)
    _end_when_idle(application, float(order["seconds"]))
    described = {**json.loads(draft.read_bytes()), "kernel_name": "python3", "pid": os.getpid()}
    draft.write_bytes(json.dumps(described).encode())
    draft.rename(path)
    try:
        application.start()
    finally:
        path.unlink(missing_ok=True)
        exit_hooks()
        os._exit(0)


def _end_when_idle(application: IPKernelApp, seconds: float) -> None:
    """The kernel ends when nothing was executed for a while."""
    used = [time.monotonic()]

    def note(*_: object) -> None:
        used[0] = time.monotonic()

    def check() -> None:
        if time.monotonic() - used[0] > seconds:
            application.io_loop.stop()
        else:
            application.io_loop.call_later(CHECK_SECONDS, check)

    shell: Any = application.shell
    for event in ("pre_run_cell", "post_run_cell"):
        shell.events.register(event, note)
    application.kernel.io_loop_check = check
    asyncio.get_event_loop().call_later(CHECK_SECONDS, check)
