"""The drift verdict stays calm on natural windows and finds what really moved."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from workbench.data.contract import Column, Contract
from workbench.errors import BadInput
from workbench.monitoring import DriftReport, compare

ALPHA, FLOOR = 0.01, 0.02


def decide(reference: pl.DataFrame, current: pl.DataFrame, contract: Contract) -> DriftReport:
    return compare(reference, current, contract, alpha=ALPHA, floor=FLOOR)


def split(credit: pl.DataFrame, rows: int, seed: int, tilt: float = 0.0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A reference of 10,000 customers and a window of others, drawn in favour of high credit limits when tilted."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(credit))
    reference, pool = order[:10_000], order[10_000:]
    limit = np.log(credit["LIMIT_BAL"].to_numpy())
    weight = np.exp(tilt * (limit - limit.mean()) / limit.std())[pool]
    return credit[reference], credit[random.choice(pool, rows, replace=False, p=weight / weight.sum())]


@pytest.mark.parametrize("rows", [500, 2000, 5000])
def test_natural_windows_of_any_size_rarely_raise_any_alarm(credit: pl.DataFrame, contract: Contract, rows: int) -> None:
    alarms = sum(bool(decide(*split(credit, rows, seed), contract).drifted) for seed in range(40))
    assert alarms <= 4


def test_a_tilt_towards_high_limits_is_found_and_put_into_words(credit: pl.DataFrame, contract: Contract) -> None:
    report = decide(*split(credit, 5000, seed=7, tilt=0.3), contract)
    assert "LIMIT_BAL" in report.drifted
    limit = next(feature for feature in report.features if feature.name == "LIMIT_BAL")
    assert limit.adjusted_p < 1e-6
    assert limit.psi > FLOOR
    assert limit.reason.startswith("median 140,000 → ")
    assert "SEX" not in report.drifted


def test_most_tilted_windows_are_found(credit: pl.DataFrame, contract: Contract) -> None:
    found = sum("LIMIT_BAL" in decide(*split(credit, 5000, seed, tilt=0.25), contract).drifted for seed in range(10))
    assert found >= 9


def test_a_difference_beyond_chance_but_too_small_to_matter_is_no_drift(credit: pl.DataFrame, contract: Contract) -> None:
    report = decide(*split(credit, 10_000, seed=3, tilt=0.1), contract)
    limit = next(feature for feature in report.features if feature.name == "LIMIT_BAL")
    assert limit.adjusted_p < ALPHA
    assert not limit.drifted
    assert "too small to matter" in limit.reason


def test_values_that_go_missing_are_drift(credit: pl.DataFrame, contract: Contract) -> None:
    reference, current = split(credit, 2000, seed=1)
    hole = pl.int_range(pl.len()) % 5 == 0
    current = current.with_columns(AGE=pl.when(~hole).then(pl.col("AGE")), SEX=pl.when(hole).then(None).otherwise(pl.col("SEX")))
    report = decide(reference, current, contract)
    assert set(report.drifted) == {"AGE", "SEX"}
    assert {feature.name: feature.reason for feature in report.features if feature.drifted} == {
        "AGE": "missing 0.0% → 20.0% of rows",
        "SEX": "'(missing)' 0.0% → 20.0% of rows",
    }


def test_a_share_of_zeros_that_changes_is_seen_although_zero_fills_most_bins() -> None:
    contract = Contract(
        features=(Column(name="paid", kind="number", source_type="float", nullable=False),), target="y", task="regression"
    )
    random = np.random.default_rng(0)
    before = np.where(random.random(10_000) < 0.97, 0.0, random.random(10_000))
    after = np.where(random.random(4000) < 0.85, 0.0, random.random(4000))
    report = decide(pl.DataFrame({"paid": before}), pl.DataFrame({"paid": after}), contract)
    assert report.drifted == ("paid",)


def test_the_models_own_answers_are_watched_as_one_more_column(credit: pl.DataFrame, contract: Contract) -> None:
    reference, current = split(credit, 2000, seed=2)
    scores = np.random.default_rng(0).random(12_000)
    reference = reference.with_columns(prediction=pl.Series(scores[:10_000]))
    current = current.with_columns(prediction=pl.Series(scores[10_000:] ** 2))
    assert decide(reference, current, contract).drifted == ("prediction",)
    assert "prediction" not in decide(reference, current.drop("prediction"), contract).skipped


def test_answers_of_another_type_are_listed_as_not_compared(credit: pl.DataFrame, contract: Contract) -> None:
    reference, current = split(credit, 500, seed=2)
    report = decide(reference.with_columns(prediction=0.5), current.with_columns(prediction=pl.lit("no")), contract)
    assert report.skipped == {"prediction": "text where numbers belong (500 of 500 values) in the window"}


def test_one_verdict_per_column_and_the_same_for_the_same_rows(credit: pl.DataFrame, contract: Contract) -> None:
    reference, current = split(credit, 500, seed=4)
    report = decide(reference, current, contract)
    assert tuple(feature.name for feature in report.features) == contract.names
    assert report == decide(reference, current, contract)
    assert (report.rows_reference, report.rows_current) == (10_000, 500)


def test_categories_too_rare_to_test_are_not_waved_through() -> None:
    contract = Contract(
        features=(Column(name="town", kind="category", source_type="string", nullable=False),), target="y", task="regression"
    )
    towns = pl.DataFrame({"town": [f"town {i}" for i in range(60)]})
    report = decide(towns, towns, contract)
    assert report.features == ()
    assert "too rare" in report.skipped["town"]


def test_one_new_rare_category_is_no_alarm() -> None:
    contract = Contract(
        features=(Column(name="town", kind="category", source_type="string", nullable=False),), target="y", task="regression"
    )
    reference = pl.DataFrame({"town": ["a", "b"] * 5000})
    assert decide(reference, pl.DataFrame({"town": ["a", "b"] * 100 + ["c"]}), contract).drifted == ()
    assert decide(reference, pl.DataFrame({"town": ["a", "b"] * 100 + ["c"] * 30}), contract).drifted == ("town",)


@pytest.mark.parametrize(("alpha", "floor"), [(0.0, 0.1), (1.0, 0.1), (0.05, -0.1)])
def test_a_policy_that_cannot_be_meant_is_refused(credit: pl.DataFrame, contract: Contract, alpha: float, floor: float) -> None:
    with pytest.raises(BadInput, match=r"workbench\.toml"):
        compare(credit, credit, contract, alpha=alpha, floor=floor)
