from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import BadInput
from workbench.fairness import threshold_curve


def curves(figure):
    return {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}


def test_the_curves_are_those_of_counting_at_every_threshold(policy, grouping):
    random = np.random.default_rng(0)
    y = random.choice(["0", "1"], 400)
    score = np.clip(random.normal(0.5, 0.2, 400) + 0.1 * (y == "1"), 0, 1)
    groups = grouping(250, 150)
    found = curves(threshold_curve(y, score, groups, policy(), positive="1"))
    for place in (60, 100, 140):
        chosen = score >= place / 200
        rates = [chosen[groups.codes == group].mean() for group in (0, 1)]
        assert found["accuracy"][place] == pytest.approx((chosen == (y == "1")).mean())
        assert found["selection rates, lowest / highest"][place] == pytest.approx(min(rates) / max(rates))


def test_the_favourable_outcome_may_be_the_other_class(policy, grouping):
    score = np.linspace(0, 1, 100)
    found = curves(threshold_curve(["0"] * 100, score, grouping(50, 50), policy(favourable="0"), positive="1"))
    assert found["selection rates, lowest / highest"][100] == 0
    assert np.isnan(found["selection rates, lowest / highest"][0])


def test_a_single_group_leaves_only_the_accuracy(policy, grouping):
    figure = threshold_curve(["0", "1"] * 15, np.linspace(0, 1, 30), grouping(30), policy(), positive="1", threshold=0.95)
    assert np.isnan(curves(figure)["selection rates, lowest / highest"]).all()


def test_no_rows_are_refused(policy, grouping):
    with pytest.raises(BadInput, match="no rows"):
        threshold_curve([], [], grouping(), policy(), positive="1")
