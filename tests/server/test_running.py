"""`workbench server` and `login` as people use them: real processes, the first admin, and what is left on the disk."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True, kw_only=True)
class Started:
    """A server as a process of its own, and what it printed."""

    process: subprocess.Popen[str]
    told: dict[str, Any]
    folder: Path


def read_document(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The one JSON document that a command prints, read until it is whole."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith("}"):
            break
    document: dict[str, Any] = json.loads(text)
    return document


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    folder = tmp_path / "server"
    command = [sys.executable, "-m", "workbench", "server", "--folder", str(folder), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield Started(process=process, told=read_document(process), folder=folder)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130


def workbench(*arguments: str, told: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workbench", *arguments, "--json"]
    return subprocess.run(
        command, input=told, env={**os.environ, **changes}, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_first_start_tells_a_token_once_and_the_login_is_for_its_owner_alone(started: Started, tmp_path: Path) -> None:
    url, once = started.told["url"], started.told["bootstrap"]
    settings = {"WORKBENCH_CONFIG_DIR": str(tmp_path / "config")}
    body = {"token": once, "name": "ann", "password": PASSWORD}
    assert httpx.post(f"{url}/v1/bootstrap", json=body, timeout=60).status_code == 200
    assert httpx.post(f"{url}/v1/bootstrap", json={**body, "name": "eve"}, timeout=60).status_code == 401
    token = httpx.post(f"{url}/v1/login", json={"name": "ann", "password": PASSWORD}, timeout=60).json()["token"]
    file = tmp_path / "config" / "login.json"
    refused = workbench("login", url, "--token", told=f"{token}\n", **settings)
    assert "must not lie on a disk" in json.loads(refused.stdout)["message"]
    assert not file.exists()
    done = workbench("login", url, "--name", "ann", told=f"{PASSWORD}\n", **settings)
    assert json.loads(done.stdout) == {"url": url, "file": str(file)}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = {"authorization": f"Bearer {json.loads(file.read_text())['token']}"}
    assert kept["authorization"].split()[1] not in done.stdout + done.stderr
    assert httpx.get(f"{url}/v1/users", headers=kept).status_code == 200
    made = httpx.post(f"{url}/v1/users", headers=kept, json={"name": "eve", "password": PASSWORD})
    assert (made.status_code, "narrowed" in made.json()["message"]) == (403, True)
    left = workbench("logout", **settings)
    assert json.loads(left.stdout) == {"url": url, "revoked": True}
    assert not file.exists()
    assert httpx.get(f"{url}/v1/whoami", headers=kept).status_code == 401


def test_everything_that_the_server_keeps_is_for_its_owner_alone(started: Started) -> None:
    paths = [started.folder, *started.folder.rglob("*")]
    assert len(paths) > 1
    assert [path for path in paths if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - it is refused
def test_without_tls_the_server_listens_on_loopback_only(host: str, tmp_path: Path) -> None:
    done = workbench("server", "--folder", str(tmp_path / "server"), "--host", host, "--port", "0")
    assert done.returncode == 2
    assert "--certificate" in json.loads(done.stdout)["hint"]


def test_a_token_is_not_sent_unencrypted_to_another_machine() -> None:
    done = workbench("login", "http://workbench.example:8443", "--token", told="wbt_x\n")
    assert done.returncode == 2
    assert "https://" in done.stdout
