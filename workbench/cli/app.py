"""The commands themselves. Heavy packages are imported inside the command that needs them, so that `--help` is instant."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.audit import audit_app
from workbench.cli.check import check
from workbench.cli.evidence import evidence, verify
from workbench.cli.execute import execute
from workbench.cli.output import console, errors, print_done, print_json, print_next, print_table
from workbench.cli.pairs import pairs
from workbench.cli.release import (
    approve,
    erase,
    print_registered,
    print_standing,
    promote,
    register,
    reject,
    rollback,
    waive,
)
from workbench.cli.server import login, logout, server_app, sign_in
from workbench.cli.users import users_app
from workbench.errors import BadInput

__all__ = ["app"]

app = typer.Typer(
    name="workbench",
    help="From a data file to a served, monitored model, in notebooks.",
    epilog="Start with: workbench init NAME --example credit, then: workbench run",
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="List model versions, or accept one that waits for a person.", invoke_without_command=True)
app.add_typer(models_app, name="models")
app.add_typer(audit_app, name="audit")
app.command()(check)
app.command()(execute)
app.command()(verify)
app.command()(evidence)
for command in (register, approve, reject, waive, promote, rollback, erase):
    app.command()(command)
app.add_typer(server_app, name="server")
app.command()(login)
app.command()(logout)
app.add_typer(users_app, name="users")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="The project's name and folder.")],
    data: Annotated[Path | None, typer.Option(help="A CSV or Parquet file.")] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    sensitive: Annotated[str, typer.Option(help="Columns that describe people, as A,B.")] = "",
    entity: Annotated[str | None, typer.Option(help="The column that names whom a row is about.")] = None,
    time: Annotated[str | None, typer.Option(help="The column that says when a row was true.")] = None,
    example: Annotated[str | None, typer.Option(help="Start from a data set that ships with the workbench: credit.")] = None,
    json: Json = False,
) -> None:
    """Make a project from a data file: workbench.toml, notebooks and flows."""
    from workbench.orchestration.projects import init_example, init_project

    if example is not None:
        made = init_example(Path(name), example)
    elif data is None or target is None:
        raise BadInput(
            "init needs --data FILE and --target COLUMN, or --example NAME",
            hint="For example: workbench init credit --example credit",
        )
    else:
        columns = tuple(column.strip() for column in sensitive.split(",") if column.strip())
        made = init_project(Path(name), data=data, target=target, sensitive=columns, entity=entity, time=time)
    if json:
        print_json({"folder": str(made.folder), "dataset": made.dataset, "notes": list(made.notes)})
        return
    for note in made.notes:
        console.print(f"  {note}", markup=False)
    print_done(f"{made.folder} is a project on dataset version {made.dataset}")
    print_next(f"cd {shlex.quote(str(made.folder))} && workbench run        (or look first: workbench lab)")


@app.command()
def run(
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", metavar="NAME VALUE", help="A notebook parameter; repeatable.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Steps that may run at once.")] = 2,
    keep: Annotated[
        float, typer.Option(min=0, help="Minutes for which a failed run can be continued and attached to at once.")
    ] = 15,
    json: Json = False,
) -> None:
    """Run the experiment: prepare, train every candidate, review, choose, package."""
    from workbench.cli.journey import print_journey
    from workbench.cli.progress import RunProgress
    from workbench.orchestration.projects import run_experiment
    from workbench.settings import find_project

    layout = find_project()
    with RunProgress(quiet=json) as progress:
        given = pairs(parameter or ())
        run_id = run_experiment(layout, given, workers=workers, keep_seconds=60 * keep, on_event=progress)
    print_journey(layout, run_id, seconds=progress.seconds(), as_json=json)


@app.command()
def resume(
    run: Annotated[str, typer.Argument(help="The id of a run that failed or was interrupted.")],
    from_cell: Annotated[
        str | None, typer.Option("--from", metavar="CELL", help="Run again from the cell with this id on.")
    ] = None,
    attached: Annotated[
        bool, typer.Option("--attached", help="First take over what was edited in JupyterLab after attach.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Steps that may run at once.")] = 2,
    json: Json = False,
) -> None:
    """Continue a run where it failed: what had finished is not executed again."""
    from workbench.cli.journey import print_journey
    from workbench.cli.progress import RunProgress
    from workbench.orchestration.attaching import take_over_edits
    from workbench.orchestration.continuing import resume_run
    from workbench.settings import find_project

    layout = find_project()
    if attached:
        for cell in take_over_edits(layout, run):
            errors.print(f"taken over: {cell}", markup=False)
    with RunProgress(quiet=json) as progress:
        run_id = resume_run(layout, run, from_cell=from_cell, workers=workers, on_event=progress)
    print_journey(layout, run_id, seconds=progress.seconds(), as_json=json)


@app.command()
def attach(
    run: Annotated[
        str | None, typer.Argument(help="A run that failed or is running; the latest that was kept by default.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=1, help="How long the kernel waits for a cell before it ends.")] = 30,
    json: Json = False,
) -> None:
    """Open a run's kernel in JupyterLab: its notebook, its variables, at the cell that failed."""
    from workbench.orchestration.attaching import attach_to
    from workbench.settings import find_project

    attached = attach_to(find_project(), run, minutes=minutes)
    if json:
        print_json({"url": attached.url, "notebook": str(attached.notebook), "minutes": attached.minutes})
    else:
        print_done(f"{attached.notebook} has its kernel, for {attached.minutes:g} minutes after the last cell")
        print_next(attached.url)


@app.command()
def runs(
    limit: Annotated[int, typer.Option(min=1, help="How many to list.")] = 20,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    from workbench.settings import find_project
    from workbench.store import open_control

    with open_control(find_project()) as control:
        listed = control.runs(limit=limit)
    if json:
        import msgspec

        print_json(msgspec.to_builtins(listed))
    elif not listed:
        console.print("no runs yet. [cyan]next[/]  workbench run")
    else:
        print_table(
            ("id", "state", "started", "finished", "by", "reason"),
            [(r.id, r.state, r.started[:19], (r.finished or "")[:19], r.actor, r.reason or "") for r in listed],
        )


@models_app.callback()
def models(
    context: typer.Context,
    json: Json = False,
) -> None:
    """List model versions, newest first."""
    context.obj = json  # `workbench models --json accept ID` asks for JSON as well
    if context.invoked_subcommand is None:
        from workbench.cli.journey import print_models
        from workbench.settings import find_project

        print_models(find_project(), as_json=json)


@models_app.command("registered")
def registered(context: typer.Context, json: Json = False) -> None:
    """List what is registered for release, with its stage and the gates it misses; in a team, as the server knows it."""
    print_registered(as_json=json or bool(context.obj))


@models_app.command("show")
def show(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The id of a packaged model version.")],
    json: Json = False,
) -> None:
    """Show where a model stands: its stage, every gate with its reason, and who has decided what."""
    print_standing(model, as_json=json or bool(context.obj))


@models_app.command("accept")
def accept(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The id of a model version that waits for a person.")],
    reason: Annotated[str, typer.Option(help="Why it may be packaged although its review was INCONCLUSIVE.")],
    json: Json = False,
) -> None:
    """Accept a model whose fairness review was INCONCLUSIVE, and say why."""
    from workbench.orchestration.planes import connect
    from workbench.registry.saved_login import in_team
    from workbench.settings import find_project

    with connect(find_project(), sign_in=sign_in) as plane:
        acceptance = plane.review(model, reason=reason)
    if json or context.obj:
        print_json({"acceptance": acceptance.id, "model": acceptance.parent})
    else:
        print_done(f"{acceptance.id} accepts {acceptance.parent}")
        print_next(f"workbench {'models show' if in_team() else 'package'} {acceptance.parent}")


@app.command()
def package(
    model: Annotated[str | None, typer.Argument(help="A model version's id; the newest by default.")] = None,
    json: Json = False,
) -> None:
    """Build the bento of a model version, with a proof that it predicts the same."""
    from workbench.governance.audit import witness
    from workbench.orchestration.packaging import package_model
    from workbench.orchestration.projects import find_model
    from workbench.registry.saved_login import in_team
    from workbench.settings import find_project
    from workbench.store import Objects, open_control

    layout = find_project()
    with open_control(layout, witness=witness(layout)) as control:
        build = package_model(find_model(model, control), layout, control, Objects(layout.objects))
    if json:
        print_json({"bento": build.id, "tag": build.tag, "digest": build.digest, "format": build.format})
    else:
        print_done(f"{build.tag} ({build.format}), record {build.id}")
        print_next("workbench register" if in_team() else f"workbench serve, or release it: workbench models show {build.parent}")


@app.command()
def serve(
    tag: Annotated[str | None, typer.Argument(help="A bento's tag; the newest of this project by default.")] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on; loopback only, for now.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = None,
    json: Json = False,
) -> None:
    """Serve a bento until Ctrl-C, logging every prediction."""
    from workbench.cli.journey import print_live
    from workbench.orchestration.deployment import deployed
    from workbench.settings import find_project

    with deployed(find_project(), tag=tag, host=host, port=port) as live:
        if json:
            print_json({"deployment": live.deployment.id, "url": live.url, "tag": live.tag})
            sys.stdout.flush()
        else:
            print_live(live)
        live.wait()


@app.command()
def watch(
    rows: Annotated[int | None, typer.Option(min=1, help="Judge the latest ROWS predictions.")] = None,
    since: Annotated[str | None, typer.Option(help="Judge predictions from this time on (ISO 8601).")] = None,
    json: Json = False,
) -> None:
    """Compare what was served with what the model was trained on."""
    from workbench.cli.journey import print_report
    from workbench.cli.progress import RunProgress
    from workbench.orchestration.projects import run_watch
    from workbench.settings import find_project

    layout = find_project()
    with RunProgress(quiet=json) as progress:
        run_id = run_watch(layout, rows=rows, since=since, on_event=progress)
    print_report(layout, run_id, as_json=json)


@app.command()
def trace(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="A record's, run's or served request's id.")],
    json: Json = False,
) -> None:
    """Show where an id came from and what it led to."""
    from workbench.cli.journey import print_trace
    from workbench.settings import find_project

    print_trace(find_project(), wanted, as_json=json)


@app.command()
def lab(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port.")] = 8888,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    json: Json = False,
) -> None:
    """Open the project in JupyterLab."""
    from workbench.settings import environment, find_project

    layout = find_project()
    config = Path(__file__).with_name("lab_config.py")
    command = [sys.executable, "-m", "workbench.execution.lab", f"--config={config}", f"--ServerApp.port={port}"]
    command += [f"--ServerApp.root_dir={layout.root}", *([] if browser else ["--no-browser"])]
    if json:
        print_json({"command": command})
        sys.stdout.flush()
    os.chdir(layout.root)
    os.execve(command[0], command, environment(layout))  # noqa: S606 - JupyterLab takes this process's place


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo project goes.")] = Path("demo"),
    requests: Annotated[int, typer.Option(min=400, help="How many predictions to ask for.")] = 2000,
    json: Json = False,
) -> None:
    """Walk the whole journey on real data: run, serve, predict, watch a drift."""
    from workbench.cli.demo import run_demo

    run_demo(folder, requests=requests, as_json=json)


@app.command()
def doctor(json: Json = False) -> None:
    """Tell what is missing, and how to get it."""
    from workbench.cli.doctor import print_health

    print_health(as_json=json)
