from __future__ import annotations

import polars as pl
import pytest

from workbench import session
from workbench.errors import NotFound
from workbench.project import Project
from workbench.registry import Entry
from workbench.store import open_control


@pytest.fixture
def a_step(step):
    return step(training="rows", rows=3, given={"candidates": []})


def test_a_step_loads_what_the_steps_before_it_saved(a_step):
    assert session.load("training") == "rows"
    assert session.load("rows") == 3


def test_a_step_finds_the_project_wherever_its_kernel_runs(a_step, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    project = session.load("project")
    assert isinstance(project, Project)
    assert project.dataset.target == "ok"


def test_the_chooser_gets_its_competitors_as_entries(step):
    described = {"candidate": "c1", "name": "linear", "review": "r1", "verdict": "PASS"}
    step("choose", given={"candidates": [{**described, "metrics": {"accuracy": {"value": 0.5, "low": None, "high": None}}}]})
    (entry,) = session.load("candidates")
    assert isinstance(entry, Entry)
    assert entry.metrics["accuracy"].value == 0.5


@pytest.mark.parametrize(
    ("name", "hint"),
    [("trainning", "Did you mean 'training'?"), ("zzz", "Known: candidates, project, rows, training.")],
)
def test_a_step_that_asks_for_what_nobody_saved_is_told_what_exists(a_step, name, hint):
    with pytest.raises(NotFound, match=f"no upstream step of train saved '{name}'") as caught:
        session.load(name)
    assert caught.value.hint == hint


def test_outside_of_a_project_the_verbs_say_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_STEP", raising=False)
    for verb in (lambda: session.load("model"), lambda: session.save(a=1), lambda: session.record(metrics={})):
        with pytest.raises(NotFound, match=r"no workbench\.toml") as caught:
            verb()
        assert "workbench init" in caught.value.hint


def test_before_the_first_run_one_is_told_how_to_make_it(layout):
    with pytest.raises(NotFound, match="nothing has saved 'training' yet") as caught:
        session.load("training")
    assert "workbench run" in caught.value.hint


def test_the_data_set_is_there_from_the_start_and_recorded_once(layout):
    frame = session.load("dataset")
    assert isinstance(frame, pl.DataFrame)
    assert frame.shape == (40, 3)
    session.load("dataset")
    control = open_control(layout)
    assert len(control.all(kind="dataset")) == 1
    control.close()


def test_a_person_loads_what_the_latest_successful_run_saved(layout, finish_run):
    finish_run("experiment-1", mark=" of run 1")
    finish_run("experiment-2", mark=" of run 2")
    finish_run("experiment-3", mark=" of run 3", failure="a cell raised")
    finish_run("experiment-4", mark=" of run 4", end=False)
    finish_run("watch-5", mark=" of run 5", failure="no matter")
    assert session.load("training") == "rows of run 2"


def test_of_several_candidates_a_person_gets_the_winner_unless_one_is_named(layout, finish_run):
    finish_run()
    assert (session.load("model"), session.load("table")) == ("boosted", "of boosted")
    assert (session.load("model", of="linear"), session.load("table", of="linear")) == ("linear", "of linear")
    assert session.load("model", of="linear-experiment-1") == "linear", "also by its id"
    assert session.load("training", of="linear") == "rows"


def test_an_unknown_candidate_is_answered_with_the_one_that_was_meant(layout, finish_run):
    finish_run()
    with pytest.raises(NotFound, match="no candidate 'bosted'") as caught:
        session.load("model", of="bosted")
    assert caught.value.hint == "Did you mean 'boosted'?"


def test_a_person_looks_at_all_candidates_together(layout, finish_run):
    finish_run()
    assert [(entry.name, entry.verdict) for entry in session.load("candidates")] == [("linear", "PASS"), ("boosted", "PASS")]


def test_a_draft_newer_than_the_run_wins(layout, finish_run):
    finish_run()
    session.save(training="mine", extra=[1])
    assert (session.load("training"), session.load("extra")) == ("mine", [1])
    assert session.load("training", of="linear") == "rows", "whoever names a candidate means the run's"


def test_a_run_newer_than_the_draft_wins(layout, finish_run):
    session.save(training="mine", extra=[1])
    assert session.load("training") == "mine"
    finish_run()
    assert session.load("training") == "rows"
    assert session.load("extra") == [1], "what only a draft holds stays"
    session.save(training="mine again")
    assert session.load("training") == "mine again"


def test_a_candidates_value_is_never_a_draft(layout, finish_run):
    finish_run()
    session.save(extra=[1])
    with pytest.raises(NotFound, match="nothing has saved 'extra'"):
        session.load("extra", of="linear")


def test_a_missing_name_is_answered_with_what_exists(layout, finish_run):
    finish_run()
    session.save(extra=[1])
    with pytest.raises(NotFound) as caught:
        session.load("trainig")
    assert caught.value.hint.startswith("Did you mean 'training'?")
    with pytest.raises(NotFound) as caught:
        session.load("zzz")
    assert caught.value.hint.startswith("Known: dataset, extra, model, project, table, training.")


def test_a_persons_trial_makes_no_record(layout):
    session.record(metrics={}, cross_validation={})
    control = open_control(layout)
    assert control.all() == []
    control.close()
