from __future__ import annotations

import hashlib
import io
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from polars.exceptions import PolarsError
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

from workbench.data import frames
from workbench.data.frames import read_frame, write_frame


@pytest.fixture(params=["read", "mapped"])
def again(request, tmp_path, monkeypatch):
    """Writes a frame to a file nobody may change, and reads it back by either way."""
    if request.param == "mapped":
        monkeypatch.setattr(frames, "MAPPED", 0)

    def there_and_back(frame: pl.DataFrame) -> pl.DataFrame:
        path = tmp_path / "frame"
        path.unlink(missing_ok=True)
        with path.open("wb") as stream:
            write_frame(frame, stream)
        path.chmod(0o400)
        return read_frame(path)

    return there_and_back


COLUMNS = {
    "categorical": pl.Series(["x", "y", None], dtype=pl.Categorical),
    "enum": pl.Series(["x", "y", None], dtype=pl.Enum(["z", "x", "y"])),
    "decimal": pl.Series([Decimal("1.25"), None, Decimal(-3)]),
    "duration": pl.Series([timedelta(seconds=3), None, timedelta(0)]),
    "time": pl.Series([time(3, 4, 5), None, time(0)]),
    "date": pl.Series([date(2020, 1, 1), None, date(1, 1, 1)]),
    "zoned": pl.Series([datetime(2020, 1, 1), None, datetime(2020, 7, 1)]).dt.replace_time_zone("Europe/Berlin"),
    "lists": pl.Series([["a", "b"], None, [None]], dtype=pl.List(pl.Categorical)),
    "array": pl.Series([[1, 2], None, [3, 4]], dtype=pl.Array(pl.Int8, 2)),
    "struct": pl.Series([{"x": 1, "y": "b"}, None, {"x": None, "y": None}]),
    "null": pl.Series([None, None, None]),
    "binary": pl.Series([b"a", None, b""]),
    "wide integers": pl.Series([2**100, None, -1], dtype=pl.Int128),
    "text": pl.Series(["é", "", "a text that is longer than twelve bytes"]),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_of_any_type_comes_back_as_it_was(again, column):
    frame = COLUMNS[column].alias("column").to_frame()
    assert_frame_equal(again(frame), frame)
    assert_frame_equal(again(frame[1:2]), frame[1:2])
    assert_frame_equal(again(frame.clear()), frame.clear())
    together = pl.concat([frame, frame], rechunk=False)
    assert_frame_equal(again(together), together)


@settings(max_examples=40, deadline=None)
@given(frame=dataframes(excluded_dtypes=[pl.Object], max_size=6, allow_null=True, allow_chunks=True))
def test_any_frame_comes_back_as_it_was(tmp_path_factory, frame):
    path = tmp_path_factory.mktemp("frames") / "frame"
    with path.open("wb") as stream:
        write_frame(frame, stream)
    assert_frame_equal(read_frame(path), frame)


@pytest.mark.parametrize("frame", [pl.DataFrame(), pl.DataFrame(height=3)], ids=["nothing", "rows only"])
def test_a_frame_without_columns_keeps_its_height(again, frame):
    assert again(frame).shape == frame.shape


def test_a_frame_of_objects_is_refused(again):
    with pytest.raises(PolarsError, match="Object"):
        again(pl.DataFrame({"a": [object()]}, schema={"a": pl.Object}))


def test_texts_that_a_filter_left_out_are_not_written():
    frame = pl.DataFrame({"text": [f"a text that is rather long {i}" for i in range(20_000)], "i": range(20_000)})
    stream = io.BytesIO()
    write_frame(frame.filter(pl.col("i") < 2), stream)
    assert len(stream.getvalue()) < 5_000


def test_a_loaded_frame_may_be_changed_in_place_without_changing_its_file(again, tmp_path):
    frame = pl.DataFrame(
        {"x": [3.0, 1.0, 2.0], "text": ["a", "b", "a text longer than twelve bytes"], "flag": [True, False, True]}
    )
    loaded = again(frame)
    before = hashlib.sha256((tmp_path / "frame").read_bytes()).digest()
    loaded[0, "x"], loaded[1, "text"], loaded[2, "flag"] = 99.0, "changed", False
    loaded["x"].sort(in_place=True)
    loaded["x"].scatter([0], [7.0])
    loaded.extend(loaded.clone())
    loaded["x"].to_numpy(writable=True)[:] = 5
    loaded["x"].to_torch()[:] = 6
    loaded.drop_in_place("flag")
    assert loaded["text"][1] == "changed"
    assert hashlib.sha256((tmp_path / "frame").read_bytes()).digest() == before
    assert_frame_equal(read_frame(tmp_path / "frame"), frame)


def test_a_parquet_file_is_read_too(tmp_path):
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"]})
    frame.write_parquet(tmp_path / "frame")
    assert_frame_equal(read_frame(tmp_path / "frame"), frame)
