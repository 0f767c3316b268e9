"""The pictures draw whatever the verdict holds, without a plotting window."""

from __future__ import annotations

import io

import polars as pl
import pytest

from workbench.data.contract import Contract
from workbench.errors import NotFound
from workbench.monitoring import compare, drift_picture, feature_picture


def png_size(figure: object) -> int:
    stream = io.BytesIO()
    figure.savefig(stream, format="png")  # type: ignore[attr-defined]
    return len(stream.getvalue())


def test_a_verdict_is_drawn_with_its_headline_and_what_was_left_out(credit: pl.DataFrame, contract: Contract) -> None:
    current = credit.tail(2000).with_columns(AGE=pl.col("AGE") + 9).drop("SEX")
    figure = drift_picture(compare(credit.head(10_000), current, contract, alpha=0.01, floor=0.02))
    axes = figure.axes[0]
    assert " of 22 columns drifted" in axes.get_title(loc="left")
    assert "AGE" in [label.get_text() for label in axes.get_yticklabels()][:3]
    assert figure.get_supxlabel() == "Not compared, so not cleared: SEX."
    assert png_size(figure) > 10_000


def test_a_verdict_on_nothing_is_drawn_too(credit: pl.DataFrame, contract: Contract) -> None:
    figure = drift_picture(compare(credit.head(100), pl.DataFrame(), contract, alpha=0.01, floor=0.0))
    assert png_size(figure) > 1000


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1.0, 2.0, None, 1e9], [5.0, float("nan")]),
        ([1.0, 1.0], [1.0]),
        ([None, None], [1.5]),
        ([0.1, 0.2, 7.3], []),
        (["a", None, "$x$"], [f"a rather long name {i}" for i in range(30)]),
        ([1.0, 2.0], ["text", "1"]),
        ([True, False], [True, None]),
    ],
)
def test_any_pair_of_samples_is_drawn(before: list[object], after: list[object]) -> None:
    first, second = pl.DataFrame({"v": before}), pl.DataFrame({"v": after}, schema=None if after else {"v": pl.Float64})
    if before == [None, None]:
        first = first.cast(pl.Float64)
    assert png_size(feature_picture(first, second, "v")) > 1000


def test_a_column_that_does_not_exist_is_named(credit: pl.DataFrame) -> None:
    with pytest.raises(NotFound, match="Did you mean 'LIMIT_BAL'"):
        feature_picture(credit, credit, "LIMIT_BALL")
