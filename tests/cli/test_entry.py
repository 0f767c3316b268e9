"""Whatever is typed, and however a command ends: a message, the documented exit code, and with --json one document."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

MISUSED = {
    "out of range": (["run", "--workers", "0"], "--workers"),
    "unknown command": (["rum"], "rum"),
    "unknown option": (["runs", "--limt", "3"], "--limt"),
    "missing argument": (["trace"], "ID"),
    "missing option": (["models", "accept", "model-1"], "--reason"),
    "option before the command": (["--limit", "3", "runs"], "--limit"),
}


@pytest.mark.parametrize("case", MISUSED)
def test_a_misused_command_is_told_like_every_other_bad_input(case: str, tmp_path: Path, workbench) -> None:
    arguments, expected = MISUSED[case]
    done = workbench(tmp_path, arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("error ")
    assert expected in first
    assert last.startswith("next  Read how it is used: workbench ")
    assert last.endswith(" --help")


@pytest.mark.parametrize("case", MISUSED)
def test_a_misused_command_with_json_is_one_document(case: str, tmp_path: Path, workbench) -> None:
    arguments, expected = MISUSED[case]
    done = workbench(tmp_path, [*arguments, "--json"])
    assert done.returncode == 2
    document = json.loads(done.stdout)
    assert document["error"] == "BadInput"
    assert expected in document["message"]
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_the_program_alone_explains_itself(arguments: list[str], tmp_path: Path, workbench) -> None:
    done = workbench(tmp_path, arguments)
    assert done.returncode == 0
    assert "Start with: workbench init" in done.stdout


INCOMPLETE = {
    "an option follows": ["-p", "rounds", "--json"],
    "another parameter follows": ["-p", "rounds", "-p", "epochs", "3", "--json"],
    "a long option follows": ["--parameter", "rounds", "--workers", "2", "--json"],
}


@pytest.mark.parametrize("case", INCOMPLETE)
def test_an_option_is_never_taken_for_a_parameters_value(case: str, project: Path, workbench) -> None:
    done = workbench(project, ["run", *INCOMPLETE[case]])
    assert done.returncode == 2
    assert json.loads(done.stdout)["message"] == "-p was given 'rounds', expected NAME VALUE"


def test_a_parameter_without_a_value_at_the_end_is_refused(project: Path, workbench) -> None:
    done = workbench(project, ["run", "-p", "rounds"])
    assert done.returncode == 2
    assert "expected NAME VALUE" in done.stderr


@pytest.mark.parametrize("value", ["-1", "-1e-3", "-.5"])
def test_a_negative_number_is_a_value(value: str, project: Path, workbench) -> None:
    done = workbench(project, ["run", "-p", "learning_rate", value])
    assert done.returncode == 2
    assert "greater than 0" in done.stderr


@pytest.mark.parametrize("arguments", [["models", "--json", "accept"], ["models", "accept", "--json"]])
def test_models_asks_for_json_before_or_after_accept(arguments: list[str], project: Path, workbench) -> None:
    done = workbench(project, [*arguments, "model-nothing", "--reason", "x"])
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"] == "NotFound"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_leaves_nothing_running(sent: signal.Signals, project: Path) -> None:
    command = [sys.executable, "-m", "workbench", "run"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "prepare" in process.stderr.readline()
        started = psutil.Process(process.pid).children(recursive=True)
        assert started
        process.send_signal(sent)
        out, said = process.communicate(timeout=60)
    assert process.returncode == 130
    told, ended = said.splitlines()[-2:]
    assert re.fullmatch(r"(experiment-\d+) was interrupted; go on with it: workbench resume \1", told)
    assert ended == "interrupted; nothing is left running"
    assert "Traceback" not in out + said
    assert psutil.wait_procs(started, timeout=10)[1] == []
