"""A kernel in JupyterLab until its libraries are imported: a real server, HTTP and websocket. Used by `engine`."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import websocket

from workbench.errors import RunFailed

START_SECONDS = 60
REPLY_SECONDS = 120

CONFIGURATION = Path(__file__).parents[2] / "workbench" / "cli" / "lab_config.py"
OURS = ("-m", "workbench.execution.lab", f"--config={CONFIGURATION}")
"""JupyterLab as `workbench lab` starts it, but for port and folder."""

WARM = "--KernelProvisionerFactory.default_provisioner_name=workbench-provisioner"
PEER = ("-m", "jupyterlab")


class Lab:
    """A JupyterLab server on this machine; ends with its `with` block."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.token = secrets.token_hex(16)
        options = {
            "ServerApp.port": self.port,
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.root_dir": folder,
            "IdentityProvider.token": self.token,
            "ServerApp.allow_root": True,
        }
        given = [f"--{name}={value}" for name, value in options.items()]
        self.log = (folder / f"lab-{self.port}.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, *command, "--no-browser", *given],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "JUPYTER_RUNTIME_DIR": str(folder)},
        )

    def __enter__(self) -> Lab:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._ask("GET", "/api/status")
            except HTTPError:
                raise
            except (URLError, ConnectionError) as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__()
                    self.log.seek(0)
                    raise RunFailed("JupyterLab did not start", problems=self.log.read().splitlines()[-12:]) from error
                time.sleep(0.1)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def kernel_seconds(self, notebook: str, code: str) -> float:
        """How long a person waits who opens a notebook and runs `code`: from the request for a kernel to the cell's reply.

        JupyterLab asks the new kernel what it is before it sends it a cell, and so does this.
        """
        started = time.perf_counter()
        wanted = {"path": notebook, "type": "notebook", "name": notebook, "kernel": {"name": "python3"}}
        session = self._ask("POST", "/api/sessions", wanted)
        client = uuid.uuid4().hex
        address = f"ws://127.0.0.1:{self.port}/api/kernels/{session['kernel']['id']}/channels?session_id={client}"
        channels = websocket.create_connection(address, timeout=REPLY_SECONDS, header=[f"Authorization: token {self.token}"])
        try:
            _request(channels, client, "kernel_info", {})
            reply = _request(channels, client, "execute", {"code": code, "silent": False, "stop_on_error": True})
            seconds = time.perf_counter() - started
        finally:
            channels.close()
            self._ask("DELETE", f"/api/sessions/{session['id']}")
        if reply["status"] != "ok":
            raise RunFailed(f"JupyterLab's kernel failed at {code!r}: {reply.get('ename')}: {reply.get('evalue')}")
        return seconds

    def _ask(self, method: str, path: str, content: object = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        asked = Request(f"http://127.0.0.1:{self.port}{path}", data=body, method=method)
        asked.add_header("Authorization", f"token {self.token}")
        with urlopen(asked, timeout=REPLY_SECONDS) as answer:  # noqa: S310 - our own server
            said = answer.read()
        return json.loads(said) if said else None


def _request(channels: Any, client: str, kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """Sends a request to the kernel and waits for its reply, as a message of Jupyter's protocol 5.3 in JSON."""
    identity = uuid.uuid4().hex
    header = {"msg_id": identity, "msg_type": f"{kind}_request", "session": client, "username": "", "version": "5.3"}
    message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content, "buffers": []}
    channels.send(json.dumps(message))
    while True:
        received = json.loads(channels.recv())
        if received["msg_type"] == f"{kind}_reply" and received["parent_header"].get("msg_id") == identity:
            answer: dict[str, Any] = received["content"]
            return answer
