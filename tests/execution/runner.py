"""A program that runs one step, as a flow's step does: `runner.py STEP.json FOLDER OBJECTS`; one JSON line for each event."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from workbench.errors import WorkbenchError
from workbench.execution.notebook_run import run_notebook
from workbench.execution.step import Step
from workbench.store import Objects


def say(kind: str, value: object) -> None:
    """One line for the test."""
    sys.stdout.buffer.write(msgspec.json.encode({kind: value}) + b"\n")
    sys.stdout.flush()


def main(step: str, folder: str, objects: str) -> None:
    """Runs the step and says how it ended."""
    described = msgspec.json.decode(Path(step).read_bytes(), type=Step)
    try:
        say(
            "result",
            run_notebook(
                described, folder=Path(folder), objects=Objects(Path(objects)), on_cell=lambda event: say("cell", event)
            ),
        )
    except WorkbenchError as error:
        say("error", error.as_json())


if __name__ == "__main__":
    main(*sys.argv[1:])
