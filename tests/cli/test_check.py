"""`workbench check` passes its words on, prints each form, and ends with the code that a gate needs."""

from __future__ import annotations

import json
from inspect import signature
from pathlib import Path

import pytest
import typer
from pre_commit.clientlib import load_manifest

from workbench.cli.check import check
from workbench.errors import NotebookInvalid, RunFailed
from workbench.execution.checking.trust import TOLERANCE

SOUND = "x = 1\nprint(x)"
UNSOUND = "print(nowhere)"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def notebook(folder: Path, source: str, count: int | None = None) -> Path:
    cell = {"cell_type": "code", "id": "a", "source": source, "outputs": [], "metadata": {}, "execution_count": count}
    path = folder / f"{len(list(folder.iterdir()))}.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_a_sound_notebook_passes_and_says_its_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = notebook(tmp_path, SOUND)
    check([path])
    assert f"{path}  100/100" in capsys.readouterr().out


def test_an_error_refuses_and_names_the_notebook_after_the_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound, unsound = notebook(tmp_path, SOUND), notebook(tmp_path, UNSOUND)
    with pytest.raises(RunFailed) as caught:
        check([sound, unsound])
    assert caught.value.problems == (f"{unsound}: 75/100, 1 errors",)
    assert "cell 1 (a), line 1: 'nowhere' is used, but no cell defines it" in capsys.readouterr().out


def test_the_tolerance_is_that_of_the_library() -> None:
    assert signature(check).parameters["tolerance"].default == TOLERANCE


def test_a_score_below_the_minimum_refuses_without_an_error(tmp_path: Path) -> None:
    path = notebook(tmp_path, SOUND, count=7)
    check([path], minimum=95)
    with pytest.raises(RunFailed, match="at least 96"):
        check([path], minimum=96)


def test_json_is_one_document_with_the_code_of_a_failed_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        check([notebook(tmp_path, SOUND), notebook(tmp_path, UNSOUND)], json=True)
    assert caught.value.exit_code == RunFailed.exit_code
    document = json.loads(capsys.readouterr().out)
    assert (document["trusted"], document["minimum"]) == (False, 0)
    assert [report["score"] for report in document["reports"]] == [100, 75]
    assert document["reports"][1]["findings"][0]["rule"] == "undefined-name"


def test_annotations_are_printed_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunFailed):
        check([notebook(tmp_path, UNSOUND)], github=True)
    assert capsys.readouterr().out.startswith("::error file=")


def test_a_missing_notebook_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotebookInvalid, match="no notebook"):
        check([tmp_path / "nowhere.ipynb"])


def test_a_rerun_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunFailed):
        check([notebook(tmp_path, "1 / 0")], rerun=True)
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_the_hook_for_pre_commit_is_one_that_pre_commit_reads(root: Path) -> None:
    (hook,) = load_manifest(root / ".pre-commit-hooks.yaml")
    assert (hook["id"], hook["entry"], hook["types"]) == ("workbench-check", "workbench check", ["jupyter"])
