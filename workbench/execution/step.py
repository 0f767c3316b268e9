"""What a headless notebook is given and what it leaves behind: the files between the runner and the session in its kernel.

The runner writes `step.json`; the session in the kernel reads it and writes `saved.json` and `outcome.json`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import NotFound
from workbench.records import NotebookRun, Saved
from workbench.store.objects import replace_file

__all__ = ["STEP_VARIABLE", "Step", "StepResult"]

STEP_VARIABLE = "WORKBENCH_STEP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One notebook to run: `saved` are values that upstream steps saved, `given` are plain JSON values from the flow."""

    hop: str
    project: str
    notebook: str
    run: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    saved: Mapping[str, Saved] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Puts the step into its folder, where the kernel's session finds it."""
        replace_file(folder / "step.json", msgspec.json.encode(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What the notebook left: evidence of the run, the values it saved, and the outcome it recorded."""

    notebook: NotebookRun
    saved: Mapping[str, Saved]
    outcome: Mapping[str, Any]


def current_folder() -> Path | None:
    """The folder of the step this kernel runs for, or None when a person works interactively."""
    named = os.environ.get(STEP_VARIABLE)
    return Path(named) if named else None


def read_step(folder: Path) -> Step:
    """The step that a runner wrote into `folder`.

    Raises:
        NotFound: there is none.
    """
    try:
        return msgspec.json.decode((folder / "step.json").read_bytes(), type=Step)
    except OSError as error:
        raise NotFound(f"{STEP_VARIABLE} names {folder}, which holds no step", hint=f"Unset {STEP_VARIABLE}.") from error


def read_saved(folder: Path) -> dict[str, Saved]:
    """The values that the notebook of this step has saved so far."""
    path = folder / "saved.json"
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Saved]) if path.exists() else {}


def write_saved(folder: Path, saved: Saved) -> None:
    """Notes one more saved value; saving a name again replaces it."""
    replace_file(folder / "saved.json", msgspec.json.encode({**read_saved(folder), saved.name: saved}))


def keep_point(folder: Path, cells: int) -> None:
    """Notes what the first `cells` executed cells have saved and recorded; a run that continues after them begins with it."""
    point = {"cells": cells, "saved": read_saved(folder), "outcome": read_outcome(folder)}
    with (folder / "points.jsonl").open("ab") as stream:
        stream.write(msgspec.json.encode(point) + b"\n")


def return_to_point(folder: Path, previous: Path, cells: int) -> None:
    """Begins with what the first `cells` executed cells of the run in the folder `previous` had saved and recorded."""
    path = previous / "points.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    points = [msgspec.json.decode(line) for line in lines if line.endswith(b"\n")]
    reached = [point for point in points if point["cells"] <= cells]
    if reached:
        replace_file(folder / "saved.json", msgspec.json.encode(reached[-1]["saved"]))
        replace_file(folder / "outcome.json", msgspec.json.encode(reached[-1]["outcome"]))


def read_outcome(folder: Path) -> dict[str, Any]:
    """What the notebook of this step has recorded so far."""
    path = folder / "outcome.json"
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Any]) if path.exists() else {}


def write_outcome(folder: Path, outcome: Mapping[str, Any]) -> None:
    """Adds to the outcome of this step; recording a key again replaces it."""
    replace_file(folder / "outcome.json", msgspec.json.encode({**read_outcome(folder), **outcome}))
