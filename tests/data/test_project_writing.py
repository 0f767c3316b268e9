from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes, load_wine

from workbench.data import check, example, infer_contract, normalise, read_table, split, write_project
from workbench.errors import BadInput, DatasetUnusable, DataUnreadable, ProjectInvalid
from workbench.project import read_project


@pytest.fixture
def folder(tmp_path):
    frame = pl.DataFrame({"age": [value / 2 for value in range(60)], "sex": ["m", "f", "f"] * 20, "ok": ["yes", "no"] * 30})
    frame.write_csv(tmp_path / "people.csv")
    return tmp_path


def write(folder, **changes):
    return write_project(
        folder, **{"name": "people", "source": "people.csv", "target": "ok", "sensitive": ["sex"], "owner": "ann", **changes}
    )


def journey(folder, **arguments):
    """From a written project to the rows of both sides, as 01_prepare goes."""
    write(folder, **arguments)
    project = read_project(folder / "workbench.toml")
    frame = read_table(folder / project.dataset.source)
    contract = infer_contract(frame, project.dataset)
    check(frame, contract).raise_if_failed()
    parts = split(frame, project.dataset, holdout=project.training.holdout, seed=project.training.seed)
    return project, contract, normalise(parts.training, contract), normalise(parts.holdout, contract)


def test_the_written_file_is_the_project_that_was_decided(folder):
    found = write(folder)
    project = read_project(folder / "workbench.toml")
    assert project.dataset.columns == found.columns
    assert (project.dataset.task, project.dataset.positive) == ("binary", "yes")
    assert (project.fairness.metric, project.fairness.favourable) == ("selection_rate", "yes")
    assert project.serving.name == project.name == "people"


def test_the_file_explains_itself(folder):
    write(folder)
    text = (folder / "workbench.toml").read_text(encoding="utf-8")
    assert text.count("#") > 15
    assert max(map(len, text.splitlines())) < 140


def test_the_favourable_outcome_can_be_the_other_class(folder):
    write(folder, favourable="no")
    assert read_project(folder / "workbench.toml").fairness.favourable == "no"


def test_a_favourable_outcome_that_is_no_class_is_refused(folder):
    with pytest.raises(DatasetUnusable) as caught:
        write(folder, favourable="noo")
    assert caught.value.hint == "Did you mean 'no'?"


def test_a_persons_edits_are_not_overwritten(folder):
    write(folder)
    with pytest.raises(BadInput, match="exists already"):
        write(folder)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "Not A Name"}, ProjectInvalid),
        ({"source": "gone.csv"}, DataUnreadable),
        ({"target": "okk"}, DatasetUnusable),
        ({"sensitive": ["gender"]}, DatasetUnusable),
    ],
)
def test_nothing_is_written_when_something_is_wrong(folder, changes, error):
    with pytest.raises(error) as caught:
        write(folder, **changes)
    assert caught.value.hint
    assert [path.name for path in folder.iterdir()] == ["people.csv"]


def test_regression_is_judged_by_its_errors(tmp_path):
    load_diabetes(as_frame=True).frame.to_csv(tmp_path / "diabetes.csv", index=False)
    project, contract, training, holdout = journey(tmp_path, source="diabetes.csv", target="target", sensitive=["sex"])
    assert project.dataset.task == "regression"
    assert (project.fairness.metric, project.fairness.favourable) == ("mean_absolute_error", None)
    assert (training.height, holdout.height) == (354, 88)
    assert training["target"].dtype == pl.Float64
    assert len(contract.features) == 10


def test_several_classes_have_no_favourable_one_by_default(tmp_path):
    load_wine(as_frame=True).frame.to_csv(tmp_path / "wine.csv", index=False)
    project, contract, training, holdout = journey(tmp_path, source="wine.csv", target="target", sensitive=[])
    assert project.dataset.task == "multiclass"
    assert project.fairness.favourable is None
    assert contract.classes == ("0", "1", "2")
    assert set(holdout["target"]) == set(training["target"]) == {"0", "1", "2"}


def test_the_credit_example_and_a_small_sample_of_it_are_prepared_unedited(tmp_path):
    credit = example("credit")
    frame = pl.read_parquet(credit.path)
    for name, rows in (("whole", frame), ("sample", frame.sample(500, seed=3))):
        place = tmp_path / name
        place.mkdir()
        rows.write_parquet(place / "credit.parquet")
        _, contract, training, holdout = journey(place, source="credit.parquet", target=credit.target, sensitive=credit.sensitive)
        assert training.height + holdout.height == rows.height
        assert training.columns == [*contract.names, credit.target]
        assert training.null_count().sum_horizontal()[0] == 0


@settings(max_examples=30, deadline=None)
@given(name=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12))
def test_any_column_name_survives_the_file(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("names")
    if not name.strip():
        return
    frame = pl.DataFrame({name: [0.5, 1.5] * 20, f"{name} id": range(40), "the target": ["a", "b"] * 20})
    frame.write_parquet(folder / "people.parquet")
    write(folder, source="people.parquet", target="the target", sensitive=[name])
    dataset = read_project(folder / "workbench.toml").dataset
    assert dataset.columns.number == (name,)
    assert list(dataset.columns.ignored) == [f"{name} id"]
    assert dataset.sensitive == (name,)
