"""One project that has walked the journey, made once for the tests of this folder: real notebooks, flows, bento and server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from workbench.cli.traffic import ask, natural_rows, shifted_rows
from workbench.orchestration.deployment import deployed
from workbench.settings import Layout

QUICK = ("-p", "rows", "4000", "-p", "rounds", "30", "-p", "epochs", "3")
CALM = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """What the journey left: the project, the documents its commands printed, and one request's id."""

    layout: Layout
    made: dict[str, Any]
    run: dict[str, Any]
    served: str
    refused: httpx.Response
    request: str
    calm: dict[str, Any]
    drifted: dict[str, Any]


def command(folder: Path, arguments: Sequence[str]) -> Any:
    """Runs a command as a user does, with `--json`, and returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "workbench", *arguments, "--json"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    folder = tmp_path_factory.mktemp("journey")
    made = command(folder, ["init", "credit", "--example", "credit"])
    layout = Layout(root=folder / "credit")
    run = command(layout.root, ["run", *QUICK])
    with deployed(layout, port=0) as live:
        refused = httpx.post(f"{live.url}/predict", json={"rows": [{"LIMIT_BAL": "much"}]})
        request = ask(live.url, natural_rows(layout, CALM))
        calm = command(layout.root, ["watch", "--since", live.deployment.at])
        ask(live.url, shifted_rows(layout, CALM))
        drifted = command(layout.root, ["watch", "--rows", str(CALM)])
        yield Walked(
            layout=layout,
            made=made,
            run=run,
            served=live.url,
            refused=refused,
            request=request,
            calm=calm,
            drifted=drifted,
        )
