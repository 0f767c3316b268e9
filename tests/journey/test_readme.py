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

from workbench.errors import WorkbenchError
from workbench.governance.access import ROLES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SERVING = {"workbench lab": "http://127.0.0.1", "workbench serve": "answers at"}
REQUESTS = 300
PASSWORD = "correct horse battery staple"
ASK = """
import polars as pl
from pathlib import Path
from workbench.cli.traffic import ask
rows = pl.read_csv("../customers.csv").head({count}).drop("left").to_dicts()
ask("http://127.0.0.1:3000", rows)
"""


def blocks(root: Path) -> list[str]:
    return fenced((root / "README.md").read_text(encoding="utf-8"))


def fenced(text: str) -> list[str]:
    """What stands between fences that name no language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for language, block in found if not language]


def commands(root: Path) -> list[str]:
    lines = [line.split("  #")[0].strip() for block in blocks(root) for line in block.splitlines()]
    heads = ("workbench ", "papermill ", "python flows", "cd ")
    elsewhere = {*release(root), *setting_right(root), *team(root)}
    return [line for line in lines if line.startswith(heads) and not line.endswith(" RUN") and line not in elsewhere]


def section(root: Path, title: str) -> list[list[str]]:
    """The commands of a section, block by block, without their remarks."""
    text = (root / "README.md").read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    return [[line.split("  #")[0].strip() for line in block.splitlines()] for block in fenced(text)]


def release(root: Path) -> list[str]:
    return section(root, "Release a model")[0]


def setting_right(root: Path) -> list[str]:
    return section(root, "Release a model")[1]


def team(root: Path) -> list[str]:
    return [line for block in section(root, "Work as a team") for line in block]


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


def run(command: str, folder: Path, *, typed: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    program = {"workbench": ["-m", "workbench"], "papermill": ["-m", "papermill"], "python": []}[words[0]]
    return subprocess.run(
        [sys.executable, *program, *words[1:]],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("METAFLOW")} | variables,
        input=typed,
        start_new_session=True,  # without a terminal, a password is read from what is typed here
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


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The project `churn` with two packaged models, oldest first."""
    folder = tmp_path_factory.mktemp("released")
    customers(folder / "customers.csv")
    project = folder / "churn"
    assert run("workbench init churn --data customers.csv --target left --sensitive gender,age", folder).returncode == 0
    settings = project / "workbench.toml"
    settings.write_text(re.sub(r"candidates = \[.*\]", 'candidates = ["02_train_linear"]', settings.read_text()))
    for strength in ("1.0", "0.5"):
        done = run(f"workbench run -p regularisation {strength}", project)
        assert done.returncode == 0, done.stderr
    listed = json.loads(run("workbench models --json", project).stdout)
    return project, [one["id"] for one in reversed(listed)]


def test_a_model_is_released_and_rolled_back_as_the_readme_says(root: Path, two_models: tuple[Path, list[str]]) -> None:
    project, (first, second) = two_models
    for number, model in enumerate((second, first)):  # the newest is registered without being named
        for command in release(root):
            if number and command.startswith(("workbench approve", "workbench evidence", "workbench verify")):
                continue  # a person decides once, below; and a folder with evidence is not written over
            written = command.replace("MODEL", model) + (f" {model}" if number and command.endswith("register") else "")
            done = run(written, project)
            assert done.returncode == 0, f"{written}\n{done.stdout}\n{done.stderr}"
    assert [line.split()[1] for line in setting_right(root)] == ["reject", "waive", "rollback"]
    for command in setting_right(root):
        done = run(command.replace("MODEL", first), project)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    stages = {one["model"]: one["stage"] for one in json.loads(run("workbench models registered --json", project).stdout)}
    assert stages[second] == "production", "the model that was live before came back"


def test_a_team_works_as_the_readme_says(root: Path, two_models: tuple[Path, list[str]], tmp_path: Path) -> None:
    project, (_, model) = two_models
    (gates,) = re.findall(r"^```toml\n(.*?)^```$", (root / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "gates.toml").write_text(gates)
    lines = team(root)
    config = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", *shlex.split(lines[0]), "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            said = [next(server.stdout)]
            while not said[-1].startswith("}"):
                said.append(next(server.stdout))
            told = json.loads("".join(said))
            bootstrap, url, acted = told["bootstrap"], told["url"], []
            for line in lines[1:]:
                if line.startswith("export "):
                    assert line == "export WORKBENCH_SERVER=http://127.0.0.1:8443"
                    config["WORKBENCH_SERVER"] = url
                    continue
                asked = line.replace("http://127.0.0.1:8443", url).replace("MODEL", model)
                answers = [bootstrap] * ("--bootstrap" in line) + [PASSWORD] * 3  # an own password, and a new one twice
                place = project if "register" in acted or "register" in line else tmp_path
                done = run(asked, place, typed="\n".join([*answers, ""]), **config)
                assert done.returncode == 0, f"{asked}\n{done.stdout}\n{done.stderr}"
                acted.append(line.split()[1])
            assert acted[-3:] == ["promote", "promote", "logout"]
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def test_the_readme_lists_every_exit_code_and_every_role(root: Path) -> None:
    readme = (root / "README.md").read_text()
    codes = {kind.exit_code for kind in tree(WorkbenchError)}
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", readme, re.MULTILINE)}
    assert listed == codes | {0, 130}
    assert {role for role in ROLES if re.search(rf"^\| {role} \|", readme, re.MULTILINE)} == set(ROLES)


def tree(kind: type[WorkbenchError]) -> list[type[WorkbenchError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]


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
