from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.fairness import assess, forest

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def texts(figure: Figure) -> list[str]:
    (axes,) = figure.axes
    return [text.get_text() for text in (*figure.texts, *axes.texts)]


def test_the_forest_shows_each_group_with_its_verdict_in_words_and_those_left_out(policy, grouping, selected):
    found = assess(
        p := selected((500, 1000), (250, 1000), (45, 100), (1, 9)),
        p,
        [grouping(1000, 1000, 100, 9, attribute="sex")],
        policy(),
        task="binary",
        positive="1",
    )
    shown = texts(forest(found))
    assert "Selection rate of '1', by group: FAIL" in shown
    for text in ("sex", "a", "reference", "b", "FAIL", "c", "INCONCLUSIVE", "d", "not assessed", "1,000", "limit 0.8"):
        assert text in shown


def test_each_verdict_has_a_marker_of_its_own(policy, grouping, selected):
    p = selected((500, 1000), (250, 1000), (45, 100), (495, 1000))
    found = assess(p, p, [grouping(1000, 1000, 100, 1000)], policy(), task="binary", positive="1")
    markers = {line.get_marker() for line in forest(found).axes[0].lines if line.get_marker() not in ("None", "", ">")}
    assert markers == {"o", "s", "D"}


def test_a_forest_without_groups_or_without_ratios_can_still_be_drawn(policy, grouping, tmp_path):
    nothing = assess(["1"], ["1"], [], policy(), task="binary", positive="1")
    assert "no group was assessed" in texts(forest(nothing))
    undefined = assess(
        ["0"] * 60, ["1"] * 60, [grouping(30, 30)], policy("true_positive_rate"), task="binary", classes=("0", "1"), positive="1"
    )
    figure = forest(undefined)
    assert texts(figure).count("rate undefined") == 2
    figure.savefig(tmp_path / "forest.png")


def test_the_classes_are_named_where_several_were_assessed(policy, grouping):
    p = np.repeat(["x", "y", "x", "y"], [100, 900, 700, 300])
    found = assess(p, p, [grouping(1000, 1000)], policy(), task="multiclass", classes=("x", "y"))
    assert {"FAIL (x)", "FAIL (y)"} <= set(texts(forest(found)))
