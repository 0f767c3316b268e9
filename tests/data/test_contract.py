from __future__ import annotations

import polars as pl
import pytest

from workbench.data import infer_contract
from workbench.errors import DatasetUnusable
from workbench.project import Columns, Dataset

FRAME = pl.DataFrame(
    {
        "age": [30, 40, None],
        "rate": [0.5, float("inf"), float("nan")],
        "city": ["b", "a", None],
        "code": [2.0, 10.0, None],
        "member": [True, False, True],
        "day": ["x", "y", "z"],
        "y": [1, 0, 1],
    }
)


def dataset(**changes) -> Dataset:
    columns = Columns(number=("age", "rate"), category=("city", "code", "member"), ignored={"day": "a date"})
    given = {"source": "d", "owner": "o", "target": "y", "task": "binary", "positive": "1", "columns": columns}
    return Dataset.model_validate({**given, **changes})


def test_the_contract_says_what_was_seen():
    contract = infer_contract(FRAME, dataset())
    age, rate, city, code, member = contract.features
    assert (age.source_type, age.nullable, age.minimum, age.maximum) == ("integer", True, 30.0, 40.0)
    assert (rate.source_type, rate.minimum, rate.maximum) == ("float", 0.5, 0.5)
    assert (city.source_type, city.nullable, city.categories) == ("string", True, ("a", "b"))
    assert (code.source_type, code.categories) == ("integer", ("10", "2"))
    assert (member.source_type, member.nullable, member.categories) == ("boolean", False, ("false", "true"))


def test_classes_are_sorted_texts_and_the_positive_one_is_kept():
    contract = infer_contract(FRAME, dataset())
    assert contract.classes == ("0", "1")
    assert contract.positive == "1"


def test_columns_beside_the_features_are_remembered_as_ignored():
    assert infer_contract(FRAME, dataset(sensitive=["city", "who"], entity="id")).ignored == ("day", "id", "who")


def test_a_regression_has_no_classes():
    contract = infer_contract(FRAME, dataset(task="regression", positive=None))
    assert contract.classes == ()
    assert contract.positive is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"columns": {"number": ["agee"]}}, "number column 'agee'"),
        ({"columns": {"number": ["city"]}}, "listed as number"),
        ({"columns": {"category": ["rate"]}}, "listed as category"),
        ({"target": "yy"}, "target column 'yy'"),
        ({"task": "multiclass"}, "2 classes"),
        ({"positive": "yes"}, "`positive` is 'yes'"),
        ({"task": "regression", "target": "day"}, "regression needs numbers"),
    ],
)
def test_what_the_project_lists_must_fit_the_data(changes, said):
    with pytest.raises(DatasetUnusable) as caught:
        infer_contract(FRAME, dataset(**changes))
    assert said in caught.value.message
    assert caught.value.hint
