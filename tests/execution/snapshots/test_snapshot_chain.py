from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workbench.execution.snapshots import chain, environment, origin

START: dict[str, Any] = {"parameters": {"rate": 1, "name": "a"}, "data": {"train": "d1"}, "environment": "e"}


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"rate": 2, "name": "a"}},
        {"parameters": {"rate": 1.0, "name": "a"}},
        {"parameters": {"rate": True, "name": "a"}},
        {"data": {"train": "d2"}},
        {"data": {"test": "d1"}},
        {"environment": "f"},
    ],
)
def test_another_parameter_data_or_environment_starts_another_chain(change: dict[str, Any]) -> None:
    assert origin(**START) != origin(**{**START, **change})


def test_the_order_of_parameters_does_not_matter() -> None:
    assert origin(**START) == origin(**{**START, "parameters": {"name": "a", "rate": 1}})


def test_a_changed_cell_changes_every_later_link_and_none_before() -> None:
    def links(cells: list[str]) -> list[str]:
        link = origin(**START)
        return [link := chain(link, cell) for cell in cells]

    before, after = links(["a", "b", "c", "d"]), links(["a", "b", "x", "d"])
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, True, False, False]


def test_moving_text_between_cells_changes_the_chain() -> None:
    start = origin(**START)
    assert chain(chain(start, "a"), "b") != chain(chain(start, "ab"), "")


def test_installing_another_version_changes_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "thing-1.0.dist-info").mkdir()
    first = environment()
    assert environment() == first
    (tmp_path / "thing-1.0.dist-info").rename(tmp_path / "thing-1.1.dist-info")
    assert environment() != first
