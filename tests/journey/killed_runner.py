"""A program that runs a step which keeps what a later one needs: `killed_runner.py STEP FOLDER OBJECTS SNAPSHOTS [PREVIOUS]`.

It prints the id of the process that does the work.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import WorkbenchError
from workbench.execution import notebook_run
from workbench.execution.resuming import Continuation
from workbench.execution.step import Step
from workbench.store import Objects


def main(step: str, folder: str, objects: str, snapshots: str, previous: str | None = None) -> int:
    """Runs the step; 1 if it failed."""
    ask = notebook_run.ask_job

    def telling(*given: Any, **named: Any) -> Any:
        process, wire = ask(*given, **named)
        sys.stdout.write(f"{process.pid}\n")
        sys.stdout.flush()
        return process, wire

    notebook_run.ask_job = telling
    try:
        notebook_run.run_notebook(
            msgspec.json.decode(Path(step).read_bytes(), type=Step),
            folder=Path(folder),
            objects=Objects(Path(objects)),
            continuation=Continuation(snapshots=snapshots, keep_seconds=20, previous=previous),
        )
    except WorkbenchError:
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
