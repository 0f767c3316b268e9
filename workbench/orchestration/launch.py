"""Launches a flow as a process of its own and follows its progress. Called by `workbench run`, `watch` and `demo`."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import NotFound, RunFailed
from workbench.orchestration.progress import Event, read_events
from workbench.orchestration.run_tokens import run_variables
from workbench.records import new_id
from workbench.settings import Layout, environment
from workbench.store import open_control

__all__ = ["Origin", "launch"]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2
GRACE_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The run that a new one continues: its number, and the step to begin again with; the failed one when empty."""

    number: str
    step: str = ""


def launch(
    layout: Layout,
    flow: str,
    *,
    parameters: Mapping[str, Any],
    options: Sequence[str] = (),
    origin: Origin | None = None,
    variables: Mapping[str, str] | None = None,
    workers: int = 2,
    on_event: Callable[[Event], None] = lambda _event: None,
) -> str:
    """Runs a flow of the project to its end.

    Args:
        layout: the project.
        flow: the flow file's stem, such as `experiment`.
        parameters: values for the notebooks' parameters.
        options: further command-line options of the flow.
        origin: the run to continue, whose parameters hold; a new run without it.
        variables: environment variables for the steps.
        workers: how many steps may run at once.
        on_event: called for each event of the run's progress, in order.

    Returns:
        The run's id.

    Raises:
        NotFound: the project has no such flow.
        RunFailed: a step failed; the message is its reason, and the log is named.
        KeyboardInterrupt: the run was cancelled; its processes are gone.
    """
    script = layout.flows / f"{flow}.py"
    if not script.is_file():
        raise NotFound(f"no flow {script}", hint="workbench init copies the flows; restore it from there.")
    layout.runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        run_file = Path(folder) / "run"
        command = [sys.executable, str(script), "--quiet", "--no-pylint", *_verb(origin, parameters, options)]
        command += ["--run-id-file", str(run_file), "--max-workers", str(workers)]
        name = new_id(flow)
        log = layout.runs / f"{name}.log"
        with run_variables(name) as held, log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and the project's own flow
                command,
                cwd=layout.root,
                env={**_shared_cores(environment(layout), workers), **(variables or {}), **held},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            run = _follow(process, layout, flow, run_file, on_event)
    if run is not None:
        log = log.replace(layout.runs / run / "flow.log")
    if process.returncode:
        raise _failure(layout, flow, run, log)
    assert run is not None  # noqa: S101 - a flow that ended well has written its run id
    return run


def _verb(origin: Origin | None, parameters: Mapping[str, Any], options: Sequence[str]) -> list[str]:
    if origin is None:
        return ["run", "--parameters", json.dumps(dict(parameters)), *options]
    return ["resume", *([origin.step] if origin.step else []), "--origin-run-id", origin.number, *options]


def _shared_cores(variables: Mapping[str, str], workers: int) -> dict[str, str]:
    """Parallel steps share the cores: numerical threads beyond them wait for each other and slow everything down."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, cores // workers)
    return {"OMP_NUM_THREADS": str(threads), **variables}


def _follow(
    process: subprocess.Popen[bytes], layout: Layout, flow: str, run_file: Path, on_event: Callable[[Event], None]
) -> str | None:
    run, position = None, 0
    try:
        while True:
            ended = process.poll() is not None
            if run is None and run_file.exists() and (number := run_file.read_text().strip()):
                run = f"{flow}-{number}"
            if run is not None:
                for end, event in read_events(layout.runs / run, after=position):
                    on_event(event)
                    position = end
            if ended:
                return run
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)  # not a sleep: the end of the run is seen at once
    except BaseException:
        _cancel(process)
        if run is not None:
            logger.warning("%s was interrupted; go on with it: workbench resume %s", run, run)
        raise


def _cancel(process: subprocess.Popen[bytes]) -> None:
    """SIGINT to the whole group lets Metaflow end its steps cleanly; SIGTERM would leave them running."""
    try:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    finally:  # also when a second Ctrl-C ends the waiting
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _failure(layout: Layout, flow: str, run: str | None, log: Path) -> RunFailed:
    control = open_control(layout)
    try:
        recorded = control.find_run(run) if run is not None else None
    finally:
        control.close()
    tail = log.read_text(errors="replace").strip().splitlines()[-12:]
    if recorded is not None and recorded.reason and recorded.state == "failed":
        first, *others = recorded.reason.splitlines()
        problems = [line.strip(" -") for line in others]
        return RunFailed(
            f"{run} failed: {first}",
            problems=problems,
            hint=f"Mend it, then: workbench resume {run}   Look into it: workbench attach {run}   "
            f"Executed notebooks: {layout.runs / str(run)}  Log: {log}",
        )
    return RunFailed(f"{flow} did not finish", problems=tail, hint=f"Log: {log}")
