"""Kernels that talk ZeroMQ as Jupyter clients expect: those of JupyterLab, and run kernels that a person attaches to."""

from __future__ import annotations

import os
import sys
from typing import Any

from ipykernel.kernelapp import IPKernelApp

from workbench.execution.warm.child import become, close_others, exit_hooks
from workbench.execution.warm.kernel import enable_inline_plots

__all__ = ["serve_jupyter"]


def serve_jupyter(order: dict[str, Any], files: list[int]) -> None:
    """Becomes an ordinary ipykernel with the given arguments; returns never. Runs in a child forked from a nest."""
    close_others(files)
    become(files, order["cwd"], order["environment"])
    arguments = list(order["arguments"])
    sys.argv = ["ipykernel_launcher.py", *arguments]
    if "" not in sys.path:
        sys.path.insert(0, "")
    os.environ.pop("JPY_PARENT_PID", None)  # the nest ends it with its client
    application = IPKernelApp.instance()
    application.parent_handle = 1
    application.initialize(arguments)
    enable_inline_plots()
    application.start()
    exit_hooks()
    os._exit(0)
