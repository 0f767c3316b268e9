"""What a kernel keeps so that a failed run can continue: fork points and durable snapshots. Runs in the kernel's process."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.execution.warm.attached import open_channels
from workbench.execution.warm.fork_points import ForkPoints
from workbench.execution.warm.kept import END, accepted, left_alone, listening_at, waiting_entry
from workbench.execution.warm.kernel import WarmKernel
from workbench.execution.warm.wire import ANSWER, Wire

__all__ = ["Continuity"]


class Continuity:
    """Nothing is kept before `begin` says what to keep."""

    def __init__(self, kernel: WarmKernel, wire: Wire, serve: Callable[[WarmKernel, Wire], None]) -> None:
        self.kernel, self.wire, self.serve = kernel, wire, serve
        self.forks: ForkPoints | None = None
        self.snapshots: Any = None

    def begin(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Starts keeping; restores a durable snapshot where one is named.

        Args:
            wanted: `notebook` and `step`, its name and folder; `keep_seconds`, how long a fork point outlives a failed run;
                `snapshots` and `key`, the folder of durable ones and the file of their key; `restore`, the link to continue from.

        Returns:
            `restored`, the names that came back, or `refused`, why not.
        """
        from workbench.execution.secrets import scrubber_of_process
        from workbench.execution.snapshots import Budget, Snapshots, baseline, snapshot_key

        if wanted["keep_seconds"] > 0:
            self.forks = ForkPoints(
                self.kernel, self.wire, wanted["keep_seconds"], wanted["notebook"], wanted["step"], self.serve
            )
        if self.kernel.before is None:  # a continued kernel remembers what was there before its first cell
            self.kernel.before = baseline(self.kernel.shell)
        self.budget = Budget()
        self.snapshots = Snapshots(
            Path(wanted["snapshots"]), snapshot_key(Path(wanted["key"])), scrub=lambda data: scrubber_of_process().find(data)
        )
        if wanted.get("restore") is None:
            return {}
        try:
            restored = self.snapshots.restore(wanted["restore"], self.kernel.shell)
        except WorkbenchError as error:
            return {"refused": str(error)}
        return {"restored": list(restored.names)}

    def before_cell(self, link: str | None) -> None:
        """A fork point, from which the cell can be run again as if it had never begun."""
        if self.forks is not None and link is not None:
            self.forks.before_cell(link)

    def after_cell(self, link: str | None, succeeded: bool) -> None:
        """A durable snapshot after a good cell, where it is worth its cost."""
        from workbench.execution.snapshots import size_of

        if self.snapshots is None or link is None or not succeeded:
            return
        if self.budget.allows(size_of(self.kernel.shell, self.kernel.before)):
            taken = self.snapshots.take(link, self.kernel.shell, self.kernel.before)
            self.budget.charge(taken.seconds, taken.bytes)

    def end(self, how: str) -> bool:
        """The run is over: after a failure its fork point stays, else it ends.

        Returns:
            Whether this kernel itself should stay for a person, since it failed and could not be copied.
        """
        if self.forks is None:
            return False
        if how == "well":
            self.forks.drop()
        return how == "failed" and not self.forks.keep()

    def wait_for_person(self) -> None:
        """The kernel of a failed run waits for one person to attach; it returns when nobody did in time."""
        forks = self.forks
        assert forks is not None  # noqa: S101 - only what keeps something stays
        self.wire.send(ANSWER, {"stays": os.getpid()})
        self.wire.close()
        self.kernel.stop()
        self.kernel.capture.abandon()
        entry = waiting_entry("kernel", "", forks.notebook, forks.step, forks.keep_seconds)
        with listening_at(entry) as listening:
            left_alone(entry, forks.keep_seconds)
            while (left := entry.until - time.time()) > 0:
                if select.select([listening], [], [], left)[0]:
                    client, frame = accepted(listening)
                    if frame is not None and frame.content() == END:
                        return
                    if frame is not None and frame.content()["kind"] == "attach":
                        client.send(ANSWER, {"pid": os.getpid()})
                        client.close()
                        break
            else:
                return
        for given in frame.files:
            os.close(given)
        self.kernel.renew()
        open_channels(self.kernel, frame.content())
