"""`workbench execute`: one notebook, validated and run. Registered by `app`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.output import errors, print_done, print_json, print_table
from workbench.cli.pairs import pairs
from workbench.errors import BadInput

if TYPE_CHECKING:
    from workbench.execution.notebook_run import CellEvent, Execution

__all__ = ["execute"]


def execute(
    notebook: Annotated[Path, typer.Argument(help="The notebook to run.")],
    output: Annotated[Path | None, typer.Argument(help="Where the executed notebook goes.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", metavar="NAME VALUE", help="A parameter; repeatable.")
    ] = None,
    kernel: Annotated[str, typer.Option(help="The Jupyter kernel.")] = "python3",
    help_notebook: Annotated[
        bool, typer.Option("--help-notebook", help="Show the notebook's parameters, and run nothing.")
    ] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the parameters as JSON Schema, and run nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")] = False,
) -> None:
    """Run one notebook headlessly, as papermill does, in a warm kernel, in the notebook's own folder.

    Each line of its `parameters` cell is `name: type = default`, and values are checked before anything starts. Notebooks whose
    parameters have no types run with: papermill --engine workbench INPUT OUTPUT
    """
    from workbench.execution.notebook_run import Execution
    from workbench.execution.parameters import read_parameters

    contract = read_parameters(notebook)
    if schema:
        print_json(contract.schema())
    elif help_notebook:
        rows = [(row.name, row.type, row.default, row.help) for row in contract.rows()]
        print_table(("parameter", "type", "default", "help"), rows)
    elif output is None:
        raise BadInput("execute needs an OUTPUT", hint=f"For example: workbench execute {notebook} executed.ipynb")
    elif output.is_dir() or output.suffix != ".ipynb":
        raise BadInput(f"{output} {'is a folder' if output.is_dir() else 'does not end in .ipynb'}", hint="Name a notebook file.")
    else:
        execution = Execution(
            source=str(notebook.absolute()),
            executed=str(output.absolute()),
            parameters=contract.parse(pairs(parameter or ())),
            kernel=kernel,
        )
        seconds = _run(execution, quiet=json)
        if json:
            print_json({"output": str(output), "seconds": seconds})
        else:
            print_done(f"{output} in {seconds:.2f} s")


def _run(execution: Execution, *, quiet: bool) -> float:
    """Runs the notebook, with a bar on a terminal; returns the seconds that it took."""
    from rich.progress import Progress

    from workbench.execution.lazy_grammar import defer_iri_grammar

    defer_iri_grammar()
    from workbench.execution.papermill_run import execute as run

    started = time.perf_counter()
    with Progress(console=errors, transient=True, disable=quiet or not errors.is_terminal) as progress:
        task = progress.add_task(Path(execution.source).name)

        def show(event: CellEvent) -> None:
            progress.update(task, completed=event.cell - 1, total=event.cells, description=event.cell_id)

        run(execution, dict(os.environ), show)
    return round(time.perf_counter() - started, 3)
