from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workbench import session
from workbench.data.contract import Column, Contract
from workbench.errors import BadInput
from workbench.execution.step import read_saved
from workbench.records import Estimate, Saved
from workbench.session.values import plain, read_value, write_value
from workbench.store import Objects
from workbench.store.objects import digest_of


@pytest.fixture
def again(tmp_path):
    """Stores a value and reads it back."""
    objects = Objects(tmp_path / "objects")

    def there_and_back(value: object, format_name: str) -> object:
        saved = write_value(objects, "value", value)
        assert (saved.name, saved.format) == ("value", format_name)
        assert objects.path(saved.digest).stat().st_size == saved.size
        return read_value(objects, saved)

    return there_and_back


def test_a_polars_frame_keeps_its_types_and_nulls(again):
    columns = {"number": [1.5, None, math.inf], "text": ["é", "", None], "flag": [True, False, None]}
    frame = pl.DataFrame({**columns, "day": [None, date(2024, 1, 2), None]}).with_columns(
        kind=pl.col("text").cast(pl.Categorical)
    )
    assert_frame_equal(again(frame, "polars.arrow"), frame)
    assert_frame_equal(again(frame.clear(), "polars.arrow"), frame.clear())


def test_a_pandas_frame_keeps_its_index_and_types(again):
    frame = pd.DataFrame(
        {"number": [1.0, np.nan], "text": ["a", None], "when": pd.to_datetime(["2024-01-02", None])}, index=["x", "y"]
    )
    pd.testing.assert_frame_equal(again(frame, "pandas.parts"), frame)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array(["a", "bcd"]),
        np.array([True, False]),
        np.array(["2024-01-02"], dtype="datetime64[D]"),
        np.zeros((0, 3)),
        np.float64(3.0) * np.ones(()),
    ],
    ids=str,
)
def test_an_array_keeps_its_shape_and_type(again, array):
    found = again(np.asarray(array), "array.npy")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.asarray(array).dtype


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((400, 400)),
        np.asfortranarray(np.arange(160_000.0).reshape(400, 400)),
        np.arange(320_000.0).reshape(400, 800)[:, ::2],
        np.arange(400_000)[::2],
        np.full((60, 60, 60), 1j),
        np.full(400_000, "é"),
    ],
    ids=["rows", "columns", "apart", "strided", "three axes", "texts"],
)
def test_a_large_array_is_mapped_and_may_be_changed_without_changing_its_file(tmp_path, array):
    objects = Objects(tmp_path)
    saved = write_value(objects, "array", array)
    found = read_value(objects, saved)
    np.testing.assert_array_equal(found, array)
    assert found.flags.f_contiguous == np.load(objects.path(saved.digest)).flags.f_contiguous, "numpy reads the file too"
    assert type(found) is np.ndarray
    found[...] = found.flat[1]
    assert digest_of(objects.path(saved.digest)) == saved.digest


def test_what_earlier_versions_saved_as_parquet_is_still_read(tmp_path):
    objects, frame = Objects(tmp_path), pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=["p", "q"])
    written = {
        "pandas.parquet": objects.write(frame.to_parquet),
        "polars.parquet": objects.write(pl.from_pandas(frame).write_parquet),
    }
    found = {kind: read_value(objects, Saved(name="f", format=kind, digest=at, size=n)) for kind, (at, n) in written.items()}
    pd.testing.assert_frame_equal(found["pandas.parquet"], frame)
    assert_frame_equal(found["polars.parquet"], pl.from_pandas(frame))


def test_what_a_later_version_saved_is_refused_by_the_name_of_its_format(tmp_path):
    objects = Objects(tmp_path)
    digest, size = objects.write_bytes(b"")
    with pytest.raises(BadInput, match=r"rows was saved as 'frame\.next', expected one of polars\.arrow") as caught:
        read_value(objects, Saved(name="rows", format="frame.next", digest=digest, size=size))
    assert "Upgrade" in caught.value.hint


def test_a_file_keeps_its_bytes(again, tmp_path):
    page = tmp_path / "page.html"
    page.write_bytes(b"<p>\xff")
    found = again(page, "file")
    assert isinstance(found, Path)
    assert found.read_bytes() == b"<p>\xff"


def test_a_contract_comes_back_as_one(again):
    columns = (
        Column(name="age", kind="number", source_type="integer", nullable=True, minimum=1.0, maximum=9.5),
        Column(name="sex", kind="category", source_type="string", nullable=False, categories=("f", "m")),
    )
    contract = Contract(features=columns, target="ok", task="binary", classes=("no", "yes"), positive="yes", ignored=("id",))
    assert again(contract, "contract.json") == contract


def test_a_fitted_model_predicts_the_same(again):
    features = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, ["no", "no", "yes", "yes"])
    found = again(model, "model.skops")
    assert list(found.classes_) == ["no", "yes"]
    np.testing.assert_array_equal(found.predict_proba(features), model.predict_proba(features))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (3, 3),
        ("é\n", "é\n"),
        ([1, [2.5, None]], [1, [2.5, None]]),
        ((1, 2), [1, 2]),
        ({"a": {"b": True}}, {"a": {"b": True}}),
        ({1: "a"}, {"1": "a"}),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        ({"array": [np.float64(1.5), np.arange(2)]}, {"array": [1.5, [0, 1]]}),
        (Estimate(value=np.float64(0.5)), {"value": 0.5, "low": None, "high": None}),
        (float("nan"), None),
        ([np.nan, math.inf], [None, None]),
    ],
    ids=str,
)
def test_anything_else_is_stored_as_json(again, value, expected):
    assert again(value, "value.json") == expected
    assert plain(value) == expected


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=JSON)
def test_any_json_value_round_trips(again, value):
    assert again(value, "value.json") == value


class Homemade:
    """Looks like a model, but nobody reviewed it."""

    def predict(self, rows: object) -> object:
        return rows

    def get_params(self) -> dict[str, object]:
        return {}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (object(), "builtins.object"),
        (lambda: None, "builtins.function"),
        ({"deep": [object()]}, "builtins.dict"),
        ({None: 1}, "builtins.dict"),
        (pl.LazyFrame({"a": [1]}), "polars.lazyframe.frame.LazyFrame"),
        (pl.DataFrame({"a": [object()]}, schema={"a": pl.Object}), "polars.dataframe.frame.DataFrame"),
        (pd.DataFrame({"a": [1, object()]}), "pandas.core.frame.DataFrame"),
        (np.array([object()]), "numpy.ndarray"),
        (Path("gone.html"), "pathlib.PosixPath"),
        (Path(), "pathlib.PosixPath"),
        (Homemade(), "Homemade"),
        (np.ma.masked_array([1, 2], [True, False]), "numpy.ma.MaskedArray"),
        (pd.Series([1]), "pandas.core.series.Series"),
    ],
    ids=[
        "object",
        "function",
        "inside",
        "key",
        "lazy",
        "polars",
        "pandas",
        "array",
        "no file",
        "folder",
        "model",
        "mask",
        "series",
    ],
)
def test_what_cannot_be_stored_is_named_with_its_type(step, value, kind):
    folder = step()
    with pytest.raises(BadInput, match=r"session\.save\(result=…\) was given a ") as caught:
        session.save(result=value)
    assert f"{kind}, which cannot be stored: " in caught.value.message
    assert "Save a frame" in caught.value.hint
    assert read_saved(folder) == {}


LOCK = threading.Lock()


@pytest.mark.parametrize(
    ("value", "blamed"),
    [
        ({"a": [1, 2, 3, LOCK]}, "x['a'][3] is a _thread.lock: "),
        ([{"b": ({"c": LOCK},)}], "x[0]['b'][0]['c'] is a _thread.lock: "),
        ({"a": pd.DataFrame()}, "x['a'] is a pandas.core.frame.DataFrame: "),
        (pd.DataFrame({"a": [1], "b": [LOCK]}), "x['b']: it holds a _thread.lock, "),
        (pd.DataFrame({"a": [1]}, index=[LOCK]), "x.index: it holds a _thread.lock, "),
        (pd.DataFrame([[1]], columns=[LOCK]), "x.columns: it holds a _thread.lock, "),
    ],
    ids=["list", "deep", "frame", "column", "index", "columns"],
)
def test_what_inside_a_value_cannot_be_stored_is_named_by_its_place(step, value, blamed):
    step()
    with pytest.raises(BadInput, match=r"session\.save\(x=…\) was given a ") as caught:
        session.save(x=value)
    assert f"which cannot be stored: {blamed}" in caught.value.message


def test_a_frame_inside_a_container_is_to_be_saved_by_itself(step):
    step()
    with pytest.raises(BadInput, match="cannot be stored") as caught:
        session.save(x={"train": pl.DataFrame({"a": [1]})})
    assert caught.value.hint == "Save it by itself, under a name of its own."


def test_a_list_that_holds_itself_is_refused_without_a_traceback(step):
    endless: list[object] = []
    endless.append(endless)
    step()
    with pytest.raises(BadInput, match=r"builtins\.list, which cannot be stored: maximum recursion"):
        session.save(x=endless)


IN_A_NOTEBOOK = """
import sys
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("import threading", store_history=True)
shell.run_cell("from workbench.session.values import Objects, write_value", store_history=True)
shell.user_ns["folder"] = Path(sys.argv[1])
failed = shell.run_cell("write_value(Objects(folder), 'x', threading.Lock())", store_history=True)
print("said:", failed.error_in_exec.message)
"""


def test_a_save_that_fails_in_a_notebook_names_the_cell(tmp_path):
    command, home = [sys.executable, "-c", IN_A_NOTEBOOK, str(tmp_path)], {"IPYTHONDIR": str(tmp_path / "ipython")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **home})
    said = done.stdout.partition("said: ")[2]
    assert said.startswith("session.save(x=…) in cell [3] was given a _thread.lock, which cannot be stored: ")


@pytest.mark.parametrize("name", ["project", "dataset", "candidates", "prepare", "train", "review", "choose", "watch"])
def test_names_of_the_workbench_are_refused_before_anything_is_saved(step, name):
    folder = step()
    with pytest.raises(BadInput, match=rf"session\.save\({name}=…\): this name belongs to the workbench"):
        session.save(fine=1, **{name: 2})
    assert read_saved(folder) == {}


def test_a_step_leaves_what_it_saved_for_its_runner(step, objects):
    folder = step()
    session.save(rows=3, frame=pl.DataFrame({"a": [1]}))
    session.save(rows=4)
    saved = read_saved(folder)
    assert {name: value.format for name, value in saved.items()} == {"rows": "value.json", "frame": "polars.arrow"}
    assert read_value(objects, saved["rows"]) == 4
