"""What surrounds the watch notebook: the window of served predictions, and the published report. Called by the watch flow."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from workbench.data.contract import Contract
from workbench.errors import BadInput, NotFound
from workbench.monitoring.windows import Window, latest_window
from workbench.orchestration.packaging import ancestor
from workbench.project import read_project
from workbench.records import BentoBuild, Candidate, Deployment, MonitoringReport, PreparedData, Saved
from workbench.settings import Layout
from workbench.store import Control, Objects

__all__ = ["answering_bento", "collect_window", "find_window", "write_page"]


def collect_window(
    layout: Layout, control: Control, objects: Objects, *, rows: int | None, since: str | None
) -> tuple[str, Mapping[str, Saved]]:
    """Stores the window of the deployment that answered last, with the training reference of its model.

    Returns:
        The id of the deployment, and the stored values: `window`, `window_facts`, `training`, `holdout`, `contract` and
        `holdout_predictions`.

    Raises:
        NotFound: nothing was served yet, or nothing in the time asked for.
        BadInput: the window holds fewer predictions than the project judges.
    """
    deployment, window = find_window(layout, control, rows=rows, since=since)
    prepared, candidate = ancestor(deployment, PreparedData, control), ancestor(deployment, Candidate, control)
    contract = msgspec.json.decode(objects.path(prepared.saved["contract"].digest).read_bytes(), type=Contract)
    upstream = {name: prepared.saved[name] for name in ("training", "holdout", "contract")}
    upstream["holdout_predictions"] = candidate.saved["holdout_predictions"]
    return deployment.id, {**upstream, **_stored(window, contract, objects)}


def find_window(layout: Layout, control: Control, *, rows: int | None, since: str | None) -> tuple[Deployment, Window]:
    """The window of the deployment that answered last; raises as `collect_window`, whatever asks first."""
    deployment = _answering(layout, control)
    window = latest_window(layout.root / deployment.predictions, rows=rows, since=since)
    needed = read_project(layout.project_file).monitoring.minimum_rows
    if window.rows < needed:
        raise BadInput(
            f"a window of {window.rows} predictions is too small to judge, expected at least {needed}",
            hint="Watch a longer window, or lower monitoring.minimum_rows in workbench.toml.",
        )
    return deployment, window


def _answering(layout: Layout, control: Control) -> Deployment:
    """The newest deployment that has logged a prediction: one folder holds the answers of one model only."""
    for record in reversed(control.all(kind="deployment")):
        if isinstance(record, Deployment) and any((layout.root / record.predictions).rglob("*.jsonl")):
            return record
    raise NotFound("nothing was served yet", hint="Serve the model and send it requests: workbench serve")


def _stored(window: Window, contract: Contract, objects: Objects) -> dict[str, Saved]:
    observed = window.observed(contract)
    frame = objects.write(lambda path: observed.write_parquet(path, compression="zstd"))
    span = {"first": window.first, "last": window.last}
    facts = {**span, "rows": window.rows, "unreadable": window.unreadable, "models": window.models}
    written = objects.write_bytes(msgspec.json.encode(facts))
    return {
        "window": Saved(name="window", format="polars.parquet", digest=frame[0], size=frame[1]),
        "window_facts": Saved(name="window_facts", format="value.json", digest=written[0], size=written[1]),
    }


def answering_bento(control: Control, digest: str) -> BentoBuild:
    """The bento whose model has this digest.

    Raises:
        NotFound: no bento of this project does.
    """
    for record in reversed(control.all(kind="bento")):
        if isinstance(record, BentoBuild) and record.digest == digest:
            return record
    raise NotFound(
        f"the predictions name model digest {digest[:12]}…, which no bento of this project has",
        hint="They were served from another project's bento; watch them there.",
    )


def write_page(report_id: str, layout: Layout, control: Control, objects: Objects) -> Path:
    """Copies the page of a monitoring report to `.workbench/reports/<id>.html`, where people can open it."""
    report = control.get(report_id)
    assert isinstance(report, MonitoringReport)  # noqa: S101 - the watch flow has just recorded it
    target = layout.reports / f"{report.id}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(objects.path(report.saved["page"].digest), target)
    return target
