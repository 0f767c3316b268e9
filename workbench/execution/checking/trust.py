"""The judgement itself: every rule on one notebook. Called by `workbench check` and by gates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.execution.checking.document import Document, read_document
from workbench.execution.checking.report import Finding, Report, finding, score_of

__all__ = ["TOLERANCE", "check_notebook"]

TOLERANCE = 1e-6
"""By which share a number in an output may differ from its rerun."""

SEVERITIES = ("error", "warning", "note")


def check_notebook(path: Path, *, rerun: bool = False, tolerance: float = TOLERANCE) -> Report:
    """Tells whether a notebook can be trusted, and why not.

    Without a rerun nothing is executed and nothing is written. A notebook without outputs is judged by its code and its file.

    Args:
        path: the notebook, of format 4.
        rerun: also run it in a fresh kernel, in its own folder, and compare every output.
        tolerance: by which share a number may differ from its rerun; whole numbers must be equal.

    Returns:
        The report: findings by severity, then by place; the score is 100 less 25 for each error and 5 for each warning.

    Raises:
        NotebookInvalid: the file is missing or not a notebook of format 4.
    """
    document = read_document(path)
    findings = sorted(
        _findings(document, rerun=rerun, tolerance=tolerance),
        key=lambda found: (SEVERITIES.index(found.severity), found.cell or 0, found.line or 0, found.output or 0),
    )
    return Report(notebook=str(path), score=score_of(findings), rerun=rerun, findings=tuple(findings))


def _findings(document: Document, *, rerun: bool, tolerance: float) -> Iterator[Finding]:
    from workbench.execution.checking.names import find_name_faults
    from workbench.execution.checking.order import find_order_faults
    from workbench.execution.checking.personal import find_personal_data
    from workbench.execution.checking.secret_texts import find_secrets
    from workbench.execution.checking.stored_file import find_file_faults

    faults = tuple(find_file_faults(document))
    yield from faults
    yield from find_name_faults(document)
    yield from find_order_faults(document)
    yield from find_secrets(document)
    yield from find_personal_data(document)
    if rerun and any(fault.rule == "invalid-format" for fault in faults):
        yield finding("rerun-failed", "was not run again, since its format is invalid")
    elif rerun:
        from workbench.execution.checking.rerun import find_unreproduced

        yield from find_unreproduced(document, tolerance=tolerance)
