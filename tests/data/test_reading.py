from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data import read_table
from workbench.errors import DataUnreadable

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)


@pytest.fixture
def written(tmp_path):
    def write(content: str | bytes, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def refusal(path: Path) -> DataUnreadable:
    with pytest.raises(DataUnreadable) as caught:
        read_table(path)
    assert caught.value.hint
    return caught.value


def test_a_missing_file_is_named_and_its_neighbours_listed(written):
    other = written("a,b\n1,2\n", "here.csv")
    error = refusal(other.with_name("gone.csv"))
    assert "gone.csv does not exist" in error.message
    assert "here.csv" in error.hint


def test_a_missing_folder_is_no_traceback(tmp_path):
    assert "does not exist" in refusal(tmp_path / "no" / "such.csv").message


def test_a_folder_is_not_a_table(tmp_path):
    assert "is a folder" in refusal(tmp_path).message


def test_another_kind_of_file_is_refused_with_the_kinds_that_are_read(written):
    error = refusal(written("x", "table.xlsx"))
    assert ".xlsx" in error.message
    assert ".parquet" in error.message


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_said_to_be_empty(written, content):
    assert "is empty" in refusal(written(content)).message


def test_a_header_without_rows_is_refused(written):
    assert "no rows" in refusal(written("a,b\n\n")).message


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["data.csv", "data.txt", "data.tsv"])
def test_the_delimiter_is_found_by_evidence_not_by_the_name(written, delimiter, name):
    frame = read_table(written(f"a{delimiter}b\n1{delimiter}x\n2{delimiter}y\n", name))
    assert frame.to_dict(as_series=False) == {"a": [1, 2], "b": ["x", "y"]}


def test_a_semicolon_file_may_write_decimal_commas(written):
    frame = read_table(written("price;name\n1,5;a\n20;b\n"))
    assert frame["price"].to_list() == [1.5, 20.0]


def test_an_unknown_delimiter_shows_what_was_found(written):
    error = refusal(written("age:income\n1:2\n"))
    assert "one column only" in error.message
    assert "age:income" in error.message


def test_duplicated_column_names_are_named(written):
    assert "'a' (2 times)" in refusal(written("a,b,a\n1,2,3\n")).message


def test_a_blank_column_name_points_at_the_index_of_pandas(written):
    error = refusal(written(",a\n0,1\n"))
    assert "number 1 of 2" in error.message
    assert "index=False" in error.hint


def test_a_file_without_names_is_refused_without_showing_its_values(written):
    error = refusal(written("31,20000\n42,30000\n"))
    assert "line of 2 numbers" in error.message
    assert "20000" not in str(error)


def test_text_in_another_encoding_names_line_and_byte_and_how_to_convert(written):
    error = refusal(written("a,b\n1,x\n2,caf\xe9\n".encode("latin-1")))
    assert "0xe9" in error.message
    assert "line 3" in error.message
    assert "iconv -f WINDOWS-1252 -t UTF-8 data.csv" in error.hint


def test_utf_16_is_recognised(written):
    assert "UTF-16" in refusal(written("a,b\n1,2\n".encode("utf-16"))).hint
    assert "zero byte in line 1" in refusal(written("a,b\n1,2\n".encode("utf-16-le"))).message


def test_a_byte_order_mark_is_not_part_of_the_first_name(written):
    assert read_table(written("\ufeffa,b\n1,2\n")).columns == ["a", "b"]


@pytest.mark.parametrize(("row", "count"), [("5", "1 value"), ("5,6,7", "3 values")])
def test_lines_that_are_too_short_or_too_long_are_numbered(written, row, count):
    error = refusal(written(f"a,b\n1,2\n{row}\n3,4\n"))
    assert error.problems == (f"line 3: {count}",)


def test_many_ragged_lines_do_not_flood(written):
    error = refusal(written("a,b\n" + "1,2\n" * 300 + "1\n" * 200))
    assert "200 lines have" in error.message
    assert len(str(error).splitlines()) < 30


def test_an_open_quotation_mark_is_explained(written):
    assert "quotation mark" in refusal(written('a,b\n"1,2\n3,4\n')).hint


def test_quoted_delimiters_and_line_breaks_belong_to_the_value(written):
    frame = read_table(written('a,b\n"x, y",1\n"two\nlines",2\n'))
    assert frame["a"].to_list() == ["x, y", "two\nlines"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_ending_is_read(written, end):
    assert read_table(written(end.join(["a,b", "1,2", "", "3,4", ""]))).rows() == [(1, 2), (3, 4)]


def test_spaces_around_names_and_values_are_not_part_of_them(written):
    assert read_table(written("age, job\n39, clerk\n40, \n")).rows(named=True) == [
        {"age": 39, "job": "clerk"},
        {"age": 40, "job": None},
    ]


def test_types_come_from_the_whole_file(written):
    rows = "".join(f"{row},{row}\n" for row in range(5000))
    frame = read_table(written(f"late_float,late_text\n{rows}0.5,x\n"))
    assert frame.dtypes == [pl.Float64, pl.String]


@pytest.mark.parametrize(
    ("values", "dtype", "last"),
    [
        (["1", "-2"], pl.Int64, -2),
        (["1", "2.5e3"], pl.Float64, 2500.0),
        (["1", "99999999999999999999"], pl.Float64, 1e20),
        (["True", "false"], pl.Boolean, False),
        (["x", "y"], pl.String, "y"),
        (["007", "120"], pl.String, "120"),
        (["2024-01-31", "2024-02-29"], pl.Date, dt.date(2024, 2, 29)),
        (["2024-01-31", "2024-02-31"], pl.String, "2024-02-31"),
        (["2024-01-31 10:00", "2024-02-01T11:30:15.25"], pl.Datetime("us"), dt.datetime(2024, 2, 1, 11, 30, 15, 250000)),
        (
            ["2024-01-31T10:00:00Z", "2024-02-01T11:30:00+02:00"],
            pl.Datetime("us", "UTC"),
            dt.datetime(2024, 2, 1, 9, 30, tzinfo=dt.UTC),
        ),
    ],
)
def test_values_get_the_type_that_all_of_them_have(written, values, dtype, last):
    column = read_table(written("v,w\n" + "".join(f"{value},1\n" for value in values)))["v"]
    assert column.dtype == dtype
    assert column[-1] == last


def test_marks_for_no_value_count_only_where_the_rest_has_a_type(written):
    frame = read_table(written("number,country\n1,NA\nNA,DE\nnull,NA\n"))
    assert frame["number"].to_list() == [1, None, None]
    assert frame["country"].to_list() == ["NA", "DE", "NA"]


def test_not_a_number_is_a_missing_value_and_infinity_is_not(written):
    assert read_table(written("v,w\nNaN,1\ninf,1\n0.5,1\n"))["v"].to_list() == [None, float("inf"), 0.5]


def test_a_column_without_values_is_kept(written):
    assert read_table(written("a,b\n1,\n2,\n"))["b"].null_count() == 2


@given(rows=st.lists(st.tuples(st.integers(-(2**40), 2**40), TEXTS.filter(lambda text: text.isalpha())), min_size=1, max_size=30))
def test_what_polars_writes_as_csv_is_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    frame = pl.DataFrame({"n": [row[0] for row in rows], "t": ["x" + row[1] for row in rows]})
    frame.write_csv(path)
    assert read_table(path).equals(frame)


def test_parquet_is_read_in_the_same_few_types(tmp_path):
    path = tmp_path / "data.parquet"
    pl.DataFrame(
        {
            "small": pl.Series([1, 2], dtype=pl.Int8),
            "huge": pl.Series([1, 2**63], dtype=pl.UInt64),
            "float": pl.Series([1.5, float("nan")], dtype=pl.Float32),
            "kind": pl.Series(["a", "b"], dtype=pl.Categorical),
        }
    ).write_parquet(path)
    frame = read_table(path)
    assert frame.dtypes == [pl.Int64, pl.Float64, pl.Float64, pl.String]
    assert frame["float"].to_list() == [1.5, None]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"PAR1 then nonsense", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_broken_parquet_file_is_no_traceback(written, content):
    assert "data.parquet" in refusal(written(content, "data.parquet")).message


def test_a_cut_off_parquet_file_is_no_traceback(tmp_path):
    whole = tmp_path / "whole.parquet"
    pl.DataFrame({"a": range(1000), "b": range(1000)}).write_parquet(whole)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:-100])
    assert "cut.parquet cannot be read" in refusal(cut).message


@settings(max_examples=60, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(4, 2000), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_parquet_file_with_damaged_bytes_is_read_or_refused(tmp_path_factory, flips):
    path = tmp_path_factory.mktemp("damaged") / "data.parquet"
    pl.DataFrame({"a": range(300), "b": ["x", "y", None] * 100}).write_parquet(path)
    content = bytearray(path.read_bytes())
    for place, value in flips:
        content[max(4, len(content) - place)] = value
    path.write_bytes(bytes(content))
    try:
        assert read_table(path).width > 0
    except DataUnreadable as error:
        assert "data.parquet" in error.message


def test_parquet_with_duplicated_names_is_refused(tmp_path):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    assert "a" in refusal(path).message


def test_parquet_without_rows_is_refused(tmp_path):
    path = tmp_path / "data.parquet"
    pl.DataFrame({"a": pl.Series([], dtype=pl.Int64)}).write_parquet(path)
    assert "no rows" in refusal(path).message
