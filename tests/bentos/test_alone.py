"""A built bento serves on a machine that has nothing but its own requirements."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from workbench.serving.bento import open_bentoml


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_exported_bento_serves_where_only_its_requirements_are_installed(small_package, tmp_path, free_port):
    archive = tmp_path / "small.bento"
    subprocess.run([sys.executable, "-m", "bentoml", "export", small_package.tag, str(archive)], check=True)
    requirements = Path(open_bentoml().bentos.get(small_package.tag).path) / "env" / "python" / "requirements.txt"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", str(requirements)], check=True)
    installed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json"], check=True, capture_output=True, text=True
    ).stdout
    assert not {"workbench", "polars", "scikit-learn", "torch"} & {package["name"] for package in json.loads(installed)}

    # Another machine: its own stores, its own working directory, and none of this one's variables that could help.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    variables = {
        "PWD": str(elsewhere),  # as a shell sets it
        "PATH": os.environ["PATH"],
        "HOME": str(elsewhere),
        "BENTOML_HOME": str(elsewhere / "store"),
        "BENTOML_DO_NOT_TRACK": "1",
    }
    subprocess.run([python, "-m", "bentoml", "import", str(archive)], check=True, cwd=elsewhere, env=variables)
    command = [python, "-m", "bentoml", "serve", small_package.tag, "--host", "127.0.0.1", "--port", str(free_port)]
    with (tmp_path / "serve.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=elsewhere, env=variables, stdout=log, stderr=log)
    try:
        answer = ask_when_ready(f"http://127.0.0.1:{free_port}", server)
    finally:
        server.terminate()
        server.wait(30)
    assert answer["model"]["digest"] == small_package.digest
    assert set(answer["predictions"][0]["probabilities"]) == {"no", "yes"}
    (logged,) = (elsewhere / "predictions" / "small").glob("*.jsonl")
    assert json.loads(logged.read_text())["request_id"] == answer["request_id"]


def ask_when_ready(url: str, server: subprocess.Popen[bytes]) -> dict:
    row = {"age": 40, "limit bal": None, "SEX": 2, "copy": "b", "_own": False}
    request = urllib.request.Request(  # noqa: S310
        f"{url}/predict", data=json.dumps({"rows": [row]}).encode(), headers={"content-type": "application/json"}
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                return json.loads(answer.read())
        except (urllib.error.URLError, ConnectionError):
            assert server.poll() is None
            assert time.monotonic() < deadline
