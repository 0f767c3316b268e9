from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from workbench.execution.snapshots import Budget, baseline, size_of

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

GB = 10**9


def test_small_snapshots_are_allowed_from_the_start() -> None:
    assert Budget().allows(10_000)


def test_a_snapshot_that_would_cost_more_than_the_run_so_far_allows_is_not_begun() -> None:
    assert not Budget().allows(10 * GB)


def test_what_was_spent_counts() -> None:
    budget = Budget()
    budget.charge(0.6, 0)  # refused, but it took its time
    assert not budget.allows(0)


def test_a_namespace_that_was_larger_than_it_looked_is_expected_to_be_so_again() -> None:
    budget = Budget()
    assert budget.allows(1000)
    budget.charge(0.3, GB)
    assert not budget.allows(1000)


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(1_000_000),
        np.zeros((1000, 1000)).T[1:],
        pd.DataFrame({"a": np.zeros(1_000_000)}),
        pl.DataFrame({"a": np.zeros(1_000_000)}),
        {"deep": [np.zeros(1_000_000)]},
    ],
    ids=["array", "view", "pandas", "polars", "inside"],
)
def test_the_size_of_a_namespace_is_what_its_arrays_and_frames_say(shell: InteractiveShell, value: Any) -> None:
    before = baseline(shell)
    shell.user_ns.update(value=value, again=value)
    assert 8_000_000 <= size_of(shell, before) < 8_100_000


def test_many_small_objects_count_without_being_looked_at_one_by_one(shell: InteractiveShell) -> None:
    before = baseline(shell)
    shell.user_ns["rows"] = [{"a": number, "b": str(number)} for number in range(200_000)]
    assert 50_000_000 < size_of(shell, before) < 500_000_000
