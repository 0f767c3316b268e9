"""The steps of a flow that run no notebook: packaging, the window to watch, publishing, and the end of a run. Called by flows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaflow import current
from metaflow.exception import MetaflowException

from workbench.errors import WorkbenchError
from workbench.orchestration.progress import Progress
from workbench.records import ModelVersion, Saved
from workbench.settings import PROJECT_FILE, Layout, actor, find_project

if TYPE_CHECKING:
    from workbench.store import Control, Objects

__all__ = ["finish", "open_window", "package", "project_config", "publish_report"]


class StepFailed(MetaflowException):
    """What Metaflow prints in two lines instead of its own traceback."""

    headline = "Step failed"


@dataclass(frozen=True, slots=True)
class _Place:
    """The run and project that the current step belongs to."""

    run: str
    layout: Layout
    control: Control
    objects: Objects


def project_config(text: str) -> dict[str, Any]:
    """Parses workbench.toml for Metaflow's `Config`, validated and with its defaults."""
    from workbench.project import parse_project  # loads pydantic: only the process that starts a flow parses its configuration

    try:
        return parse_project(text, Path(PROJECT_FILE)).model_dump(mode="json")
    except WorkbenchError as error:
        raise StepFailed(str(error)) from error  # type: ignore[no-untyped-call]


def package(model: str) -> str | None:
    """Packages the chosen model as a bento; returns the id of its record, or None when nobody won or a person must decide."""
    from workbench.orchestration.packaging import package_model

    with _step("package") as place:
        version = place.control.get(model)
        if not isinstance(version, ModelVersion) or version.state != "chosen":
            return None
        return package_model(version, place.layout, place.control, place.objects, run=place.run).id


def open_window(*, rows: int | None, since: str | None) -> tuple[str, Mapping[str, Saved]]:
    """Fixes the served predictions to judge; returns the record they belong to and the stored values the notebook needs."""
    from workbench.orchestration.watching import collect_window  # loads polars

    with _step("window") as place:
        return collect_window(place.layout, place.control, place.objects, rows=rows, since=since)


def publish_report(report: str) -> Path:
    """Writes the report of a monitoring record as a page and returns its path."""
    from workbench.orchestration.watching import write_page  # loads polars

    with _step("report") as place:
        return write_page(report, place.layout, place.control, place.objects)


def finish() -> None:
    """Marks the run of the current flow as succeeded; the last line of its last step."""
    with _place() as place:
        place.control.end_run(place.run, actor=actor())


@contextmanager
def _place() -> Iterator[_Place]:
    from workbench.governance.audit import witness
    from workbench.store import Objects, open_control  # loads SQLAlchemy; who only starts the flow needs none

    layout = find_project()
    flow = str(current.flow_name).removesuffix("Flow").lower()
    run = f"{flow}-{current.run_id}"
    control = open_control(layout, witness=witness(layout))
    try:
        control.start_run(run=run, flow=flow, actor=actor(), process=os.getppid(), again=bool(current.retry_count))
        yield _Place(run, layout, control, Objects(layout.objects))
    finally:
        control.close()


@contextmanager
def _step(name: str) -> Iterator[_Place]:
    with _place() as place:
        progress = Progress(place.layout.runs / place.run, hop=name, task=f"{name}-{current.task_id}", notebook="")
        try:
            progress.began()
            yield place
            progress.ended("")
        except Exception as error:
            progress.failed(str(error))
            place.control.end_run(place.run, actor=actor(), failure=f"{name}: {error}")
            raise StepFailed(str(error)) from error  # type: ignore[no-untyped-call]
