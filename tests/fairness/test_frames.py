from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import BadInput
from workbench.fairness import assess, rate_frame


def test_an_undefined_rate_is_nan_and_leaves_the_ratio_of_the_others_alone(grouping):
    y = ["1", "1", "0", "1", "1", "0", "0", "0"]
    p = ["1", "1", "0", "1", "0", "0", "1", "0"]
    frame = rate_frame(y, p, grouping(3, 3, 2, attribute="sex"), task="binary", favourable="1")
    assert frame.by_group["true_positive_rate"].to_dict() == pytest.approx({"a": 1, "b": 0.5, "c": np.nan}, nan_ok=True)
    assert frame.ratio()["true_positive_rate"] == 0.5
    assert frame.by_group.index.name == "sex"
    assert frame.by_group["rows"].tolist() == [3, 3, 2]


def test_the_table_and_the_assessment_agree(grouping, policy):
    random = np.random.default_rng(0)
    y, p = random.choice(["0", "1"], 300), random.choice(["0", "1"], 300)
    groups = grouping(100, 120, 80)
    frame = rate_frame(y, p, groups, task="binary", favourable="1").by_group
    for metric in ("selection_rate", "true_positive_rate", "false_positive_rate", "accuracy"):
        found = assess(y, p, [groups], policy(metric), task="binary", positive="1")
        assert [group.rate.value for group in found.groups] == pytest.approx(frame[metric].tolist(), rel=1e-12)


def test_a_regression_shows_the_size_and_the_direction_of_errors(grouping):
    frame = rate_frame([1.0, 2.0, 3.0], [2.0, 2.0, 1.0], grouping(2, 1), task="regression").by_group
    assert frame["mean_absolute_error"].tolist() == [0.5, 2.0]
    assert frame["mean_error"].tolist() == [0.5, -2.0]


def test_a_multiclass_model_without_a_favourable_outcome_shows_its_accuracy(grouping):
    frame = rate_frame(["x", "y", "z"], ["x", "z", "z"], grouping(2, 1), task="multiclass").by_group
    assert list(frame.columns) == ["accuracy", "rows"]


def test_rows_that_do_not_match_are_refused(grouping):
    with pytest.raises(BadInput, match="groups"):
        rate_frame(["1"], ["1"], grouping(1, 1), task="binary")
