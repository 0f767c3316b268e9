"""`@notebook`: runs a notebook inside a Metaflow step. Flows import it by `from metaflow import notebook`.

    @notebook("01_prepare.ipynb")
    @step
    def prepare(self):
        self.next(self.train, foreach="candidates")

The step fails when the notebook fails. What the notebook saved is there as `self.saved` and as attributes of the step, the
id of its record as `self.record`, and the executed notebook as `self.executed_notebook` with a card, also after a failure.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metaflow import StepMutator, UserStepDecorator
from metaflow.exception import MetaflowException

from workbench.errors import WorkbenchError
from workbench.settings import TELEMETRY_OFF, find_project

__all__ = ["notebook"]

logger = logging.getLogger(__name__)

OWN_NAMES = frozenset({"record", "saved", "executed_notebook", "input", "index"})
"""Attributes of a step that are no values of the notebook."""

CARD_TYPE, CARD_ID = "workbench_notebook", "notebook"

atexit.register(gc.freeze)  # a process that ends need not look for cycles in all it has imported: 0.1 to 0.5 s for each step
os.environ.update(TELEMETRY_OFF)
os.environ.setdefault("USERNAME", "workbench")  # Metaflow's last resort; it refuses root, and a container may name nobody


class NotebookStepFailed(MetaflowException):
    """What Metaflow prints in two lines instead of its own traceback."""

    headline = "Notebook step failed"


class notebook(StepMutator, UserStepDecorator):
    """Runs `path` (in the project's `notebooks` folder) before the step's body.

    Args:
        path: the notebook's file name.
        from_item: take the notebook from the foreach item instead.
        hop: the word of the journey; the step's own name by default.
    """

    def init(self, path: str | None = None, *, from_item: bool = False, hop: str | None = None) -> None:
        """Metaflow calls this instead of `__init__`."""
        self.path, self.from_item, self.hop = path, from_item, hop

    def add_to_package(self) -> Iterator[tuple[str, str, Any]]:
        """Ships the notebooks and the project file with the code when the flow runs elsewhere."""
        from metaflow.packaging_sys import ContentType

        layout = find_project()
        for source in (*sorted(layout.notebooks.glob("*.ipynb")), layout.project_file):
            yield str(source), str(source.relative_to(layout.root)), ContentType.USER_CONTENT

    def pre_step(self, step_name: str, flow: Any, inputs: Any | None = None) -> None:
        """Runs the notebook; a failure is raised after its evidence was stored, and fails the step."""
        from metaflow import current

        from workbench.orchestration.hops import Branch, Hop, run_hop

        name = flow.input if self.from_item else self.path
        word = current.flow_name.removesuffix("Flow").lower()
        upstream = [flow] if inputs is None else list(inputs)
        hop = Hop(
            name=self.hop or step_name,
            notebook=name if name.endswith(".ipynb") else f"{name}.ipynb",
            flow=word,
            run=f"{word}-{current.run_id}",
            task=f"{step_name}-{current.task_id}",
            attempt=current.retry_count,
            branches=tuple(Branch(record=getattr(each, "record", None), saved=getattr(each, "saved", {})) for each in upstream),
            joins=inputs is not None,
            taken=frozenset(dir(type(flow))) | OWN_NAMES,
            origin=f"{word}-{current.origin_run_id}" if current.origin_run_id else None,
            parameters=dict(flow.parameters),
        )
        try:
            result = run_hop(hop)
        except WorkbenchError as error:
            raise NotebookStepFailed(str(error)) from error
        finally:
            _keep_evidence(flow, hop.folder / hop.notebook, current.pathspec)
        flow.record, flow.saved = result.record, dict(result.saved)
        for saved_name, value in result.values.items():
            setattr(flow, saved_name, value)


def _keep_evidence(flow: Any, executed: Path, task: str) -> None:
    """The executed notebook as an artifact and as a card, also of a failed step: people look for that one first.

    Metaflow's own `@card` renders after successful steps only, in a process of its own that imports everything anew.
    """
    flow.executed_notebook = executed.read_text(encoding="utf-8") if executed.exists() else None
    if flow.executed_notebook is None:
        return
    try:
        _save_card(flow, executed, task)
    except Exception:  # whatever is wrong with a picture of the step, the step itself is done
        logger.exception("the card could not be kept; the executed notebook is %s", executed)


def _save_card(flow: Any, executed: Path, task: str) -> None:
    from metaflow.datastore import FlowDataStore
    from metaflow.plugins.cards.card_datastore import CardDatastore

    from workbench.execution.rendering import page_beside

    page = page_beside(executed).read_text(encoding="utf-8")
    storage = type(flow._datastore.parent_datastore._storage_impl)
    root = CardDatastore.get_storage_root(storage.TYPE)
    cards = CardDatastore(FlowDataStore(flow.name, None, storage_impl=storage, ds_root=root), pathspec=task)
    one = uuid.uuid5(uuid.NAMESPACE_OID, task).hex  # a step that is tried again replaces its card
    cards.save_card(one, CARD_TYPE, page, card_id=CARD_ID, overwrite=True)
