"""Completes the outputs of runners that were killed, from what they left in their journals. Used by nests and fork points.

Whoever forks a run's kernel learns of the runner's death by the kernel's end, and looks after its output until a living process
no longer writes it. Nothing does so where that process is killed together with the runner, or where the standard engine ran the
notebook: then the journal stays beside the output until `saving.recover` is called, as `workbench resume` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from workbench.execution.journal import Journal
from workbench.execution.saving import recover
from workbench.execution.warm.brood import Brood
from workbench.execution.warm.child import close_others

__all__ = ["Mending"]

LOOK_SECONDS = 0.05
"""How soon to look again, while a runner whose kernel has ended still writes: it ends its run well, or is just dying."""


@dataclass(slots=True)
class Mending:
    """The outputs of runs, by the process id of the kernel that `brood` forked for each."""

    brood: Brood
    outputs: dict[int, Path] = field(default_factory=dict)

    def watch(self, kernel: int, output: str | None) -> None:
        """Looks after an output from the kernel's end on; None where the runner saves no local file."""
        if output is not None:
            self.outputs[kernel] = Path(output)

    def look(self, seconds: float) -> float:
        """Mends what is to be mended, each in a process of its own; returns for how long to wait, at most `seconds`."""
        for kernel in self.outputs.keys() - self.brood.children.keys():
            lives = Journal.beside(self.outputs[kernel]).writer_lives()
            if lives:
                seconds = min(seconds, LOOK_SECONDS)
                continue
            output = self.outputs.pop(kernel)
            if lives is False:
                self.brood.fork_alone(partial(_mend, output))
        return seconds


def _mend(output: Path) -> None:
    close_others(())
    recover(output)
