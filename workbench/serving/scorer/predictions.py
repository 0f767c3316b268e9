"""Logs every prediction as JSON lines without ever delaying an answer; written by the service, read by monitoring."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

__all__ = ["ENVIRONMENT", "PredictionLog", "Served", "folder_of", "read_predictions"]

ENVIRONMENT = "WORKBENCH_PREDICTIONS"
OPEN, SEALED = ".open.jsonl", ".jsonl"
_logger = logging.getLogger("workbench.predictions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One answered request: which rows were asked, and what was answered."""

    request_id: str
    rows: Sequence[Mapping[str, Any]]
    predictions: Sequence[str | float]
    probabilities: Sequence[Mapping[str, float]] | None


def folder_of(service: str) -> Path:
    """Where a service logs: `WORKBENCH_PREDICTIONS`, else `predictions/<service>` in the folder that serving was started from.

    The shell's `PWD` tells that folder: BentoML has changed the working directory to the bento when a service is read.
    """
    chosen = os.environ.get(ENVIRONMENT)
    return Path(chosen) if chosen else Path(os.environ.get("PWD", "."), "predictions", service)


class PredictionLog:
    """A bounded queue and one writer thread.

    A full queue drops rows and counts them instead of slowing a request. Written lines survive the death of the process; a power
    cut may cost those of the last `sync_seconds`, and kill -9 those still queued. Every process writes files of its own name:
    `*.open.jsonl` while it appends, renamed to `*.jsonl` when full or closed. A crash needs no repair: readers skip a torn line.
    """

    def __init__(
        self,
        folder: Path,
        *,
        model: str,
        digest: str,
        on_drop: Callable[[int], object] = lambda _: None,
        most_waiting: int = 100_000,
        segment_bytes: int = 16_000_000,
        sync_seconds: float = 1.0,
    ) -> None:
        """Makes the folder, readable by its owner only, and starts the writer.

        Args:
            folder: Where the files go.
            model: The model's tag, written on each line.
            digest: The model's digest, written on each line.
            on_drop: Told how many rows were just dropped.
            most_waiting: Rows that may wait for the writer.
            segment_bytes: Size after which a file is sealed.
            sync_seconds: The longest time written lines wait for the disk.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._model, self._digest, self._on_drop = folder, model, digest, on_drop
        self._most_waiting, self._segment_bytes, self._sync_seconds = most_waiting, segment_bytes, sync_seconds
        self._queue: deque[tuple[str, Served]] = deque()
        self._waiting = 0
        self._closing = False
        self._changed = threading.Condition()
        self._segment: _Segment | None = None
        self.dropped = 0
        self._thread = threading.Thread(target=self._write, name="prediction-log", daemon=True)
        self._thread.start()

    def add(self, served: Served) -> None:
        """Queues the rows of one request, or drops and counts them when too many wait."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._changed:
            accepted = self._waiting + len(served.rows) <= self._most_waiting and not self._closing
            if accepted:
                self._queue.append((at, served))
                self._waiting += len(served.rows)
                self._changed.notify()
        if not accepted:
            self._drop(len(served.rows))

    def close(self, timeout: float = 10.0) -> None:
        """Writes what still waits, seals the file and ends the writer."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout)

    def _drop(self, rows: int) -> None:
        self.dropped += rows
        self._on_drop(rows)

    def _write(self) -> None:
        while True:
            with self._changed:
                if not self._queue and not self._closing:
                    self._changed.wait(self._sync_seconds)
                taken, self._queue, self._waiting = self._queue, deque(), 0
                closing = self._closing
            try:
                self._append(taken)
                self._keep_safe(closing=closing and not taken)
            except OSError as error:
                self._give_up_segment(taken, error)
            if closing and not taken:
                return

    def _append(self, taken: deque[tuple[str, Served]]) -> None:
        while taken:
            at, served = taken[0]
            if self._segment is None:
                self._segment = _Segment(self._folder)
            self._segment.append(self._lines(at, served))
            taken.popleft()
            if self._segment.size >= self._segment_bytes:
                self._segment.seal()
                self._segment = None

    def _keep_safe(self, *, closing: bool) -> None:
        if self._segment is None:
            return
        if closing:
            self._segment.seal()
            self._segment = None
        else:
            self._segment.sync(self._sync_seconds)

    def _give_up_segment(self, taken: deque[tuple[str, Served]], error: OSError) -> None:
        """After a failed write the file may end in a torn line: leave it as it is and continue in a new one."""
        if self._segment is not None:
            self._segment.abandon()
            self._segment = None
        lost = sum(len(served.rows) for _, served in taken)
        _logger.error("the prediction log lost %d rows: %s", lost, error.strerror)
        self._drop(lost)

    def _lines(self, at: str, served: Served) -> bytes:
        unknown: list[Mapping[str, float] | None] = [None] * len(served.rows)
        return b"".join(
            json.dumps(
                {
                    "at": at,
                    "request_id": served.request_id,
                    "row": index,
                    "model": self._model,
                    "digest": self._digest,
                    "features": features,
                    "prediction": prediction,
                    "probabilities": probability,
                },
                ensure_ascii=False,
                separators=(",", ":"),
            ).encode()
            + b"\n"
            for index, (features, prediction, probability) in enumerate(
                zip(served.rows, served.predictions, served.probabilities or unknown, strict=True)
            )
        )


class _Segment:
    """One file being appended to; a plain write per request, so that what is written survives the process."""

    def __init__(self, folder: Path) -> None:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}-{secrets.token_hex(3)}"
        self._path = folder / f"{name}{OPEN}"
        self._sealed = folder / f"{name}{SEALED}"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._file: IO[bytes] = os.fdopen(descriptor, "wb", buffering=0)
        self._synced = time.monotonic()
        self._dirty = False
        self.size = 0

    def append(self, lines: bytes) -> None:
        view = memoryview(lines)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(lines)
        self._dirty = True

    def sync(self, interval: float) -> None:
        if self._dirty and time.monotonic() - self._synced >= interval:
            os.fsync(self._file.fileno())
            self._synced, self._dirty = time.monotonic(), False

    def abandon(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()

    def seal(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._path, self._sealed)


def read_predictions(folder: Path) -> Iterator[dict[str, Any]]:
    """Every logged row of a folder, oldest file first; a line torn by a crash, which only ends a file, is skipped."""
    for path in sorted(folder.glob(f"*{SEALED}")):
        try:
            file = path.open("rb")
        except FileNotFoundError:  # sealed between the listing and now: the same rows, under the final name
            file = path.with_name(path.name.replace(OPEN, SEALED)).open("rb")
        with file:
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)
