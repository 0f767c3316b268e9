"""The files of the prediction log: sealed segments, and those still being written. Read by `windows`."""

from __future__ import annotations

import io
import json
import logging
import mmap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from workbench.errors import DataUnreadable

__all__ = ["TIME", "changed", "lines_with", "read", "segments"]

TIME = "at"
"""The log's own name for the moment of a prediction, which readers get as `time`."""

FIELDS = ("request_id", "row", "model", "digest", "features", "prediction", "probabilities")
SEALED = ".jsonl"
EMPTY = pl.DataFrame(schema={"time": pl.Datetime("us", "UTC"), **dict.fromkeys(FIELDS, pl.Null)})

log = logging.getLogger(__name__)


def segments(folder: Path) -> list[Path]:
    """The log's files, oldest change first. One that is sealed while we look is listed under one of its names only."""
    names = {_sealed(path): path for path in sorted(folder.rglob(f"*{SEALED}"))}
    return sorted((_here(path) for path in names.values()), key=lambda path: (_here(path).stat().st_mtime_ns, path))


def changed(path: Path) -> datetime:
    """When a segment was last written to, which is not before its last prediction, but for the lag of the file system's clock."""
    return datetime.fromtimestamp(_here(path).stat().st_mtime, tz=UTC)


def _sealed(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(SEALED).removesuffix(".open") + SEALED)


def _here(path: Path) -> Path:
    """The file, under the name it has now: the writer renames an open segment when it seals it."""
    return path if path.exists() else _sealed(path)


def read(paths: Sequence[Path], folder: Path) -> tuple[pl.DataFrame, int]:
    """The predictions of some segments in the order of their time, and how many lines could not be read.

    Raises:
        DataUnreadable: a line is not a logged prediction.
    """
    texts = [_complete_lines(path) for path in paths]
    text = b"".join(complete for complete, _ in texts)
    unreadable = sum(torn for _, torn in texts)
    try:
        frame = _parse(text)
    except pl.exceptions.PolarsError:
        kept, dropped = _readable_lines(text)
        unreadable += dropped
        frame = _parse(kept)
    if unreadable:
        log.warning("%d unreadable lines of the prediction log in %s were skipped", unreadable, folder)
    if frame.is_empty():
        return EMPTY, unreadable
    absent = [name for name in (TIME, *FIELDS) if name not in frame.columns]
    if absent:
        raise _foreign(folder, [f"field {name!r} is missing" for name in absent])
    times = frame.get_column(TIME).cast(pl.String).str.to_datetime("%+", time_unit="us", strict=False)
    if times.null_count():
        raise _foreign(folder, [f"{TIME!r} is not an ISO 8601 time in {times.null_count():,} lines"])
    return frame.select(times.alias("time"), *FIELDS).sort("time", maintain_order=True), unreadable


def _foreign(folder: Path, problems: Sequence[str]) -> DataUnreadable:
    return DataUnreadable(
        f"{folder} holds lines that are no logged predictions",
        problems=problems,
        hint="Point to the folder that `workbench serve` writes; nothing else may lie there as *.jsonl.",
    )


def _parse(text: bytes) -> pl.DataFrame:
    if not text.strip():
        return pl.DataFrame()
    # The schema is taken from every line: a value that turns into text late in the log makes its column text.
    return pl.read_ndjson(io.BytesIO(text), infer_schema_length=None)


def _complete_lines(path: Path) -> tuple[bytes, int]:
    """A segment's text up to its last line end, and 1 when a torn line follows it."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        text = _sealed(path).read_bytes()
    end = text.rfind(b"\n") + 1
    return text[:end], int(bool(text[end:].strip()))


def _readable_lines(text: bytes) -> tuple[bytes, int]:
    kept, dropped = [], 0
    for line in filter(None, map(bytes.strip, text.splitlines())):
        try:
            readable = isinstance(json.loads(line), dict)
        except ValueError:
            readable = False
        if readable:
            kept.append(line)
        else:
            dropped += 1
    return b"\n".join(kept), dropped


def lines_with(path: Path, needle: bytes) -> Iterator[bytes]:
    """The lines of a segment that hold a text, found without parsing any."""
    with _here(path).open("rb") as stream:
        if stream.seek(0, io.SEEK_END) == 0:
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
            at = text.find(needle)
            while at >= 0:
                start, end = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
                end = end if end >= 0 else len(text)
                yield text[start:end]
                at = text.find(needle, end)
