"""Prints what the journey left: the table of a run, model versions, a drift report, and the trace of an id."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from rich.markup import escape

from workbench.cli.output import console, print_done, print_json, print_next, print_table
from workbench.errors import NotFound
from workbench.orchestration.describing import HOP_WORDS, describe, in_journey_order, seconds_of
from workbench.records import BentoBuild, ModelVersion, MonitoringReport, Record
from workbench.registry.standings import placed_all
from workbench.settings import Layout
from workbench.store import Control, open_control

if TYPE_CHECKING:
    from workbench.orchestration.deployment import Live

__all__ = ["print_journey", "print_live", "print_models", "print_records", "print_report", "print_trace"]


def print_journey(layout: Layout, run: str, *, seconds: Mapping[str, float], as_json: bool) -> None:
    """The records of a run in journey order, each with the time its hop took, and what to do next."""
    with open_control(layout) as control:
        records = control.all(run=run)
    if as_json:
        listed = [{"kind": record.kind, **msgspec.to_builtins(record)} for record in records]
        print_json({"run": run, "seconds": dict(seconds), "records": listed})
        return
    print_records(in_journey_order(records), seconds, title=f"run {run}")
    model = next((record for record in records if isinstance(record, ModelVersion)), None)
    if model is not None:
        for reason in model.reasons:
            console.print(f"  {reason}", markup=False)
    print_next(_next(model, any(isinstance(record, BentoBuild) for record in records)))


def print_records(records: Sequence[Record], seconds: Mapping[str, float], *, title: str) -> None:
    """A table of records: the hop's word, the id, what came out, and the time it took."""
    rows = []
    for record in records:
        took = seconds_of(record, seconds)
        rows.append((HOP_WORDS[record.kind], record.id, describe(record), "" if took is None else f"{took:.1f} s"))
    print_table(("hop", "id", "what came out", "time"), rows, title=title)


def _next(model: ModelVersion | None, packaged: bool) -> str:
    if packaged:
        return "workbench serve"
    if model is not None and model.state == "waiting":
        return f'read the review (workbench trace {model.id}), then: workbench models accept {model.id} --reason "…"'
    return "improve a candidate or the data, then: workbench run"


def print_models(layout: Layout, *, as_json: bool) -> None:
    """Every model version, newest first, with how far it has come."""
    with open_control(layout) as control:
        versions = [record for record in reversed(control.all(kind="model")) if isinstance(record, ModelVersion)]
        with control.read() as connection:
            stages = {place.model: place.stage for place in placed_all(connection) if place.stage != "candidate"}
        standing = {version.id: stages.get(version.id) or _standing(version, control) for version in versions}
    if as_json:
        print_json([{**msgspec.to_builtins(version), "standing": standing[version.id]} for version in versions])
    elif not versions:
        console.print("no model version yet. [cyan]next[/]  workbench run")
    else:
        rows = [(version.id, standing[version.id], *_best(version), version.at[:19]) for version in versions]
        print_table(("id", "state", "candidate", "metric", "at"), rows)


def _standing(version: ModelVersion, control: Control) -> str:
    """How far a version has come before any release: waiting for a person, accepted, packaged, served; or that none passed."""
    accepted = control.all(kind="acceptance", parent=version.id)
    parents = [version, *accepted]
    bentos = [bento for parent in parents for bento in control.all(kind="bento", parent=parent.id)]
    if any(control.all(kind="deployment", parent=bento.id) for bento in bentos):
        return "served"
    if bentos:
        return "packaged"
    return "accepted" if accepted else {"waiting": "waits for a person", "none": "nobody passed"}.get(version.state, "chosen")


def _best(version: ModelVersion) -> tuple[str, str]:
    best = next((row for row in version.ranking if row["candidate"] == version.candidate), None)
    return ("–", version.metric) if best is None else (str(best["name"]), f"{version.metric} {best['value']:.4g}")


def print_live(live: Live) -> None:
    """A service that answers, and a request that a shell can send it as it stands."""
    print_done(f"{live.tag} answers at {live.url}  ({live.deployment.id})")
    asking = f"curl -s {live.url}/predict -H 'Content-Type: application/json' -d {shlex.quote(live.example)}"
    console.print(f"      try it: {asking}", markup=False)
    console.print("      Ctrl-C stops it")


def print_report(layout: Layout, run: str, *, as_json: bool) -> None:
    """What a watch run found: schema problems first, then drifted features, and where the page is."""
    with open_control(layout) as control:
        report = next((record for record in control.all(run=run) if isinstance(record, MonitoringReport)), None)
    if report is None:
        raise NotFound(f"run {run} left no monitoring report", hint="Look at its executed notebook: .workbench/runs")
    page = layout.reports / f"{report.id}.html"
    if as_json:
        print_json({"report": report.id, "page": str(page), **msgspec.to_builtins(report)})
        return
    for problem in report.schema:
        console.print(f"[red]schema[/] {escape(problem)}")
    drifted = [feature for feature in report.features if feature["drifted"]]
    if drifted:
        print_table(
            ("feature", "psi", "adjusted p", "why"),
            [(f["name"], f"{f['psi']:.3f}", f"{f['adjusted_p']:.2g}", f["reason"]) for f in drifted],
            title=f"{len(drifted)} of {len(report.features)} drifted in {report.window.get('rows', 0):,} predictions",
        )
    elif not report.schema:
        print_done(f"no drift in {report.window.get('rows', 0):,} predictions ({len(report.features)} features)")
    print_next(f"open {shlex.quote(str(page))}        (record {report.id})")


def print_trace(layout: Layout, wanted: str, *, as_json: bool) -> None:
    """The chain of an id, dataset version first; the id that was asked for is marked."""
    from workbench.orchestration.tracing import trace  # loads polars

    with open_control(layout) as control:
        links = trace(wanted, layout, control)
    if as_json:
        print_json(msgspec.to_builtins(links))
        return
    for link in links:
        mark = "[bold cyan]▶[/] " if link.asked else "  "
        branch = "   " * link.depth + ("└ " if link.depth else "")
        console.print(f"{mark}{branch}[bold]{link.kind}[/] {escape(link.id)}  [dim]{escape(link.summary)}[/]")
