from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from ipywidgets import Dropdown, FloatSlider, Image
from matplotlib.figure import Figure

from workbench.fairness import groups_of
from workbench.records import Estimate
from workbench.registry import Entry
from workbench.widgets import DataBoard, Leaderboard, ThresholdBoard

PNG = b"\x89PNG"


@pytest.fixture
def frame():
    return pl.DataFrame(
        {
            "age": [float(value) for value in range(60)],
            "income": [None, *(value**0.5 for value in range(59))],
            "empty": pl.Series([None] * 60, dtype=pl.Float64),
            "sex": ["m", "f", "x"] * 20,
            "ok": ["yes", "no"] * 30,
        }
    )


@pytest.fixture
def entries():
    metrics = [
        {"auc": Estimate(value=0.8, low=0.7, high=0.9), "brier": Estimate(value=None)},
        {"auc": Estimate(value=0.7), "brier": Estimate(value=0.2)},
    ]
    verdicts = ("PASS", "INCONCLUSIVE")
    return [
        Entry(candidate=f"c{place}", name=f"model {place}", review=f"r{place}", verdict=verdict, metrics=found)
        for place, (verdict, found) in enumerate(zip(verdicts, metrics, strict=True))
    ]


@pytest.fixture
def thresholds():
    people = pl.DataFrame({"sex": ["m", "f"] * 50, "city": ["a", "a", "b", "b"] * 25})
    probability = pl.Series(np.linspace(0, 1, 100))
    truth = pl.Series(["no"] * 50 + ["yes"] * 50)
    groupings = groups_of(people, ["sex", "city"], minimum=5, intersections=False)
    return lambda **changes: ThresholdBoard(
        truth, probability, groupings, **{"positive": "yes", "favourable": "yes", "limit": 0.8, **changes}
    )


def control(board, kind, description):
    (found,) = [child for child in board.children if isinstance(child, kind) and child.description == description]
    return found


def image(board):
    (found,) = [child for child in board.children if isinstance(child, Image)]
    content = bytes(found.value)
    assert content.startswith(PNG)
    return content


def axes(board):
    picture = board.picture()
    assert isinstance(picture, Figure)
    return picture.axes[0]


def test_a_chosen_column_is_drawn_at_once(frame):
    board = DataBoard(frame, "ok")
    column, before = control(board, Dropdown, "column"), image(board)
    assert column.options == ("age", "income", "empty", "sex")
    column.value = "sex"
    assert image(board) != before
    assert axes(board).get_xlabel() == "sex"
    assert [text.get_text() for text in axes(board).get_legend().get_texts()] == ["ok = no", "ok = yes"]


@pytest.mark.parametrize("column", ["age", "income", "empty", "sex"])
@pytest.mark.parametrize("target", ["ok", "income"])
def test_any_column_can_be_drawn_for_any_target(frame, column, target):
    if column != target:
        board = DataBoard(frame, target)
        control(board, Dropdown, "column").value = column
        assert axes(board).get_xlabel() == column


def test_a_column_of_an_empty_table_is_an_empty_picture(frame):
    assert not axes(DataBoard(frame.clear(), "ok")).has_data()


def test_the_shares_of_a_class_add_up_to_one(frame):
    board = DataBoard(frame, "ok")
    control(board, Dropdown, "column").value = "sex"
    assert [sum(line.get_ydata()) for line in axes(board).get_lines()] == pytest.approx([1, 1])


def test_another_metric_redraws_the_leaderboard(entries):
    board = Leaderboard(entries)
    metric, before = control(board, Dropdown, "metric"), image(board)
    assert metric.options == ("auc", "brier")
    metric.value = "brier"
    assert image(board) != before
    assert "brier" in axes(board).get_xlabel()
    assert [label.get_text() for label in axes(board).get_yticklabels()] == ["model 0", "model 1"]


@pytest.mark.parametrize(
    ("kind", "description", "value"),
    [(FloatSlider, "threshold", 0.8), (FloatSlider, "fairness limit", 0.95), (Dropdown, "groups", "city")],
)
def test_every_control_of_the_threshold_board_redraws_it(thresholds, kind, description, value):
    board = thresholds()
    before = image(board)
    control(board, kind, description).value = value
    assert image(board) != before


def test_selecting_means_giving_the_favourable_answer(thresholds):
    for favourable, selected in (("yes", 0.2), ("no", 0.8)):
        board = thresholds(favourable=favourable)
        control(board, FloatSlider, "threshold").value = 0.8
        assert [bar.get_width() for bar in axes(board).patches] == pytest.approx([selected, selected])
        assert axes(board).get_title() == "70.0% of decisions are right"


def test_the_board_starts_at_the_projects_own_limit(thresholds):
    board = thresholds(limit=0.3)
    assert control(board, FloatSlider, "fairness limit").value == 0.3
    assert axes(board).get_lines()[-1].get_xdata()[0] == pytest.approx(0.3 * 0.5)


def test_nobody_selected_is_drawn_without_a_ratio(thresholds):
    board = thresholds()
    control(board, FloatSlider, "threshold").value = 0.98
    assert all("ratio" in text.get_text() for text in axes(board).texts)
    everyone_below = ThresholdBoard(
        pl.Series(["no"] * 4),
        pl.Series([0.0] * 4),
        groups_of(pl.DataFrame({"sex": ["m", "f"] * 2}), ["sex"], minimum=1, intersections=False),
        positive="yes",
        favourable="yes",
        limit=0.8,
    )
    assert not any("ratio" in text.get_text() for text in axes(everyone_below).texts)
