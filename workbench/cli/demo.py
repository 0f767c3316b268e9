"""`workbench demo`: the whole journey on the credit example, by the same functions that the commands call."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from workbench.cli.journey import print_records
from workbench.cli.output import console, errors, print_json
from workbench.cli.progress import RunProgress
from workbench.cli.traffic import ask, natural_rows, shifted_rows
from workbench.errors import BadInput, RunFailed
from workbench.orchestration.deployment import deployed
from workbench.orchestration.describing import HOP_WORDS, describe, in_journey_order
from workbench.orchestration.projects import init_example, run_experiment, run_watch
from workbench.project import read_project
from workbench.records import MonitoringReport, Record, now
from workbench.settings import PROJECT_FILE, Layout
from workbench.store import open_control

__all__ = ["run_demo"]


class _Clock:
    """How long each part of the demo took, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, part: str) -> Iterator[None]:
        """Adds the time inside the block to `part`."""
        started = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - started


def run_demo(folder: Path, *, requests: int, as_json: bool) -> None:
    """Makes a project, runs the experiment, serves the bento, sends requests, finds the drift, and prints the journey.

    Args:
        folder: where the project goes; one left by an earlier demo is used again.
        requests: how many predictions to ask for: half from the natural test rows, half from a shifted population.
        as_json: print one JSON document.

    Raises:
        BadInput: the folder holds something else.
        RunFailed: a hop failed, or the watch did not tell calm from drift.
    """
    clock, began = _Clock(), now()
    layout = _project(folder, clock)
    with clock.time("run"), _said("the experiment: prepare, train three candidates, review, choose, package"):
        with RunProgress(quiet=as_json) as progress:
            run = run_experiment(layout, {}, on_event=progress)
        clock.seconds |= progress.seconds()
    calm, drifted, request = _serve_and_watch(layout, requests, clock, as_json=as_json)
    with open_control(layout) as control:
        records = [record for record in control.all() if record.run == run or record.at >= began]
        dataset = control.all(kind="dataset")[-1]
    reports = [record for record in records if isinstance(record, MonitoringReport)]
    journey = in_journey_order([dataset, *(record for record in records if record.id != dataset.id)])
    _print(layout, journey, clock, request, as_json=as_json)
    by_run = {report.run: report for report in reports}
    if by_run[calm].drifted or by_run[calm].schema or not by_run[drifted].drifted:
        raise RunFailed(
            f"the watch saw {len(by_run[calm].drifted)} drifted features in calm requests and "
            f"{len(by_run[drifted].drifted)} in shifted ones; expected none, then some",
            hint=f"Look at the reports: {layout.reports}",
        )


def _project(folder: Path, clock: _Clock) -> Layout:
    with clock.time("dataset"):
        if not (folder / PROJECT_FILE).exists():
            init_example(folder, "credit")
    layout = Layout(root=folder.resolve())
    if Path(read_project(layout.project_file).dataset.source).name != "credit_default.parquet":
        raise BadInput(f"{folder} is another project", hint="Give the demo a folder of its own: workbench demo FOLDER")
    return layout


def _serve_and_watch(layout: Layout, requests: int, clock: _Clock, *, as_json: bool) -> tuple[str, str, str]:
    """Two windows on one deployment; returns the two watch runs, calm first, and the id of one request."""
    half = requests // 2
    with ExitStack() as stack:
        with clock.time("release"), _said("the bento starts"):
            live = stack.enter_context(deployed(layout, port=0))
        with clock.time("requests"), _said(f"{half:,} requests from the natural test rows"):
            request = ask(live.url, natural_rows(layout, half))
        calm = _watch(layout, live.deployment.at, clock, as_json=as_json)
        turn = now()
        with clock.time("requests"), _said(f"{half:,} requests from a shifted population: customers who are late to pay"):
            ask(live.url, shifted_rows(layout, half))
        drifted = _watch(layout, turn, clock, as_json=as_json)
    return calm, drifted, request


def _watch(layout: Layout, since: str, clock: _Clock, *, as_json: bool) -> str:
    with clock.time("watch"), _said("watch"), RunProgress(quiet=as_json) as progress:
        return run_watch(layout, since=since, on_event=progress)


@contextmanager
def _said(what: str) -> Iterator[None]:
    errors.print(f"[cyan]▸[/] {what}")
    yield


def _print(layout: Layout, records: list[Record], clock: _Clock, request: str, *, as_json: bool) -> None:
    if as_json:
        journey = [{"hop": HOP_WORDS[r.kind], "id": r.id, "what": describe(r)} for r in records]
        print_json({"folder": str(layout.root), "request": request, "seconds": clock.seconds, "journey": journey})
        return
    print_records(records, clock.seconds, title="the journey")
    console.print(f"requests: {clock.seconds['requests']:.1f} s in all, nothing is left running\n")
    console.print("where to look next", style="bold")
    program = _program(layout.root)
    model = next(record.id for record in records if record.kind == "model")
    for what, how in (
        ("open the notebooks", f"cd {shlex.quote(_from_here(layout.root))} && {program} lab"),
        ("the drift report", f"open {shlex.quote(str(layout.reports))}/*.html"),
        ("where one answer came from", f"{program} trace {request}"),
        ("what it takes to release it", f"{program} models show {model}"),
        ("serve it again", f"{program} serve"),
    ):
        console.print(f"  {what:<28} {how}", markup=False)


def _from_here(folder: Path) -> str:
    """A folder as it is called from the working directory: short inside it, in full elsewhere."""
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)


def _program(folder: Path) -> str:
    """How this program is called from a folder: by its name where the shell finds it, else by the path of its script."""
    script, found = Path(sys.executable).with_name("workbench"), shutil.which("workbench")
    if not script.exists():
        return f"{shlex.quote(sys.executable)} -m workbench"
    if found is not None and os.path.samefile(found, script):
        return "workbench"
    here = Path.cwd()
    near = script.is_relative_to(here) and folder.is_relative_to(here)
    return shlex.quote(os.path.relpath(script, folder) if near else str(script))
