"""A program of its own: executes notebooks by papermill with one engine and says how each ended. Called by `corpus`.

    python executing.py JOBS.json RESULTS.jsonl ENGINE

`JOBS.json` is a list of groups; the notebooks of a group run at the same time, each in a thread of its own.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import papermill


class Messages(logging.Handler):
    """Keeps what is logged, so that a fallback can be seen to be said aloud."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one message."""
        self.kept.append(f"{record.levelname} {record.name}: {record.getMessage()}")


def execute(job: dict[str, Any], engine: str) -> dict[str, Any]:
    """Runs one notebook; the error, if any, is described as the caller of papermill sees it."""
    messages, error = Messages(), None
    loggers = [logging.getLogger(name) for name in ("papermill", "workbench")]
    for logger in loggers:
        logger.addHandler(messages)
        logger.setLevel(logging.INFO)
    began = time.perf_counter()
    try:
        papermill.execute_notebook(
            job["notebook"],
            job["executed"],
            engine_name=engine,
            kernel_name=job["kernel"],
            cwd=job["folder"],
            parameters=job["parameters"],
            report_mode=job["report_mode"],
            progress_bar=False,
            **job["engine"],
        )
    except BaseException as raised:  # what any caller would see, SystemExit included
        fields = {name: value for name, value in vars(raised).items() if isinstance(value, str | int | list)}
        error = {"type": f"{type(raised).__module__}.{type(raised).__qualname__}", "message": str(raised), "fields": fields}
    for logger in loggers:
        logger.removeHandler(messages)
    return {"name": job["name"], "error": error, "seconds": time.perf_counter() - began, "log": messages.kept}


def main(jobs: str, results: str, engine: str) -> None:
    """Runs the groups in order; every result is written at once, so that a crash shows where it happened."""
    here = os.getcwd()
    with Path(results).open("a", encoding="utf-8") as report:
        for group in json.loads(Path(jobs).read_text(encoding="utf-8")):
            os.environ["NBEXECUTE_TEST_PARALLEL_TMPDIR"] = group[0]["folder"]  # where nbclient's pair of notebooks meets
            if len(group) == 1:
                ended = [execute(group[0], engine)]
            else:
                with ThreadPoolExecutor(len(group)) as pool:
                    ended = list(pool.map(execute, group, [engine] * len(group)))
            os.chdir(here)
            for each in ended:
                report.write(json.dumps(each) + "\n")
            report.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
