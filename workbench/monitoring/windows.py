"""Windows of served predictions, read from the prediction log; called by the watch flow and by `workbench trace`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.errors import BadInput, NotFound
from workbench.monitoring.segments import TIME, changed, lines_with, read, segments

if TYPE_CHECKING:
    from workbench.data.contract import Contract

__all__ = ["PREDICTION", "Window", "find_request", "latest_window", "read_predictions"]

PREDICTION = "prediction"
"""The column under which a model's own answer is watched, next to its features."""

CLOCK_SLACK = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Predictions in the order of their time: how many, from when to when (ISO 8601, UTC), and which models answered.

    `unreadable` counts lines that were skipped because a writer died, or is still writing, in the middle of them.
    """

    frame: pl.DataFrame
    first: str
    last: str
    rows: int
    models: tuple[str, ...]
    unreadable: int

    def observed(self, contract: Contract) -> pl.DataFrame:
        """What the model saw and said: one column per feature as it was logged, and `prediction`.

        `prediction` is the score of the positive class for a binary model (it moves before the label does), else the
        label or the number. A feature of that name keeps its place and the model's answer is left out.
        """
        features = self.frame.get_column("features")
        columns = features.struct.unnest() if isinstance(features.dtype, pl.Struct) else pl.DataFrame()
        if PREDICTION in columns.columns:
            return columns
        return columns.with_columns(self._answer(contract).alias(PREDICTION))

    def _answer(self, contract: Contract) -> pl.Series:
        scores = self.frame.get_column("probabilities")
        classes = [field.name for field in scores.dtype.fields] if isinstance(scores.dtype, pl.Struct) else []
        if contract.task == "binary" and contract.positive in classes:
            return scores.struct.field(str(contract.positive)).cast(pl.Float64)
        label = self.frame.get_column("prediction")
        return label.cast(pl.Float64 if contract.task == "regression" else pl.String, strict=False)


def read_predictions(folder: Path) -> pl.DataFrame:
    """Every logged prediction under a folder, sorted by time; sealed segments and those still being written.

    Returns:
        The columns `time` (UTC), `request_id`, `row`, `model`, `digest`, `features` (a struct), `prediction`,
        `probabilities` (a struct, or null).

    Raises:
        NotFound: nothing was logged there.
        DataUnreadable: a file there is not a prediction log.
    """
    return _required(read(segments(folder), folder)[0], folder)


def latest_window(folder: Path, *, rows: int | None = None, since: str | None = None) -> Window:
    """The newest predictions under a folder: at most `rows` of them, and none from before `since` (ISO 8601; no zone means UTC).

    Segments that were finished before the window begins are not read.

    Raises:
        BadInput: `rows` is not positive, or `since` is not a time.
        NotFound: no prediction lies in the window.
        DataUnreadable: a file there is not a prediction log.
    """
    if rows is not None and rows < 1:
        raise BadInput(f"a window of {rows} rows was asked for", hint="Ask for at least one row, or for None: all of them.")
    start = _moment(since) if since is not None else None
    frame, unreadable = _newest(segments(folder), folder, rows, start)
    _required(frame, folder)
    if start is not None:
        frame = frame.filter(pl.col("time") >= start)
    if rows is not None:
        frame = frame.tail(rows)
    if frame.is_empty():
        raise NotFound(f"no prediction since {since} in {folder}", hint="Ask for an earlier `since`, or send requests first.")
    first, last = frame.item(0, "time"), frame.item(-1, "time")
    models = tuple(sorted(frame.get_column("model").drop_nulls().unique()))
    return Window(
        frame=frame,
        first=first.isoformat(timespec="microseconds"),
        last=last.isoformat(timespec="microseconds"),
        rows=frame.height,
        models=models,
        unreadable=unreadable,
    )


def find_request(folder: Path, request_id: str) -> Mapping[str, Any] | None:
    """The first logged row of a request with all its fields and its `time`, newest segment first, or None.

    The text is searched for the identifier and only the lines that hold it are parsed: a million lines take a second.
    """
    if not request_id:
        return None
    needle = json.dumps(request_id, ensure_ascii=False).encode()
    for segment in reversed(segments(folder)):
        for line in lines_with(segment, needle):
            try:
                found = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(found, dict) and found.get("request_id") == request_id:
                return {"time": found.get(TIME), **found}
    return None


def _required(frame: pl.DataFrame, folder: Path) -> pl.DataFrame:
    if frame.is_empty():
        raise NotFound(f"no predictions were logged in {folder}", hint="Serve the model and send it requests: workbench serve")
    return frame


def _newest(paths: Sequence[Path], folder: Path, rows: int | None, start: datetime | None) -> tuple[pl.DataFrame, int]:
    """Reads backwards in time until no unread segment can hold a row of the window.

    A row is written after its prediction was made, so a segment last changed before `start`, or before the `rows`-th newest
    row already found, adds nothing. (A file's time may lag the clock a little.)
    """
    if rows is None and start is None:
        return read(paths, folder)
    taken = 0
    while True:
        taken = min(len(paths), max(1, 2 * taken))
        frame, unreadable = read(paths[len(paths) - taken :], folder)
        if taken >= len(paths):
            return frame, unreadable
        enough = start if start is not None else datetime(1, 1, 2, tzinfo=UTC)
        if rows is not None and frame.height >= rows:
            enough = max(enough, frame.item(-rows, "time"))
        if changed(paths[-taken - 1]) + CLOCK_SLACK < enough:
            return frame, unreadable


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"since is {text!r}, not a time", hint="Write it as 2026-01-31 or 2026-01-31T08:00:00+00:00.") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
