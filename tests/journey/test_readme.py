"""Every command of the README runs, in its order, and says what the README says it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SERVING = {"workbench lab": "http://127.0.0.1", "workbench serve": "answers at"}
REQUESTS = 300
ASK = """
import polars as pl
from pathlib import Path
from workbench.cli.traffic import ask
rows = pl.read_csv("../customers.csv").head({count}).drop("left").to_dicts()
ask("http://127.0.0.1:3000", rows)
"""


def blocks(root: Path) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", (root / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block for language, block in fenced if not language]


def commands(root: Path) -> list[str]:
    lines = [line.split("  #")[0].strip() for block in blocks(root) for line in block.splitlines()]
    heads = ("workbench ", "papermill ", "python flows", "cd ")
    return [line for line in lines if line.startswith(heads) and not line.endswith(" RUN")]


def about_failed_runs(root: Path) -> list[str]:
    return [line.split("  #")[0].strip() for block in blocks(root) for line in block.splitlines() if " RUN  " in line]


def customers(path: Path) -> None:
    random = np.random.default_rng(0)
    rows = 40_000
    months = random.integers(1, 72, rows)
    left = random.random(rows) < 1 / (1 + np.exp((months - 36) / 6))
    frame = {
        "months": months,
        "age": random.integers(18, 80, rows),
        "gender": random.choice(["f", "m"], rows),
        "left": left.astype(int),
    }
    pl.DataFrame(frame).write_csv(path)


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    program = {"workbench": ["-m", "workbench"], "papermill": ["-m", "papermill"], "python": []}[words[0]]
    return subprocess.run(
        [sys.executable, *program, *words[1:]],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("METAFLOW")},
        capture_output=True,
        text=True,
        check=False,
    )


def start_and_stop(command: str, folder: Path, sign: str) -> None:
    """A command that serves until it is stopped: it must say that it is ready, and end when told to."""
    words = ["-m", *shlex.split(command), *(["--no-browser"] if command.endswith("lab") else [])]
    log = folder / "serving.log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, *words], cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 90
            while sign not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            if command.endswith("serve"):
                subprocess.run([sys.executable, "-c", ASK.format(count=REQUESTS)], cwd=folder, check=True)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def test_every_command_of_the_readme_runs(root: Path, tmp_path: Path) -> None:
    customers(tmp_path / "customers.csv")
    folder, ran = tmp_path, []
    listed = commands(root)
    assert listed[0].startswith("workbench init churn --data customers.csv")
    for command in listed:
        if command.startswith("cd "):
            folder = folder / command.removeprefix("cd ")
        elif command in SERVING:
            start_and_stop(command, folder, SERVING[command])
        else:
            done = run(command, folder)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        ran.append(command.split()[:2])
    assert [words[1] for words in ran if words[0] == "workbench"] == [
        "init",
        "run",
        "lab",
        "runs",
        "models",
        "serve",
        "watch",
        "doctor",
        "execute",
        "execute",
        "check",
    ]


def test_a_failed_run_is_looked_into_and_continued_as_the_readme_says(root: Path, tmp_path: Path) -> None:
    assert run("workbench init credit --example credit", tmp_path).returncode == 0
    folder = tmp_path / "credit"
    notebook = folder / "notebooks" / "03_review_fairness.ipynb"
    sound = notebook.read_text()
    content = json.loads(sound)
    cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    cells[-1]["source"] = ["raise ValueError('on purpose')"]
    notebook.write_text(json.dumps(content))
    failed = run("workbench run -p rows 3000 -p rounds 10 -p epochs 2", folder)
    assert failed.returncode == 5
    name = json.loads(run("workbench runs --json", folder).stdout)[0]["id"]
    attach, resume = (command.replace("RUN", name) for command in about_failed_runs(root))
    with (folder / "lab.log").open("w") as log:
        lab = subprocess.Popen(
            [sys.executable, "-m", "workbench", "lab", "--no-browser", "--port", "0"], cwd=folder, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + 90
            while "http://127.0.0.1" not in (folder / "lab.log").read_text():
                assert time.monotonic() < deadline
                time.sleep(0.2)
            attached = run(attach, folder)
            assert attached.returncode == 0, attached.stderr
            assert "/lab/tree/attached/" in attached.stdout.replace("\n", "")
        finally:
            lab.send_signal(signal.SIGTERM)
            lab.wait(60)
    notebook.write_text(sound)
    resumed = run(resume, folder)
    assert resumed.returncode == 0, resumed.stderr
    trained = [line for line in resumed.stderr.splitlines() if line.startswith("train ") and "began" in line]
    assert len(trained) < 3, "candidates that were trained are not trained again"


def test_the_readme_shows_what_a_misspelt_parameter_really_gets(root: Path, tmp_path: Path) -> None:
    shown = next(block for block in blocks(root) if block.startswith("$ workbench run -p epcohs 10"))
    made = run("workbench init credit --example credit", tmp_path)
    assert made.returncode == 0, made.stderr
    done = run("workbench run -p epcohs 10", tmp_path / "credit")
    assert done.stderr.strip() == shown.split("\n", 1)[1].strip()


def test_the_demo_walks_the_journey_and_leaves_nothing_running(tmp_path: Path) -> None:
    done = run(f"workbench demo {tmp_path / 'demo'} --requests 600", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for hop in ("dataset", "prepare", "train", "review", "choose", "package", "release", "watch"):
        assert re.search(rf"^{hop}\s", done.stdout, re.MULTILINE), hop
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in listed


def test_make_demo_and_make_test_are_what_the_readme_says(root: Path) -> None:
    ends = {"demo": "/workbench demo", "test": "/python -m pytest -n 2 --dist loadfile"}
    for target, end in ends.items():
        make = ["make", "--no-print-directory", "-n", target]
        planned = subprocess.run(make, cwd=root, capture_output=True, text=True, check=True).stdout
        assert planned.rstrip().endswith(end)
