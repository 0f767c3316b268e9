"""The papermill engine `workbench`: warm kernels, crash-safe saves, honest failures. papermill finds it by its entry point.

    papermill --engine workbench in.ipynb out.ipynb

Where no warm kernel can serve (another language, interpreter or platform), nbclient runs the notebook in a kernel of its own, as
papermill's default engine does; the log and the notebook's metadata say so and why.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from papermill.engines import NBClientEngine
from papermill.log import logger

from workbench.execution.kernels import environment_of
from workbench.execution.warm.asking import Process, Unavailable, ask_cells
from workbench.execution.warm.wire import Wire

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from workbench.execution.bookkeeping import Bookkeeping
    from workbench.execution.client import WarmClient
    from workbench.execution.resuming import Continuation, Plan
    from workbench.execution.secrets import Scrubber

__all__ = ["Terminated", "WorkbenchEngine"]

CELL_BYTES = 50_000_000
NOTEBOOK_BYTES = 500_000_000
CHANNELS = ("km", "kernel_manager_class", "coalesce_streams")
"""Options that concern a kernel with ZeroMQ channels."""

OURS = ("input_path", "startup_timeout", "cell_bytes", "notebook_bytes", "continuation", "on_restored")
"""Options that nbclient does not know, or that papermill names differently."""


Restored = Callable[[int], None]


def _ignore(_cells: int) -> None:
    """Nobody wants to know."""


class Terminated(SystemExit):
    """SIGTERM reached the runner: the notebook is saved with its cell marked failed, and the process ends."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)

    def __str__(self) -> str:
        return "the run was ended by SIGTERM in this cell"


class WorkbenchEngine(NBClientEngine):  # type: ignore[misc]
    """Runs a notebook in a warm kernel of its own.

    Options beyond papermill's: `cell_bytes` and `notebook_bytes` cap the output, and a cell that exceeds them fails;
    `continuation` (see `resuming.Continuation`) keeps what a later run can continue from, and continues an earlier one;
    `on_restored` is told how many cells need not run again.
    """

    @classmethod
    def execute_notebook(
        cls,
        nb: NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool | dict[str, Any] = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        **options: Any,
    ) -> NotebookNode:
        """What papermill calls; returns the executed notebook.

        Raises:
            ParametersInvalid: the notebook's parameters are typed, and a given one is unknown, mistyped or out of range.
            NotFound: no place knows a secret that the notebook's parameters name. In both cases nothing was started.
        """
        from workbench.execution.bookkeeping import Bookkeeping

        scrubber = _scrubber(nb)
        kept = Bookkeeping(
            nb,
            output_path=output_path,
            progress_bar=progress_bar,
            log_output=log_output,
            autosave_cell_every=autosave_cell_every,
        )
        kept.begin(scrubber)
        try:
            with _terminable():
                cls.execute_managed_notebook(kept, kernel_name, log_output=log_output, **options)
        except BaseException as error:
            said = str(error) or "the run was cancelled in this cell"
            kept.cell_interrupted(type(error).__name__, said)
            raise
        finally:
            kept.cleanup_pbar()
            kept.notebook_complete()
        executed: NotebookNode = kept.nb
        return executed

    @classmethod
    def execute_managed_notebook(cls, nb_man: Bookkeeping, kernel_name: str, **options: Any) -> NotebookNode:
        """Runs the cells, in a warm kernel or, when there is none, the standard way."""
        from workbench.execution.scrubbing_client import StandardClient

        given = _client_options(kernel_name, options)
        continuation: Continuation | None = options.get("continuation")
        try:
            client, plan = _warm_client(nb_man, kernel_name, options, given)
        except Unavailable as reason:
            logger.warning("workbench: no warm kernel, the standard engine is used: %s", reason)
            nb_man.nb.metadata["workbench"] = {"kernel": "standard", "reason": str(reason)}
            executed: NotebookNode = StandardClient(nb_man, **given).execute()
            return executed
        nb_man.nb.metadata["workbench"] = {"kernel": "warm"}
        if continuation is not None and plan is not None:
            _continue(client, nb_man, continuation, plan, options.get("on_restored", _ignore))
        return client.execute()


def _client_options(kernel_name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """What nbclient is given: the caller's options, then what papermill decides."""
    own = {name: value for name, value in options.items() if name not in (*OURS, "start_timeout", "execution_timeout")}
    return {
        **own,
        "kernel_name": kernel_name,
        "startup_timeout": options.get("start_timeout", 60),
        "timeout": options.get("execution_timeout") or options.get("timeout"),
        "log": logger,
    }


def _warm_client(
    kept: Bookkeeping, kernel_name: str, options: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[WarmClient, Plan | None]:
    """A client whose kernel is ready for the first cell; one that dies before that has run nothing, so another engine can."""
    from nbclient.exceptions import DeadKernelError

    from workbench.execution.client import WarmClient
    from workbench.execution.received import OutputLimits

    kernel, wire, plan = _kernel(kept, kernel_name, options, options.get("continuation"))
    client = WarmClient(kept, **given)
    limits = OutputLimits(options.get("cell_bytes", CELL_BYTES), options.get("notebook_bytes", NOTEBOOK_BYTES))
    try:
        client.begin(kernel, wire, limits, given["startup_timeout"])
    except DeadKernelError as error:
        client.end(None)
        raise Unavailable(f"it did not get ready: {error}") from error
    return client, plan


def _kernel(
    kept: Bookkeeping, kernel_name: str, options: Mapping[str, Any], continuation: Continuation | None
) -> tuple[Process, Wire, Plan | None]:
    """A warm kernel: forked from the state that a run continues from, or new."""
    from workbench.execution.warm.asking import ask_fork_point
    from workbench.execution.warm.imports import modules_of

    refused = [name for name in CHANNELS if options.get(name) is not None]
    if refused:
        raise Unavailable(f"{', '.join(refused)} concern a kernel with channels of its own")
    sources = [cell.source for cell in kept.nb.cells if cell.cell_type == "code"]
    if any("_NUM_THREADS" in source for source in sources):
        raise Unavailable("a cell sets how many threads numpy uses, and the warm process has imported numpy")
    environment, output = environment_of(kernel_name), kept.file.path if kept.file is not None else None
    plan = None
    if continuation is not None:
        from workbench.execution import resuming

        plan = resuming.plan(kept.nb, continuation)
        if plan.fork_point is not None:
            return *ask_fork_point(plan.fork_point, environment, output), plan
    return *ask_cells(modules_of(sources), folder=Path.cwd(), environment=environment, output=output), plan


def _continue(client: WarmClient, kept: Bookkeeping, continuation: Continuation, plan: Plan, restored: Restored) -> None:
    """Has the kernel keep what a later run needs, and takes over what an earlier one left."""
    from workbench.execution.resuming import mark_restored

    made = client.keep(continuation, plan)
    for reason in made.reasons:
        logger.warning("workbench: %s", reason)
    if made.previous is not None:
        mark_restored(kept.nb, made)
        restored(len(made.restored))
    notes = {"notes": list(made.reasons)} if made.reasons else {}
    kept.nb.metadata["workbench"] |= {"restored_cells": len(made.restored), **notes}


def _scrubber(notebook: NotebookNode) -> Scrubber:
    """What takes the notebook's secrets out of all that the run leaves."""
    from workbench.errors import NotebookInvalid
    from workbench.execution.parameters import TAG, parse_parameters
    from workbench.execution.secrets import scrubber_for, scrubber_of_process

    tagged = [cell.source for cell in notebook.cells if TAG in cell.metadata.get("tags", ())]
    if not tagged:
        return scrubber_of_process()
    try:
        contract = parse_parameters(tagged[0], "the notebook")
    except NotebookInvalid:  # papermill's users write what they like there; without a contract there are no references
        return scrubber_of_process()
    given = dict(notebook.metadata.get("papermill", {}).get("parameters", {}))
    contract.validate(given)
    return scrubber_for(contract, given)


@contextmanager
def _terminable() -> Iterator[None]:
    """While a notebook runs, SIGTERM ends it like Ctrl-C does; a handler that somebody else installed is left alone."""

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        raise Terminated

    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
