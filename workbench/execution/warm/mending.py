"""Completes the outputs of runners that were killed, from what they left in their journals. Used by nests and fork points.

Whoever forks a run's kernel learns of the runner's death by the kernel's end, and looks after its output until a living process
no longer writes it. Nothing does so where that process is killed together with the runner, or where the standard engine ran the
notebook: then the journal stays beside the output until `saving.recover` is called, as `workbench resume` does. Nor where the
file system knows no locks, or no process can be forked.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from workbench.execution.journal import Journal
from workbench.execution.saving import recover
from workbench.execution.warm.brood import Brood
from workbench.execution.warm.child import close_others

__all__ = ["Mending"]

SOON, LATE = 0.05, 5.0
"""Seconds after which to look again, each time twice as many, while a runner still writes: its run ends well, or it is dying."""

NOTHING_YET = 2.0
"""How long a runner may take to write its first cell after its kernel has ended."""


@dataclass(slots=True)
class _Output:
    path: Path
    waited: float = 0.0
    due: float = 0.0

    def wait(self) -> None:
        self.due = time.monotonic() + min(max(SOON, self.waited), LATE)
        self.waited += min(max(SOON, self.waited), LATE)


@dataclass(slots=True)
class Mending:
    """The outputs of runs, by the process id of the kernel that `brood` forked for each."""

    brood: Brood
    outputs: dict[int, _Output] = field(default_factory=dict)

    def watch(self, kernel: int, output: str | None) -> None:
        """Looks after an output from the kernel's end on; None where the runner saves no local file."""
        if output is not None:
            self.outputs[kernel] = _Output(Path(output))

    def mend(self) -> None:
        """Mends what is to be mended now, each output in a process of its own."""
        for kernel in self._ended():
            output = self.outputs[kernel]
            if time.monotonic() < output.due:
                continue
            lives = Journal.beside(output.path).writer_lives()
            if lives or (lives is None and output.waited < NOTHING_YET):
                output.wait()
                continue
            del self.outputs[kernel]
            if lives is False:
                with suppress(OSError):  # no process can be forked: the journal stays for `recover`
                    self.brood.fork_alone(partial(_mend, output.path))

    def seconds(self) -> float:
        """For how long there is nothing to mend."""
        now = time.monotonic()
        return max(0.0, min((self.outputs[kernel].due - now for kernel in self._ended()), default=LATE))

    def _ended(self) -> set[int]:
        return self.outputs.keys() - self.brood.children.keys()


def _mend(output: Path) -> None:
    close_others(())
    recover(output)
