"""Delimited text (comma, semicolon, tab, bar) to a typed table, judged by the whole file. Called by `reading.read_table`.

Handling, in order: the encoding is UTF-8 with or without byte order mark; the delimiter is the one under which most lines
have as many values as the header; every line must have that many values; spaces around names and values are not part of
them; a line without any value is left out. A column is a boolean, integer, float, date or datetime only if *all* its
values are, otherwise text. NA, N/A, NaN, null and None mean "no value" in columns whose other values are all of one
such type, and are ordinary text elsewhere. Numbers with leading zeros, such as postal codes, stay text.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from workbench.errors import DataUnreadable, bounded

__all__ = ["parse_delimited"]

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SAMPLED_LINES = 200
NO_VALUE = ("NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None")

WHOLE = r"(0|[1-9][0-9]*)"
INTEGER = rf"^[+-]?{WHOLE}$"
FLOAT = rf"^[+-]?({WHOLE}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?[iI]nf(inity)?$"
DECIMAL_COMMA = rf"^[+-]?{WHOLE}(,[0-9]+)?$"
BOOLEAN = r"^(true|false|True|False|TRUE|FALSE)$"
DATE = r"^\d{4}-\d{2}-\d{2}$"
DATETIME = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?$"


def parse_delimited(path: Path) -> pl.DataFrame:
    """Reads a delimited text file.

    Raises:
        DataUnreadable: not UTF-8 text, no rows, no second column, unusable column names, or lines of different lengths.
    """
    text = _decoded(path)
    if not text.strip():
        raise DataUnreadable(f"{path.name} is empty", hint="Give a file with a line of column names and one line per row.")
    delimiter = _delimiter(path, text)
    names = _checked_names(path, next(_rows(path, text, delimiter))[1])
    _require_even_lines(path, text, delimiter, names)
    body = pl.read_csv(text.encode(), separator=delimiter, infer_schema=False, has_header=True, new_columns=names)
    stripped = body.select(pl.all().str.strip_chars().replace("", None))
    rows = stripped.filter(~pl.all_horizontal(pl.all().is_null()))
    if rows.is_empty():
        raise DataUnreadable(f"{path.name} has column names but no rows", hint="Add one line per row below the names.")
    return rows.with_columns(_typed(rows[name], delimiter) for name in names)


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        raise DataUnreadable(
            f"{path.name} is not UTF-8 text: byte 0x{content[error.start]:02x} at position {error.start}, line {line}",
            hint="Save it as UTF-8, for example: iconv -f "
            f"{'UTF-16' if utf16 else 'WINDOWS-1252'} -t UTF-8 {path.name} > utf8-{path.name}",
        ) from error
    if "\0" in text:
        raise DataUnreadable(
            f"{path.name} is not UTF-8 text: a zero byte in line {text.count(chr(10), 0, text.index(chr(0))) + 1}",
            hint="Export the table again as CSV in UTF-8, or as Parquet.",
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _delimiter(path: Path, text: str) -> str:
    sample = list(itertools.islice(io.StringIO(text), SAMPLED_LINES))
    scores: dict[str, tuple[float, int]] = {}
    for candidate in DELIMITERS:
        widths = [len(row) for row in csv.reader(sample, delimiter=candidate) if row]
        if widths and widths[0] > 1:
            scores[candidate] = (widths.count(widths[0]) / len(widths), widths[0])
    if not scores:
        raise DataUnreadable(
            f"{path.name} has one column only: its first line is {bounded(sample[0].strip(), 80)!r}; "
            f"expected names separated by {', '.join(DELIMITERS.values())}",
            hint="Separate the columns with commas; one column cannot be both the target and what predicts it.",
        )
    return max(scores, key=lambda candidate: scores[candidate])


def _rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Every line that is not blank, with its number."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise DataUnreadable(
            f"{path.name} cannot be split into values at line {reader.line_num}: {error}",
            hint="Look for a quotation mark that is never closed, or one inside a value that is not doubled.",
        ) from error


def _checked_names(path: Path, header: list[str]) -> list[str]:
    names = [name.strip() for name in header]
    if all(name.replace(".", "", 1).lstrip("+-").isdigit() for name in names):
        raise DataUnreadable(
            f"{path.name} starts with a line of {len(names)} numbers; expected a line of column names",
            hint="Put the column names in the first line.",
        )
    require_names(path, names)
    return names


def require_names(path: Path, names: list[str]) -> None:
    """Refuses blank and repeated column names.

    Raises:
        DataUnreadable: naming the columns.
    """
    blank = [str(place) for place, name in enumerate(names, 1) if not name.strip()]
    if blank:
        raise DataUnreadable(
            f"{path.name} has columns without a name: number {', '.join(blank[:20])} of {len(names)}",
            hint="Name every column. A first column without a name is often pandas' index: write with to_csv(index=False).",
        )
    twice = [f"{name!r} ({count} times)" for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataUnreadable(
            f"{path.name} has column names that occur more than once: {', '.join(twice[:20])}",
            hint="Give every column its own name; which of them was meant cannot be guessed.",
        )


def _require_even_lines(path: Path, text: str, delimiter: str, names: list[str]) -> None:
    uneven = [(line, len(row)) for line, row in _rows(path, text, delimiter) if len(row) != len(names)]
    if uneven:
        raise DataUnreadable(
            f"{path.name} has {len(names)} columns separated by {DELIMITERS[delimiter]}, "
            f"but {len(uneven)} line{'s have' if len(uneven) > 1 else ' has'} another number of values",
            problems=[f"line {line}: {width} value{'' if width == 1 else 's'}" for line, width in uneven],
            hint='Mend these lines; a value that holds the delimiter itself needs quotation marks: "like, this".',
        )


def _typed(column: pl.Series, delimiter: str) -> pl.Series:
    """The column with the narrowest type that all its values have."""
    values = column.replace(dict.fromkeys(NO_VALUE))
    present = values.drop_nulls().unique()
    if present.is_empty():
        return values if column.null_count() == len(column) else column

    def every(pattern: str) -> bool:
        return bool(present.str.contains(pattern).all())

    if every(BOOLEAN):
        return values.str.to_lowercase() == "true"
    if every(INTEGER):
        whole = values.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == values.null_count() else values.cast(pl.Float64)
    if every(FLOAT):
        return values.cast(pl.Float64)
    if delimiter == ";" and every(DECIMAL_COMMA):
        return values.str.replace(",", ".", literal=True).cast(pl.Float64)
    return _moment(values, every(DATE), every(DATETIME), column)


def _moment(values: pl.Series, dates: bool, datetimes: bool, text: pl.Series) -> pl.Series:
    """ISO 8601 dates and datetimes (with offsets: in UTC); text where one of them names no real day, such as 2024-02-31."""
    if dates:
        parsed: pl.Series = values.str.to_date("%Y-%m-%d", strict=False)
    elif datetimes:
        zoned = bool(values.drop_nulls().str.contains(r"(Z|[+-]\d{2}:?\d{2})$").any())
        iso = values.str.replace(" ", "T", literal=True).str.replace(r"T(\d{2}:\d{2})(Z|[+-].*)?$", "T${1}:00${2}")
        pattern = "%Y-%m-%dT%H:%M:%S%.f%#z" if zoned else "%Y-%m-%dT%H:%M:%S%.f"
        parsed = iso.str.replace(r"Z$", "+00:00").str.to_datetime(pattern, time_unit="us", strict=False)
    else:
        return text
    return parsed if parsed.null_count() == values.null_count() else text
