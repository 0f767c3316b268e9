"""Which cells of a notebook need not run again, and where their state comes from. Used by the engine.

Two runs whose cells, parameters, upstream data and installed packages are the same up to a cell have the same state there. A
chain of hashes says so: see `snapshots.chain`. The state itself is a fork point that a failed run left behind, or a durable
snapshot; of several, the one after most cells is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.errors import NotFound, did_you_mean
from workbench.execution.snapshots import Snapshots, chain, environment, origin, snapshot_key
from workbench.execution.warm.kept import Kept, kept

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Continuation", "Plan", "mark_restored", "plan"]

SKIPPED_TAG = "skip-execution"
BANNER = "restored"


class Continuation(msgspec.Struct, frozen=True, kw_only=True):
    """What a run keeps for a later one, and what it continues.

    `snapshots` is the folder of durable snapshots; `data` are the digests of what the notebook reads; `keep_seconds` is how long
    a failed run's fork point stays. `previous` is the executed notebook of the run to continue, None for a run from the start;
    `rewind` is the id of the cell to run again from, where that is earlier than needed.
    """

    snapshots: str
    data: Mapping[str, str] = {}
    keep_seconds: float = 900.0
    previous: str | None = None
    rewind: str | None = None

    @property
    def key(self) -> Path:
        """The file of the key that snapshots are sealed with; outside their folder."""
        return Path(self.snapshots).with_name("snapshots.key")


@dataclass(frozen=True, slots=True)
class Plan:
    """The link before each executed cell and after it, by position in the notebook, and where the run begins.

    `restored` are the positions of executed cells that do not run again; their state is `fork_point` or the durable snapshot
    `snapshot`, and their outputs stand in `previous`, the executed notebook of the run that is continued.
    """

    before: Mapping[int, str]
    after: Mapping[int, str]
    previous: NotebookNode | None = None
    restored: Sequence[int] = ()
    fork_point: Kept | None = None
    snapshot: str | None = None
    reasons: Sequence[str] = field(default_factory=list)


def plan(notebook: NotebookNode, continuation: Continuation) -> Plan:
    """Finds the state after most cells, among those that finished in the run to continue.

    Raises:
        NotFound: `rewind` names no executed cell.
    """
    link = origin(parameters={}, data=continuation.data, environment=environment())
    before: dict[int, str] = {}
    after: dict[int, str] = {}
    for position in executed(notebook):
        before[position] = link
        link = after[position] = chain(link, notebook.cells[position].source)
    if continuation.previous is None:
        return Plan(before, after)
    previous = _loaded(Path(continuation.previous))
    positions = _before_cell(notebook, _finished(notebook, list(after), previous), continuation.rewind)
    forks = {entry.link: entry for entry in kept() if entry.kind == "fork_point"}
    snapshots = Snapshots(Path(continuation.snapshots), snapshot_key(continuation.key))
    reasons: list[str] = []
    for count in range(len(positions), 0, -1):
        reached = after[positions[count - 1]]
        if reached in forks:
            return Plan(before, after, previous, positions[:count], forks[reached], None, reasons)
        if snapshots.has(reached):
            return Plan(before, after, previous, positions[:count], None, reached, reasons)
        refused = [f"{each.name} ({each.type}): {each.why}" for each in snapshots.refused(reached)]
        reasons += [f"after cell {count}: {reason}" for reason in refused]
    return Plan(before, after, previous, (), None, None, reasons)


def _loaded(executed: Path) -> NotebookNode:
    from papermill.iorw import load_notebook_node

    from workbench.execution.saving import recover

    recover(executed)
    previous: NotebookNode = load_notebook_node(str(executed))
    return previous


def executed(notebook: NotebookNode) -> list[int]:
    """The positions of the cells that a run executes."""
    return [
        position
        for position, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.strip() and SKIPPED_TAG not in cell.metadata.get("tags", [])
    ]


def _finished(notebook: NotebookNode, positions: list[int], previous: NotebookNode) -> list[int]:
    """The leading cells that the earlier run finished, as they are now; the outputs of the others do not exist."""
    count = 0
    for position, old in zip(positions, _executed_cells(previous), strict=False):
        finished = old.metadata.get("papermill", {}).get("status") == "completed"
        if not finished or old.source != notebook.cells[position].source:
            break
        count += 1
    return positions[:count]


def _before_cell(notebook: NotebookNode, positions: list[int], rewind: str | None) -> list[int]:
    if rewind is None:
        return positions
    names = {notebook.cells[position].get("id", ""): position for position in executed(notebook)}
    if rewind not in names:
        raise NotFound(f"the notebook has no code cell {rewind!r}", hint=did_you_mean(rewind, names))
    return [position for position in positions if position < names[rewind]]


def mark_restored(notebook: NotebookNode, made: Plan) -> None:
    """Gives restored cells the outputs they had, each under a banner that says that it did not run again."""
    from nbformat.v4 import new_output

    previous = [] if made.previous is None else _executed_cells(made.previous)
    for position, old in zip(made.restored, previous, strict=False):
        cell = notebook.cells[position]
        details = dict(old.metadata.get("workbench", {}))
        when = old.metadata.get("papermill", {}).get("end_time") or "an earlier run"
        banner = new_output(
            "display_data",
            {
                "text/plain": f"restored, not run again: executed {when}",
                "text/html": f"<em>restored, not run again: executed {when}</em>",
            },
            metadata={"workbench": BANNER},
        )
        kept = [output for output in old.outputs if output.get("metadata", {}).get("workbench") != BANNER]
        cell.outputs = [banner, *kept]
        cell.execution_count = old.execution_count
        cell.metadata.papermill = old.metadata.get("papermill", cell.metadata.papermill)
        cell.metadata["workbench"] = {**details, "restored": True}


def _executed_cells(notebook: NotebookNode) -> list[Any]:
    return [notebook.cells[position] for position in executed(notebook)]
