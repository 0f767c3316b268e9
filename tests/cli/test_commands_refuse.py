"""Bad input on the command line ends in a message that says what to do, an exit code, and nothing half-written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from workbench.orchestration.projects import init_example

ROWS = [
    {"age": 20 + number % 40, "income": 1000.0 + 7 * number, "city": "abc"[number % 3], "good": number % 2}
    for number in range(60)
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init_example(tmp_path_factory.mktemp("commands") / "credit", "credit").folder


def csv(folder: Path, text: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def good(folder: Path) -> Path:
    pl.DataFrame(ROWS).write_csv(folder / "data.csv")
    return folder / "data.csv"


BAD_DATA: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "missing file": (lambda folder: folder / "nowhere.csv", "good", "nowhere.csv"),
    "empty file": (lambda folder: csv(folder, ""), "good", "empty"),
    "header only": (lambda folder: csv(folder, "age,good\n"), "good", "row"),
    "unknown target": (good, "godo", "Did you mean 'good'?"),
    "one class": (lambda folder: csv(folder, "age,good\n" + "3,1\n" * 40), "good", "good"),
    "one row": (lambda folder: csv(folder, "age,good\n3,1\n"), "good", "row"),
    "duplicated columns": (lambda folder: csv(folder, "age,age,good\n1,2,1\n"), "good", "age"),
    "not UTF-8": (lambda folder: csv(folder, "age,good\né,1\n".encode("latin-1") * 30), "good", "UTF-8"),
    "all-null target": (lambda folder: csv(folder, "age,good\n" + "3,\n" * 40), "good", "good"),
    "not a parquet": (lambda folder: csv(folder, "PAR1nonsense", "data.parquet"), "good", "data.parquet"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_unusable_data_is_refused_with_its_reason_and_leaves_no_project(case: str, tmp_path: Path, workbench) -> None:
    make, target, expected = BAD_DATA[case]
    done = workbench(tmp_path, ["init", "project", "--data", str(make(tmp_path)), "--target", target])
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "next" in done.stderr
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_an_all_null_column_a_date_and_200_columns_still_make_a_project(tmp_path: Path, workbench) -> None:
    wide = {f"x{number}": [float(row * number % 17) for row in range(60)] for number in range(200)}
    extra = {
        "nothing": [None] * 60,
        "seen": [f"2024-01-{1 + row % 28:02}" for row in range(60)],
        "good": [row % 2 for row in range(60)],
    }
    pl.DataFrame({**wide, **extra}).write_csv(tmp_path / "wide.csv")
    done = workbench(tmp_path, ["init", "wide", "--data", "wide.csv", "--target", "good", "--json"])
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "wide" / "workbench.toml").read_text(encoding="utf-8")
    assert "nothing = " in text
    assert "seen = " in text


REFUSED = {
    "unknown parameter": (["run", "-p", "epcohs", "10"], 2, "Did you mean 'epochs'?"),
    "mistyped parameter": (["run", "-p", "epochs", "ten"], 2, "epochs"),
    "parameter out of range": (["run", "-p", "learning_rate", "-1"], 2, "greater than 0"),
    "nothing to package": (["package"], 3, "workbench run"),
    "nothing to serve": (["serve"], 3, "workbench run"),
    "unknown id": (["trace", "model-nothing"], 3, "model-nothing"),
    "unknown model": (["models", "accept", "model-nothing", "--reason", "x"], 3, "model-nothing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_command_that_cannot_do_it_says_what_to_do_next(case: str, project: Path, workbench) -> None:
    arguments, code, expected = REFUSED[case]
    done = workbench(project, arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_refused_parameter_starts_no_run(project: Path, workbench) -> None:
    workbench(project, ["run", "-p", "epcohs", "10"])
    assert json.loads(workbench(project, ["runs", "--json"]).stdout) == []


def test_with_json_an_error_is_one_document_of_the_documented_shape(project: Path, workbench) -> None:
    done = workbench(project, ["run", "-p", "epcohs", "10", "--json"])
    document = json.loads(done.stdout)
    assert set(document) == {"error", "message", "problems", "hint"}
    assert document["error"] == "ParametersInvalid"


def test_outside_a_project_the_way_to_make_one_is_named(tmp_path: Path, workbench) -> None:
    done = workbench(tmp_path, ["runs"])
    assert done.returncode == 3
    assert "workbench init" in done.stderr


def test_an_existing_folder_is_never_overwritten(project: Path, workbench) -> None:
    before = (project / "workbench.toml").read_bytes()
    done = workbench(project.parent, ["init", "credit", "--example", "credit"])
    assert done.returncode == 2
    assert (project / "workbench.toml").read_bytes() == before


def test_a_problem_in_the_project_file_names_its_line(tmp_path: Path, workbench) -> None:
    made = init_example(tmp_path / "credit", "credit").folder
    text = (made / "workbench.toml").read_text(encoding="utf-8").replace("folds = 5", "fodls = 5")
    (made / "workbench.toml").write_text(text, encoding="utf-8")
    line = next(number for number, content in enumerate(text.split("\n"), 1) if "fodls" in content)
    done = workbench(made, ["run"])
    assert done.returncode == 2
    assert f"line {line}: training.fodls: unknown key; Did you mean 'folds'?" in done.stderr


def test_a_watch_with_nothing_served_says_so(project: Path, workbench) -> None:
    done = workbench(project, ["watch"])
    assert done.returncode == 3
    assert "nothing was served yet" in done.stderr


def test_doctor_finds_a_healthy_installation(project: Path, workbench) -> None:
    document = json.loads(workbench(project, ["doctor", "--json"]).stdout)
    assert document["well"], [check for check in document["checks"] if not check["well"]]
    assert {"Python", "Metaflow extension", "control database"} <= {check["name"] for check in document["checks"]}


@pytest.mark.parametrize(
    "command", ["init", "run", "runs", "models", "package", "serve", "watch", "trace", "lab", "demo", "doctor"]
)
def test_every_command_explains_itself_and_offers_json(command: str, tmp_path: Path, workbench) -> None:
    done = workbench(tmp_path, [command, "--help"])
    assert done.returncode == 0
    assert "--json" in done.stdout
