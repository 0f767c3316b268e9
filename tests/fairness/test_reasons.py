from __future__ import annotations

import re

import numpy as np
import pytest

from workbench.fairness import Grouping, assess


def reasons(policy, metric="selection_rate", groups=30, rows=40, seed=0):
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(groups), rows)
    many = Grouping(attribute="area", labels=tuple(f"n{number}" for number in range(groups)), codes=codes, pooled={})
    p = np.where(random.random(len(codes)) < np.where(codes % 3 == 0, 0.9, 0.5), "1", "0")
    y = random.choice(["0", "1"], len(codes))
    return assess(y, p, [many], policy(metric), task="binary", positive="1").reasons


@pytest.mark.parametrize("metric", ["selection_rate", "true_positive_rate", "accuracy"])
def test_reasons_are_full_sentences_that_promise_no_absence_of_bias(metric, policy):
    for reason in reasons(policy, metric):
        assert reason.endswith(".")
        assert not re.search(r"unbiased|debias|\bfair\b", reason, re.IGNORECASE)


def test_many_groups_do_not_flood_the_reader(policy):
    found = reasons(policy)
    assert len(found) <= 20
    assert any(re.fullmatch(r"\d+ more groups (fail|stay open): see the table of groups\.", reason) for reason in found)


def test_the_method_is_told_with_the_verdict(policy):
    assert "the bounds hold together with 95 % confidence" in reasons(policy)[-1]


def test_an_attribute_that_cannot_be_compared_is_explained_once(policy, grouping, selected):
    p = selected((50, 100))
    found = assess(p, p, [grouping(100, attribute="sex")], policy(), task="binary", positive="1")
    assert found.reasons == ("sex could not be assessed: it has fewer than two groups whose rates can be compared over 20 rows.",)
