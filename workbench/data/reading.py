"""Reads a stranger's CSV or Parquet file, or says precisely why it cannot. Called by `workbench init` and `register`."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from workbench.data.delimited import parse_delimited, require_names
from workbench.data.representation import canonical
from workbench.errors import DataUnreadable, bounded

__all__ = ["read_table"]

TEXT = (".csv", ".tsv", ".txt")
PARQUET = (".parquet", ".pq")


def read_table(path: Path) -> pl.DataFrame:
    """Reads delimited text (.csv, .tsv, .txt) or Parquet (.parquet, .pq) with the types of its whole content.

    Raises:
        DataUnreadable: there is no such file, it is not such a table, or the table has no rows or unusable column names.
    """
    kind = _checked_kind(path)
    try:
        frame = parse_delimited(path) if kind in TEXT else _parquet(path)
    except (OSError, PolarsError, PanicException) as error:  # polars panics on some bytes that no writer makes
        raise DataUnreadable(f"{path.name} cannot be read: {bounded(error, 200)}", hint="Write the file again.") from error
    require_names(path, frame.columns)
    if frame.is_empty():
        raise DataUnreadable(f"{path.name} has column names but no rows", hint="Check the query or program that wrote it.")
    return canonical(frame)


def _checked_kind(path: Path) -> str:
    if path.is_dir():
        raise DataUnreadable(f"{path} is a folder; expected one CSV or Parquet file", hint="Name a file inside it.")
    if not path.is_file():
        near = path.parent.is_dir() and [entry.name for entry in path.parent.iterdir() if entry.suffix in TEXT + PARQUET]
        listed = f"Data files beside it: {bounded(', '.join(sorted(near)), 200)}." if near else "Check the path."
        raise DataUnreadable(f"{path} does not exist", hint=listed)
    kind = path.suffix.lower()
    if kind not in TEXT + PARQUET:
        raise DataUnreadable(
            f"{path.name} ends in {kind or 'nothing'}; expected one of {', '.join(TEXT + PARQUET)}",
            hint="Export the table as CSV or Parquet, and name the file accordingly.",
        )
    return kind


def _parquet(path: Path) -> pl.DataFrame:
    if path.stat().st_size == 0:
        raise DataUnreadable(f"{path.name} is empty", hint="Write the file again.")
    with path.open("rb") as stream:
        if stream.read(4) != b"PAR1":
            raise DataUnreadable(
                f"{path.name} is not a Parquet file: it does not start with the mark PAR1",
                hint="If it is text, give it the ending .csv; otherwise write the file again.",
            )
    return pl.read_parquet(path, glob=False)
