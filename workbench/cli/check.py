"""`workbench check`: whether notebooks can be trusted, as text, as JSON, or as annotations in continuous integration."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from workbench.cli.output import console, print_json
from workbench.errors import RunFailed

if TYPE_CHECKING:
    from workbench.execution.checking import Report

__all__ = ["check"]

COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}


def check(
    notebooks: Annotated[list[Path], typer.Argument(metavar="NOTEBOOK...", help="The notebooks to judge.")],
    rerun: Annotated[bool, typer.Option(help="Also run each one in a fresh kernel, and compare its outputs.")] = False,
    tolerance: Annotated[float, typer.Option(min=0, help="By which share a number may differ from its rerun.")] = 1e-6,
    minimum: Annotated[int, typer.Option(min=0, max=100, metavar="SCORE", help="The lowest score that passes.")] = 0,
    github: Annotated[bool, typer.Option("--github", help="Print annotations for GitHub Actions.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")] = False,
) -> None:
    """Tell whether notebooks can be trusted: order, names, secrets, personal data, stale metadata, reproduced outputs."""
    from workbench.execution.checking import annotation_lines, check_notebook

    reports = [check_notebook(path, rerun=rerun, tolerance=tolerance) for path in notebooks]
    refused = [report for report in reports if not report.trusted(minimum)]
    if json:
        import msgspec

        print_json({"trusted": not refused, "minimum": minimum, "reports": msgspec.to_builtins(reports)})
        if refused:
            raise typer.Exit(RunFailed.exit_code)
        return
    for report in reports:
        if github:
            sys.stdout.writelines(f"{line}\n" for line in annotation_lines(report))
        else:
            _print_report(report)
    if refused:
        raise _refusal(refused, minimum)


def _print_report(report: Report) -> None:
    console.print(f"[bold]{escape(report.notebook)}[/]  {report.score}/100")
    for found in report.findings:
        colour = COLOURS[found.severity]
        console.print(f"  [{colour}]{found.severity:<7}[/] {escape(f'{found.place}: {found.message}')} [dim]{found.rule}[/]")


def _refusal(refused: Sequence[Report], minimum: int) -> RunFailed:
    many = f"{len(refused)} notebooks" if len(refused) > 1 else refused[0].notebook
    return RunFailed(
        f"{many} cannot be trusted; expected no error and a score of at least {minimum}",
        problems=[f"{report.notebook}: {report.score}/100, {report.errors} errors" for report in refused],
        hint="Mend what is listed, restart the kernel, run all cells, save, and check again.",
    )
