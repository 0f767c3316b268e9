"""Kernels that jupyter_client starts through the provisioner are ordinary ones: they talk ZeroMQ, and obey as any other."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from jupyter_client.ioloop.manager import AsyncIOLoopKernelManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from workbench.execution.warm.asking import state
from workbench.execution.warm.provisioner import WarmProvisioner

# A signal that lands just before Python's one long sleep is seen after it only: rare, but a busy machine meets it.
NAPS = "import time\nwhile True:\n    time.sleep(0.05)"


@pytest.fixture(autouse=True)
def kernelspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernelspec that names the provisioner."""
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {
        "argv": command,
        "display_name": "warm",
        "language": "python",
        "metadata": {"kernel_provisioner": {"provisioner_name": "workbench-provisioner"}},
    }
    folder = tmp_path / "jupyter" / "kernels" / "warm"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))


def manager(kind: type[AsyncKernelManager], folder: Path) -> AsyncKernelManager:
    """Channels that are sockets beside the test, so that nothing listens on the network."""
    return kind(kernel_name="warm", transport="ipc", ip=str(folder / "k"))


async def said(client: Any, code: str, begun: asyncio.Event | None = None) -> str:
    """Runs a cell; what it printed. `begun` is set when it first prints."""
    texts: list[str] = []

    def hook(message: dict[str, Any]) -> None:
        if begun is not None and message["msg_type"] == "stream":
            begun.set()
        texts.append(message["content"].get("text", "") or message["content"].get("ename", ""))

    await client.execute_interactive(code, output_hook=hook, timeout=20)
    return "".join(texts)


def test_start_interrupt_restart_and_shutdown(tmp_path: Path, gone: Callable[..., None]) -> None:
    async def run() -> None:
        kernel = manager(AsyncKernelManager, tmp_path)
        await kernel.start_kernel(cwd=str(tmp_path))
        assert isinstance(kernel.provisioner, WarmProvisioner)
        first = kernel.provisioner.pid
        server = (state(dict(os.environ)) or {})["pid"]
        assert psutil.Process(first).parent().ppid() == server, "forked by a nest of the warm process"
        client = kernel.client()
        client.start_channels()
        await client.wait_for_ready(timeout=20)
        assert await said(client, "import os; x = 1; print(os.getpid(), os.getcwd())") == f"{first} {tmp_path}\n"

        begun = asyncio.Event()
        waiting = asyncio.create_task(said(client, "print('begun', flush=True)\n" + NAPS, begun))
        await begun.wait()
        await kernel.interrupt_kernel()
        assert "KeyboardInterrupt" in await waiting

        await kernel.restart_kernel(now=True)
        await client.wait_for_ready(timeout=20)
        second = kernel.provisioner.pid
        assert await said(client, "import os; print(os.getpid(), 'x' in globals())") == f"{second} False\n"
        assert second != first
        assert await kernel.is_alive()
        client.stop_channels()
        await kernel.shutdown_kernel()
        assert not await kernel.is_alive()
        gone(first, second)

    asyncio.run(run())


def test_a_kernel_that_dies_is_started_again(tmp_path: Path) -> None:
    async def run() -> None:
        kernel = manager(AsyncIOLoopKernelManager, tmp_path)
        kernel.autorestart = True
        restarted = asyncio.Event()
        await kernel.start_kernel(cwd=str(tmp_path))
        kernel.add_restart_callback(restarted.set, "restart")
        first = kernel.provisioner.pid
        client = kernel.client()
        client.start_channels()
        await client.wait_for_ready(timeout=20)
        client.execute("import os; os._exit(3)")
        await asyncio.wait_for(restarted.wait(), 20)
        await client.wait_for_ready(timeout=20)
        assert kernel.provisioner.pid != first
        assert await said(client, "print('alive')") == "alive\n"
        client.stop_channels()
        await kernel.shutdown_kernel(now=True)

    asyncio.run(run())


def test_the_crash_of_the_warm_process_is_the_end_of_its_kernels_and_noticed(
    tmp_path: Path, own_place: Path, gone: Callable[..., None]
) -> None:
    async def run() -> None:
        kernel = manager(AsyncKernelManager, tmp_path)
        await kernel.start_kernel(cwd=str(tmp_path))
        pid = kernel.provisioner.pid
        psutil.Process((state(dict(os.environ)) or {})["pid"]).kill()
        gone(pid)
        assert not await kernel.is_alive()
        await kernel.restart_kernel(now=True)
        assert await kernel.is_alive()
        await kernel.shutdown_kernel(now=True)

    asyncio.run(run())


@pytest.mark.filterwarnings("ignore:Unclosed", "ignore::pytest.PytestUnraisableExceptionWarning")  # nbclient leaves its client
def test_nbclient_runs_notebooks_in_it(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in ("import numpy\nx = 20", "print(x + 1)")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(notebook, kernel_name="warm", km=manager(AsyncKernelManager, tmp_path))
    client.execute(cwd=str(tmp_path))
    assert notebook.cells[1].outputs[0].text == "21\n"
    del client
    gc.collect()


def test_turned_off_a_kernel_is_started_as_ever_and_the_log_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WORKBENCH_WARM", "0")
    logging.getLogger("traitlets").propagate = True

    async def run() -> None:
        kernel = manager(AsyncKernelManager, tmp_path)
        await kernel.start_kernel(cwd=str(tmp_path))
        assert psutil.Process(kernel.provisioner.pid).ppid() == os.getpid()
        assert "WORKBENCH_WARM turns warm kernels off" in caplog.text
        await kernel.shutdown_kernel(now=True)

    asyncio.run(run())


def test_what_the_notebook_imports_is_there_before_its_first_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = nbformat.v4.new_code_cell("import colorsys, sqlalchemy.dialects.mysql")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "opened.ipynb")
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "opened.ipynb"))

    async def run() -> None:
        kernel = manager(AsyncKernelManager, tmp_path)
        await kernel.start_kernel(cwd=str(tmp_path))
        client = kernel.client()
        client.start_channels()
        await client.wait_for_ready(timeout=20)
        assert await said(client, "import sys; print('sqlalchemy.dialects.mysql' in sys.modules)") == "True\n"
        client.stop_channels()
        await kernel.shutdown_kernel(now=True)

    asyncio.run(run())
