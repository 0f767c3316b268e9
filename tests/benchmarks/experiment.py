"""A whole experiment on the credit example, against a bare script that runs the same notebooks with papermill, one by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.table import Measurement
from tests.benchmarks.timing import interleaved, wall_seconds
from workbench.errors import RunFailed
from workbench.execution.parameters import read_parameters
from workbench.orchestration.projects import init_example, run_experiment
from workbench.project import read_project
from workbench.settings import Layout, environment

ROWS = 4_000
ROUNDS = 2
PARAMETERS = {"rounds": 50, "epochs": 5}


def run(rows: int = ROWS) -> list[Measurement]:
    """Measures wall time, each side from the start of its process to its end."""
    parameters = {"rows": rows, **PARAMETERS}
    with tempfile.TemporaryDirectory(prefix="wb-") as scratch:
        folder = Path(scratch)
        os.environ["BENTOML_HOME"] = str(folder / "bentoml")  # what is packaged here is nobody's model
        layout = Layout(root=init_example(folder / "credit", "credit").folder)
        candidates = read_project(layout.project_file).training.candidates
        steps = _steps(layout, candidates, parameters, folder / "executed")
        (folder / "steps.json").write_text(json.dumps(steps), encoding="utf-8")
        script = Path(__file__).with_name("experiment_peer.py")
        bare = [sys.executable, "-P", str(script), str(folder / "steps.json")]

        def ours() -> object:
            return run_experiment(layout, {name: str(value) for name, value in parameters.items()})

        def peer() -> object:
            # Interactive notebooks find the review's candidate in the latest run, so ours must come first.
            done = subprocess.run(bare, env=environment(layout), cwd=layout.root, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RunFailed("the bare papermill script failed", problems=done.stderr.splitlines()[-12:])
            return done

        own, theirs = interleaved(lambda: wall_seconds(ours), lambda: wall_seconds(peer), rounds=ROUNDS)
        cells = {step["output"]: _cell_seconds(Path(step["output"])) for step in steps}
    prepare, *branches, choose = cells.values()
    longest = prepare + max(map(sum, zip(branches[::2], branches[1::2], strict=True))) + choose
    return [
        Measurement(
            path=f"whole experiment, {rows:,} rows, {len(candidates)} candidates, {len(steps)} notebooks: wall seconds",
            ours=own,
            peer=theirs,
            ratio=own / theirs,
            goal="≤ 1.0 (ours / bare papermill script)",
            limit=(
                f"the notebooks' cells alone: {sum(cells.values()):.1f} s one after another, {longest:.1f} s along the longest "
                "path, as timed in the peer's last run. Ours also keeps records and packages a bento"
            ),
        )
    ]


def _steps(layout: Layout, candidates: tuple[str, ...], parameters: dict[str, int], output: Path) -> list[dict[str, Any]]:
    """The notebooks in order, each candidate's review right after its training, each with the parameters it declares."""
    review = "03_review_fairness"
    branches = [step for candidate in candidates for step in ((candidate, {}), (review, {"candidate": candidate}))]
    steps: list[dict[str, Any]] = []
    for name, own in [("01_prepare", {}), *branches, ("04_choose", {})]:
        notebook = layout.notebooks / f"{name}.ipynb"
        declared = read_parameters(notebook).names
        shared = {key: value for key, value in parameters.items() if key in declared}
        steps.append(
            {"notebook": str(notebook), "output": str(output / f"{len(steps)}_{name}.ipynb"), "parameters": {**shared, **own}}
        )
    return steps


def _cell_seconds(executed: Path) -> float:
    """How long the cells of an executed notebook took, by papermill's clock: no kernel start, no file written."""
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    return float(sum(cell["metadata"].get("papermill", {}).get("duration") or 0.0 for cell in cells))
