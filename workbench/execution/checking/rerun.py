"""A clean rerun of a notebook, and which of its stored outputs it does not reproduce. Called by `trust`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.execution.checking.comparison import first_difference
from workbench.execution.checking.document import Cell, Document, read_document
from workbench.execution.checking.report import Finding, finding
from workbench.execution.checking.secret_texts import redacted

__all__ = ["find_unreproduced"]

ENGINE = "workbench"
"""The papermill engine of reruns; None is papermill's own choice."""

KERNEL = "python3"
"""The kernel of a notebook that names none."""

IGNORED = "nbval-ignore-output"
"""The tag of nbval (https://nbval.readthedocs.io) for cells whose outputs are known to vary."""


def find_unreproduced(document: Document, *, tolerance: float) -> Iterator[Finding]:
    """Runs the notebook in a fresh kernel and compares the outputs of each cell that was run before.

    The kernel works in the notebook's folder, as it does in JupyterLab, so that relative paths lead where they led; the
    executed notebook goes to a temporary folder. A cell tagged `nbval-ignore-output` is run but not compared.

    Args:
        document: the notebook.
        tolerance: by which share two numbers may differ.
    """
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        executed = Path(folder) / "rerun.ipynb"
        failure, last = _execute(document, executed)
        fresh = {cell.id: cell for cell in read_document(executed).code} if executed.exists() else {}
    if failure:
        cell = next((cell for cell in document.cells if cell.number == last), None)
        yield finding("rerun-failed", f"a clean rerun fails: {redacted(failure)}", cell=cell)
    for stored in document.code:
        new = fresh.get(_id(stored.number))
        if new is None or stored.number > last or (failure and stored.number == last):
            continue
        if not stored.runs or IGNORED in stored.tags or (stored.count is None and not stored.outputs):
            continue
        found = first_difference(stored.outputs, new.outputs, tolerance=tolerance)
        if found is not None:
            rule = "picture-differs" if found.picture else "not-reproduced"
            message = f"does not reproduce: {redacted(found.what)}"
            yield finding(rule, message, cell=stored, output=found.output if stored.outputs else None)


def _execute(document: Document, executed: Path) -> tuple[str, int]:
    """Runs the notebook; returns why it failed, or nothing, and the number of the last cell that began."""
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from papermill.exceptions import PapermillException, PapermillExecutionError
    from traitlets.config import Config

    begun: list[str] = [_id(0)]
    source = executed.with_name("source.ipynb")
    source.write_text(_stripped(document), encoding="utf-8")
    failure = ""
    try:
        papermill.execute_notebook(
            str(source),
            str(executed),
            engine_name=ENGINE,
            kernel_name=None if document.section("kernelspec").get("name") else KERNEL,
            cwd=str(document.path.absolute().parent),
            progress_bar=False,
            log_output=False,
            on_cell_start=lambda cell, cell_index: begun.append(cell.id),
            config=Config({"KernelManager": {"transport": "ipc", "ip": str(executed.with_name("k"))}}),
        )
    except NoSuchKernel as error:
        failure = f"the kernel {error.name!r} is not installed"
    except PapermillExecutionError as error:
        failure = _told(read_document(executed).code, error.ename)
    except (PapermillException, RuntimeError, TimeoutError) as error:  # the last two: its kernel died, or never answered
        failure = f"{type(error).__name__}: {error}"
    return failure, int(begun[-1].rpartition("-")[2])


def _id(number: int) -> str:
    """The id of a cell in the rerun, by its number in the document."""
    return f"cell-{number}"


def _told(fresh: tuple[Cell, ...], otherwise: str) -> str:
    """What the cell that ended the run raised; nothing where only cells raised that are tagged to, which papermill minds."""
    errors = [(cell, output) for cell in fresh for output in cell.outputs if output.get("output_type") == "error"]
    ended = [f"{output.get('ename')}: {output.get('evalue')}" for cell, output in errors if not cell.may_raise]
    return ended[0] if ended else "" if errors else otherwise


def _stripped(document: Document) -> str:
    """The notebook without outputs and widget state, so that what a rerun leaves is its own, and with ids that are good."""
    content: dict[str, Any] = json.loads(document.text)
    content["nbformat_minor"] = max(5, content.get("nbformat_minor", 5))
    for number, cell in enumerate(content["cells"], start=1):
        cell["id"] = _id(number)
        if cell.get("cell_type") == "code":
            cell.update(outputs=[], execution_count=None)
    content.get("metadata", {}).pop("widgets", None)
    return json.dumps(content)
