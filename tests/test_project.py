from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data import write_project
from workbench.errors import ProjectInvalid
from workbench.project import Columns, Dataset, Fairness, Project, Section, Training, read_project

if TYPE_CHECKING:
    from pydantic import BaseModel

VALID = """\
name = "people"

[dataset]
source = "people.csv"
owner = "ann"
target = "ok"
task = "binary"
positive = "yes"
sensitive = ["sex"]

[dataset.columns]
number = ["age"]
category = [
  "sex",
]

[dataset.columns.ignored]
"my id" = "says whom a row is about"

[training]
folds = 5

[fairness]
metric = "selection_rate"
limit = 0.8

[serving]
name = "people"
"""


@pytest.fixture
def read(tmp_path):
    def read_text(text: str) -> Project:
        path = tmp_path / "workbench.toml"
        path.write_text(text, encoding="utf-8")
        return read_project(path)

    return read_text


def test_a_valid_file_is_one_object_with_its_defaults(read):
    project = read(VALID)
    assert project.dataset.columns.features == ("age", "sex")
    assert project.dataset.columns.ignored == {"my id": "says whom a row is about"}
    assert (project.dataset.zone, project.training.holdout, project.fairness.confidence) == ("local", 0.2, 0.95)
    assert (project.serving.host, project.serving.port, project.monitoring.alpha) == ("127.0.0.1", 3000, 0.01)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("folds = 5", "fold = 5", 21, "training.fold: unknown key; Did you mean 'folds'?"),
        ('owner = "ann"', 'ownr = "ann"', 5, "dataset.ownr: unknown key; Did you mean 'owner'?"),
        ('name = "people"\n\n[d', 'nam = "people"\n\n[d', 1, "nam: unknown key; Did you mean 'name'?"),
        ("[training]", "[trainning]", 20, "trainning: unknown key; Did you mean 'training'?"),
        ("number = [", "numbers = [", 12, "dataset.columns.numbers: unknown key; Did you mean 'number'?"),
        ("folds = 5", "folds = 'five'", 21, "training.folds: Input should be a valid integer"),
        ("folds = 5", "folds = 1", 21, "training.folds: Input should be greater than or equal to 2"),
        ("folds = 5", "candidates = []", 21, "training.candidates: Tuple should have at least 1 item"),
        ("limit = 0.8", "limit = 1.5", 25, "fairness.limit: Input should be less than 1"),
        ("limit = 0.8", "limit = nan", 25, "fairness.limit: Input should be a finite number"),
        ("limit = 0.8", "metrics = 1", 25, "fairness.metrics: unknown key; Did you mean 'metric'?"),
        ('metric = "selection_rate"', 'metric = "select"', 24, "fairness.metric: Input should be 'selection_rate'"),
        ('task = "binary"', 'task = "ranking"', 7, "dataset.task: Input should be 'binary', 'multiclass' or 'regression'"),
        ('sensitive = ["sex"]', "sensitive = [3]", 9, "dataset.sensitive.0: Input should be a valid string"),
        ('"my id" = "says', '"my id" = 3 # "says', 18, "dataset.columns.ignored.my id: Input should be a valid string"),
        ('[serving]\nname = "people"', "", 1, "serving: Field required"),
        ('[serving]\nname = "people"', "[serving]", 27, "serving.name: Field required"),
        ('[serving]\nname = "people"', '[serving]\nname = "Two Words"', 28, "serving.name: String should match pattern"),
        ('[serving]\nname = "people"', '[serving]\nname = "people"\nport = 70000', 29, "serving.port: Input should be less than"),
        ('positive = "yes"', "", 3, "dataset: a binary task needs `positive`"),
        ('number = ["age"]', 'number = ["age", "ok"]', 3, "dataset: the target 'ok' is also listed as a feature"),
        ('number = ["age"]', 'number = ["age", "sex"]', 3, "dataset: listed twice under columns: sex"),
        ('number = ["age"]', 'number = ["age", "my id"]', 3, "dataset: listed twice under columns: my id"),
        ("[training]\nfolds = 5", "training = 5", 20, "dataset.columns.ignored.training: Input should be a valid string"),
    ],
)
def test_a_problem_names_its_line(read, old, new, line, says):
    assert VALID.count(old) == 1
    with pytest.raises(ProjectInvalid) as caught:
        read(VALID.replace(old, new))
    assert any(problem.startswith(f"line {line}: {says}") for problem in caught.value.problems), caught.value.problems
    assert "Mend" in caught.value.hint


def test_all_problems_are_told_at_once(read):
    with pytest.raises(ProjectInvalid, match=r"workbench\.toml has 2 problems") as caught:
        read(VALID.replace("folds = 5", "folds = 1").replace("limit = 0.8", "limit = 8"))
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["line 21", "line 25"]


def test_text_that_is_not_toml_names_its_line(read):
    with pytest.raises(ProjectInvalid, match="at line 21"):
        read(VALID.replace("folds = 5", "folds == 5"))


def test_a_file_that_is_not_text_or_not_there_is_said_so(tmp_path):
    path = tmp_path / "workbench.toml"
    with pytest.raises(ProjectInvalid, match="No such file"):
        read_project(path)
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(ProjectInvalid, match="cannot be read"):
        read_project(path)


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
    | st.lists(st.sampled_from(VALID.splitlines())).map("\n".join)
)
def test_no_text_is_more_than_invalid(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        read_project(path)
    except ProjectInvalid as error:
        assert error.hint


def test_a_task_with_no_features_left_is_refused():
    with pytest.raises(ValueError, match="no feature columns are left"):
        Dataset(source="a", owner="b", target="c", task="regression", columns=Columns())


def test_a_project_cannot_be_changed_behind_anyones_back(read):
    project = read(VALID)
    with pytest.raises(ValueError, match="frozen"):
        project.training.folds = 3  # type: ignore[misc]


def sections(section: type[BaseModel], at: tuple[str, ...] = ()) -> dict[tuple[str, ...], type[BaseModel]]:
    """Every section below one, by the keys that lead to it."""
    found = {at: section}
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            found |= sections(field.annotation, (*at, name))
    return found


def test_the_file_that_init_writes_shows_every_field_there_is(tmp_path):
    """What can be set is seen in the file; only what has no value yet may be missing, and each of these is named here."""
    rows = [f"p{number},2024-01-{number % 28 + 1:02d},{number},{'fm'[number % 2]},{'ny'[number % 3 > 0]}" for number in range(90)]
    (tmp_path / "people.csv").write_text("\n".join(["id,seen,age,sex,ok", *rows]))
    about = {"target": "ok", "sensitive": ["sex"], "entity": "id", "time": "seen", "owner": "ann", "favourable": "y"}
    write_project(tmp_path, name="people", source="people.csv", **about)
    written = tomllib.loads((tmp_path / "workbench.toml").read_text(encoding="utf-8"))
    missing = set()
    for at, section in sections(Project).items():
        table = written
        for key in at:
            table = table[key]
        missing |= {".".join([*at, name]) for name in section.model_fields if name not in table}
    assert missing <= {"training.metric", "gates.metrics", "gates.oldest_days", "rollout.slow_seconds"}
    assert read_project(tmp_path / "workbench.toml").fairness == Fairness(metric="selection_rate", favourable="y")
    assert read_project(tmp_path / "workbench.toml").training == Training()


def test_a_gate_is_checked_down_to_its_bounds_and_the_line_is_named(read):
    gates = """
[gates]
approvals = 2

[gates.metrics.roc_auc]
floor = 0.75
worse_bye = 0.1

[gates.metrics.f1]
"""
    with pytest.raises(ProjectInvalid) as caught:
        read(VALID + gates)
    line = len(VALID.splitlines())
    assert caught.value.problems == (
        f"line {line + 7}: gates.metrics.roc_auc.worse_bye: unknown key; Did you mean 'worse_by'?",
        f"line {line + 9}: gates.metrics.f1: it needs at least one of floor, ceiling and worse_by",
    )


def test_approvals_that_nobody_may_give_are_refused(read):
    with pytest.raises(ProjectInvalid, match="1 problem") as caught:
        read(VALID + "\n[gates]\napprovals = 1\nroles = []\n")
    assert "lets nobody approve" in caught.value.problems[0]


def test_every_change_of_the_gates_is_another_policy(read):
    policies = [read(VALID + text).gates for text in ("", "\n[gates]\napprovals = 1\n", "\n[gates]\napproval_days = 1\n")]
    assert len({policy.digest for policy in policies}) == len(policies)
