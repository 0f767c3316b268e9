"""Runs a built bento as a subprocess on this machine and stops it whole; used by `workbench serve`, the demo and tests."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import psutil

from workbench.errors import BadInput, RunFailed
from workbench.serving.scorer.predictions import ENVIRONMENT
from workbench.settings import TELEMETRY_OFF

__all__ = ["WORKERS", "Server", "serve_command", "serving"]

WORKERS = "WORKBENCH_SCORER_WORKERS"
"""The variable that a bento's service reads: BentoML's own option for workers does not reach services of today's kind."""

MARK = "WORKBENCH_SERVED_BY"
AS_SIGNED = {"PYTHONDONTWRITEBYTECODE": "1"}
"""Python adds no file to a bento that was signed; it would load a changed one there without looking at the source."""

READY_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server: where it answers, and its process, whose workers are its children."""

    url: str
    process: subprocess.Popen[bytes]


def serve_command(tag: str, *, host: str = "127.0.0.1", port: int = 3000) -> list[str]:
    """The command that serves a bento with this Python. How many workers answer is told by the variable `WORKERS`.

    Raises:
        BadInput: the address can be reached from other machines.
    """
    if not _is_loopback(host):
        raise BadInput(
            f"the host {host!r} can be reached from other machines, expected a loopback address such as 127.0.0.1",
            hint="The server itself asks nobody who they are: put authentication and TLS in front of it first.",
        )
    return [sys.executable, "-m", "bentoml", "serve", tag, "--host", host, "--port", str(port)]


@contextmanager
def serving(
    tag: str,
    *,
    port: int,
    predictions: Path,
    log: Path,
    host: str = "127.0.0.1",
    workers: int = 1,
    environment: dict[str, str] | None = None,
    ready_seconds: float = READY_SECONDS,
) -> Iterator[Server]:
    """Serves a bento while the block runs, and leaves no process behind.

    Args:
        tag: The bento.
        port: Where it listens.
        predictions: The folder of its prediction log.
        log: The file that gets its output.
        host: A loopback address.
        workers: How many processes answer.
        environment: Variables of the server; this process's own by default. Telemetry is off in either.
        ready_seconds: How long the model may take until it answers its example.

    Raises:
        BadInput: the host is not a loopback address, or the port is taken.
        RunFailed: the server ended or was not ready in time; the end of its output is in the message.
    """
    command = serve_command(tag, host=host, port=port)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    _require_free(host, port)
    log.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(8)
    own = {ENVIRONMENT: str(predictions.resolve()), WORKERS: str(workers), MARK: mark, **AS_SIGNED}
    variables = {**(environment or os.environ), **TELEMETRY_OFF, **own}
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - this Python, serving a bento of ours
            command, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_until_ready(Server(url=url, process=process), log, ready_seconds)
        yield Server(url=url, process=process)
    finally:
        _stop(process, mark)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_free(host: str, port: int) -> None:
    """A taken port would answer our readiness probe with somebody else's model."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInput(f"port {port} is taken on {host}", hint="Choose another port, or stop what listens there.") from error


def _wait_until_ready(server: Server, log: Path, seconds: float) -> None:
    """Asks /readyz until it says yes. BentoML starts a crashed worker again for ever, so only the deadline ends that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        code = server.process.poll()
        if code is not None:
            raise RunFailed(f"the server ended with code {code} before it was ready", problems=_tail(log), hint=f"Read {log}.")
        if _answers(f"{server.url}/readyz"):
            return
        time.sleep(0.1)
    raise RunFailed(f"the server was not ready within {seconds:.0f} s", problems=_tail(log), hint=f"Read {log}.")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == HTTPStatus.OK)
    except OSError:  # refused, timed out, or an answer that says no
        return False


def _tail(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-10:]


def _stop(process: subprocess.Popen[bytes], mark: str) -> None:
    """Asks the server to finish its requests, then ends whatever of it is left.

    BentoML's workers lead sessions of their own, so no signal to the server's group reaches them; the mark in their environment
    finds them even when the server died first and left them behind. The server itself is known by its number: where the package
    setproctitle is installed, BentoML's supervisor writes its title over its own arguments and environment.
    """
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
    left = [one for one in psutil.process_iter() if _mark_of(one) == mark]
    for one in left:
        with suppress(psutil.Error):
            one.kill()
    process.wait()
    psutil.wait_procs(left, timeout=STOP_SECONDS)


def _mark_of(process: psutil.Process) -> str | None:
    try:
        mark: str | None = process.environ().get(MARK)
    except (psutil.Error, OSError):  # somebody else's, or gone
        return None
    return mark
