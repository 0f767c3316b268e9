from __future__ import annotations

import threading
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from hypothesis.extra.pandas import column, data_frames, range_indexes

from workbench.session import parts
from workbench.session.pandas_frames import FrameUnstorable, read_pandas, write_pandas
from workbench.store import Objects
from workbench.store.objects import digest_of


@pytest.fixture(params=["read", "mapped"])
def again(request, tmp_path, monkeypatch):
    """Stores a frame, reads it back by either way, and checks at the end that no stored file was changed."""
    if request.param == "mapped":
        monkeypatch.setattr(parts, "MAPPED", 0)
    objects, digests = Objects(tmp_path / "objects"), []

    def there_and_back(frame: pd.DataFrame) -> pd.DataFrame:
        digest, _ = objects.stream(lambda stream: write_pandas(frame, stream))
        digests.append(digest)
        return read_pandas(objects.path(digest))

    yield there_and_back
    assert [digest_of(objects.path(digest)) for digest in digests] == digests


def equal(found: pd.DataFrame, frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, frame, check_freq=True, check_flags=True)
    assert type(found.index) is type(frame.index)
    assert type(found.columns) is type(frame.columns)
    assert [block.dtype for block in found._mgr.blocks] == [block.dtype for block in frame._mgr.blocks]


COLUMNS = {
    "texts": pd.Series(["é", None, "", "a text longer than twelve bytes"]),
    "texts, nan": pd.Series(["a", None, "c", "d"], dtype=object),
    "integers as objects": pd.Series([1, None, 2, 3], dtype=object),
    "large integers": pd.Series([2**70, 1, 2, 3], dtype=object),
    "truth as objects": pd.Series([True, None, False, True], dtype=object),
    "mixed numbers": pd.Series([1, 2.5, True, 4], dtype=object),
    "mixed": pd.Series([1, "a", None, 2.5], dtype=object),
    "texts and bytes apart": pd.Series([b"a", b"b", None, b""]),
    "dates": pd.Series([date(2020, 1, 1), None, date(2020, 1, 3), date(2020, 1, 4)]),
    "moments as objects": pd.Series([datetime(2020, 1, 1, 1, 1)] * 4, dtype=object),
    "decimals": pd.Series([Decimal("1.5"), Decimal("-2"), None, Decimal("0.25")]),
    "lists": pd.Series([[1], [2, 3], None, []]),
    "mappings": pd.Series([{"a": 1}, {"b": [2]}, {}, None]),
    "nothing": pd.Series([None] * 4, dtype=object),
    "category": pd.Series(["a", "b", None, "a"], dtype="category"),
    "ordered": pd.Series(pd.Categorical(["a", "b", "a", "b"], ["b", "a", "c"], ordered=True)),
    "category of numbers": pd.Series([1, 2, 1, 2], dtype="category"),
    "category of moments": pd.Series(pd.to_datetime(["2020", "2021"] * 2)).astype("category"),
    "cut": pd.Series(pd.cut([1, 2, 3, 4], 2)),
    "Int64": pd.Series([1, None, 2, 3], dtype="Int64"),
    "Int64, none missing": pd.Series([1, 0, 2, 3], dtype="Int64"),
    "boolean": pd.Series([True, None, False, True], dtype="boolean"),
    "Float32": pd.Series([1, None, 2, 3], dtype="Float32"),
    "string": pd.Series(["a", None, "b", "c"], dtype="string[python]"),
    "string of Arrow": pd.Series(["a", None, "b", "c"], dtype="string[pyarrow]"),
    "Arrow": pd.Series([1, 2, None, 4], dtype="int64[pyarrow]"),
    "Arrow texts": pd.Series(["a", None, "b", "c"], dtype=pd.ArrowDtype(pa.string())),
    "moments": pd.Series(pd.to_datetime(["2020", None, "2021", "2022"])),
    "spans": pd.Series(pd.to_timedelta([1, None, 2, 3], unit="h")),
    "zoned": pd.Series(pd.date_range("2020", periods=4, tz="Europe/Berlin")),
    "zoned, microseconds": pd.Series(pd.date_range("2020", periods=4, tz="UTC", unit="us")),
    "offset": pd.Series(pd.date_range("2020", periods=4, tz="+02:00")),
    "period": pd.Series(pd.period_range("2020", periods=4, freq="M")),
    "interval": pd.Series(pd.interval_range(0, 4)),
    "complex": pd.Series([1j, 2, 3, 4]),
    "float16": pd.Series([1, 2, 3, 4], dtype="float16"),
    "bool": pd.Series([True, False, True, True]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_comes_back_with_its_type_and_may_be_changed(again, name):
    column = COLUMNS[name]
    frame = pd.DataFrame({"number": [1.5, np.nan, 3, 4], "column": column, "flag": [True] * 4, "same": column})
    found = again(frame)
    equal(found, frame)
    assert [type(value) for value in found["column"]] == [type(value) for value in frame["column"]]
    if not isinstance(column[0], list | dict):
        for place in range(4):
            found.iloc[0, place] = found.iloc[3, place]
        assert found["column"][0] == column[3]
    found.sort_values("number", inplace=True)
    found["new"] = 1


def test_bytes_among_texts_stay_what_they_are_or_are_refused(again):
    with pytest.raises(FrameUnstorable, match=r"it holds a builtins\.bytes"):
        again(pd.DataFrame({"a": ["text", b"bytes"]}))


INDEXES = {
    "texts": pd.Index(list("abcd")),
    "numbers": pd.Index([4, 2, 1, 9]),
    "floats": pd.Index([1.5, 2, np.nan, 4]),
    "days": pd.date_range("2020", periods=4, freq="D", name="day"),
    "zoned": pd.date_range("2020", periods=4, tz="UTC"),
    "hours": pd.timedelta_range(0, periods=4, freq="h"),
    "category": pd.CategoricalIndex(list("abab")),
    "levels": pd.MultiIndex.from_product([[1, 2], ["a", "b"]], names=["x", None]),
    "levels of one name": pd.MultiIndex.from_product([[1, 2], ["a", "b"]], names=["x", "x"]),
    "one level": pd.MultiIndex.from_tuples([(0,), (1,), (2,), (0,)]),
    "levels with gaps": pd.MultiIndex.from_arrays([[1, None, 2, 2], pd.date_range("2020", periods=4)]),
    "named by a number": pd.Index([1, 2, 3, 4], name=np.int64(5)),
    "named by a tuple": pd.Index([1, 2, 3, 4], name=("a", 1)),
    "objects": pd.Index([1, 2, 3, 4], dtype=object),
    "mixed": pd.Index([1, "a", 2, None]),
    "range": pd.RangeIndex(2, 10, 2, name="r"),
    "period": pd.period_range("2020", periods=4, freq="M"),
    "interval": pd.interval_range(0, 4),
    "dates": pd.Index([date(2020, 1, day) for day in range(1, 5)]),
    "duplicates": pd.Index(["a", "a", "b", "b"]),
    "nullable": pd.Index([1, 2, None, 4], dtype="Int64"),
    "truth": pd.Index([True, False, True, False]),
    "cut": pd.CategoricalIndex(pd.cut([1, 2, 3, 4], 2)),
}


@pytest.mark.parametrize("name", INDEXES)
def test_rows_and_columns_keep_their_labels_duplicates_included(again, name):
    labels = INDEXES[name]
    for frame in (
        pd.DataFrame({"c": list("wxyz")}, index=labels),
        pd.DataFrame(index=labels),
        pd.DataFrame(np.ones((2, 4)), columns=labels),
        pd.DataFrame(np.ones((4, 4)), columns=labels, index=labels),
    ):
        equal(again(frame), frame)


NUMBERS = np.arange(24.0).reshape(6, 4)
LAYOUTS = {
    "nothing": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": np.array([], dtype="i2"), "b": np.array([], dtype=object)}),
    "by rows": pd.DataFrame(NUMBERS),
    "by columns": pd.DataFrame(np.asfortranarray(NUMBERS)),
    "every other row": pd.DataFrame(NUMBERS)[::2],
    "every other column": pd.DataFrame(NUMBERS).iloc[:, ::2],
    "rows of columns": pd.DataFrame(np.asfortranarray(NUMBERS)).iloc[1:5],
    "two zoned columns": pd.DataFrame({name: pd.date_range("2020", periods=3, tz="UTC") for name in "ab"}),
    "types by turns": pd.DataFrame({"a": [1], "b": [1.5], "c": [2], "d": ["x"], "e": [2.5], "f": ["y"]}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_frame_comes_back_however_it_lies_in_memory(again, name):
    found = again(LAYOUTS[name])
    equal(found, LAYOUTS[name])
    if found.size:
        found.iloc[0, 0] = found.iloc[-1, 0]


FRAMES = data_frames(
    [
        column("a", dtype=float),
        column("b", dtype=np.int16),
        column("c", elements=st.none() | st.text(st.characters(exclude_categories=("Cs",)), max_size=4), dtype=object),
        column("d", dtype="datetime64[ns]"),
        column("e", dtype=bool),
        column("f", dtype=float),
    ],
    index=range_indexes(max_size=5),
)


@settings(max_examples=60, deadline=None)
@given(frame=FRAMES)
def test_any_frame_comes_back_as_it_was(tmp_path_factory, frame):
    path = tmp_path_factory.mktemp("frames") / "frame"
    with path.open("wb") as stream:
        write_pandas(frame, stream)
    equal(read_pandas(path), frame)


@settings(max_examples=40, deadline=None)
@given(values=arrays(st.sampled_from(["f8", "i4", "?", "u1", "M8[s]", "c8"]), st.tuples(st.integers(0, 4), st.integers(1, 4))))
def test_any_numbers_come_back_bit_by_bit(tmp_path_factory, values):
    path, frame = tmp_path_factory.mktemp("frames") / "frame", pd.DataFrame(values)
    with path.open("wb") as stream:
        write_pandas(frame, stream)
    found = read_pandas(path)
    assert found.dtypes.tolist() == frame.dtypes.tolist()
    assert found.to_numpy().tobytes() == frame.to_numpy().tobytes()


def test_notes_of_a_frame_come_back(again):
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"source": ["register", 2024]}
    assert again(frame).attrs == frame.attrs


@pytest.mark.parametrize(
    ("frame", "place", "reason"),
    [
        (pd.DataFrame({"a": [1], "b": [threading.Lock()]}), "['b']", "it holds a _thread.lock"),
        (pd.DataFrame([[object()]], columns=[("x", 1)]), "[('x', 1)]", "it holds a builtins.object"),
        (pd.DataFrame({"s": pd.arrays.SparseArray([0, 1])}), "['s']", "pandas cannot read its type Sparse"),
        (pd.DataFrame({"t": pd.Series([(1, 2), 3])}), "['t']", "it holds a builtins.tuple"),
        (pd.DataFrame({"a": [1]}).rename_axis(index=b"n"), ".index", "an index is named by a bytes"),
    ],
    ids=["lock", "object", "sparse", "tuple", "name"],
)
def test_what_would_not_come_back_is_refused_by_its_place(again, frame, place, reason):
    with pytest.raises(FrameUnstorable, match=reason) as caught:
        again(frame)
    assert caught.value.place == place


class Measured(pd.DataFrame):
    """Stands for the frames of libraries such as geopandas."""


def test_a_frame_of_another_library_is_refused_rather_than_made_plain(again):
    with pytest.raises(TypeError, match=r"would come back as a plain pandas\.DataFrame"):
        again(Measured({"a": [1]}))


def test_notes_that_are_no_json_are_refused(again):
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"lock": threading.Lock()}
    with pytest.raises(FrameUnstorable, match="not JSON serializable") as caught:
        again(frame)
    assert caught.value.place == ".attrs"
