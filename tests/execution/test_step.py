from __future__ import annotations

import pytest

from workbench.errors import NotFound
from workbench.execution.step import Step, current_folder, read_outcome, read_saved, read_step, write_outcome, write_saved
from workbench.records import Saved

MODEL = Saved(name="model", format="model.skops", digest="d" * 64, size=3)


def test_the_kernel_reads_the_step_that_the_runner_wrote(tmp_path):
    step = Step(
        hop="train",
        project="project",
        notebook="02_train.ipynb",
        run="experiment-1",
        parameters={"rounds": 3, "hidden": [64, 32], "name": None},
        saved={"model": MODEL},
        given={"candidates": [{"name": "a"}]},
    )
    step.write(tmp_path)
    assert read_step(tmp_path) == step


def test_a_folder_without_a_step_says_which_variable_named_it(tmp_path):
    with pytest.raises(NotFound, match=r"WORKBENCH_STEP names .* which holds no step") as caught:
        read_step(tmp_path)
    assert caught.value.hint == "Unset WORKBENCH_STEP."


def test_the_environment_says_for_which_step_a_kernel_works(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_STEP", raising=False)
    assert current_folder() is None
    monkeypatch.setenv("WORKBENCH_STEP", str(tmp_path))
    assert current_folder() == tmp_path


def test_saved_values_add_up_and_a_name_saved_again_is_replaced(tmp_path):
    assert read_saved(tmp_path) == {}
    newer = Saved(name="model", format="model.skops", digest="e" * 64, size=4)
    other = Saved(name="rows", format="value.json", digest="f" * 64, size=1)
    for saved in (MODEL, other, newer):
        write_saved(tmp_path, saved)
    assert read_saved(tmp_path) == {"model": newer, "rows": other}


def test_the_outcome_adds_up_and_a_key_recorded_again_is_replaced(tmp_path):
    assert read_outcome(tmp_path) == {}
    write_outcome(tmp_path, {"metric": "auc", "verdict": "PASS"})
    write_outcome(tmp_path, {"verdict": "FAIL"})
    assert read_outcome(tmp_path) == {"metric": "auc", "verdict": "FAIL"}
