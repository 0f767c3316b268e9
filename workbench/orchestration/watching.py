"""What surrounds the watch notebook: fixing the window of served predictions, and publishing the report. Called by the watch flow."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from workbench.data.contract import Contract
from workbench.errors import NotFound
from workbench.monitoring.windows import Window, latest_window
from workbench.orchestration.packaging import ancestor
from workbench.records import BentoBuild, Candidate, Deployment, MonitoringReport, PreparedData, Record, Saved
from workbench.settings import Layout
from workbench.store import Control, Objects

__all__ = ["answering_bento", "collect_window", "deployment_of", "write_page"]


def collect_window(
    layout: Layout, control: Control, objects: Objects, *, rows: int | None, since: str | None
) -> tuple[str, Mapping[str, Saved]]:
    """Stores the window of the model that answered last, with the training reference of that same model.

    Returns:
        The id of the deployment (or bento) that answered, and the stored values: `window`, `window_facts`, `training`,
        `holdout`, `contract`, and `holdout_predictions`.

    Raises:
        NotFound: nothing was served yet, or the predictions come from a model this project does not know.
    """
    window = latest_window(layout.predictions, rows=rows, since=since)
    digest = str(window.frame.item(-1, "digest"))
    bento = answering_bento(control, digest)
    prepared, candidate = ancestor(bento, PreparedData, control), ancestor(bento, Candidate, control)
    contract = msgspec.json.decode(objects.path(prepared.saved["contract"].digest).read_bytes(), type=Contract)
    upstream = {name: prepared.saved[name] for name in ("training", "holdout", "contract")}
    upstream["holdout_predictions"] = candidate.saved["holdout_predictions"]
    source = deployment_of(bento, control) or bento
    return source.id, {**upstream, **_stored(window, contract, digest, objects)}


def _stored(window: Window, contract: Contract, digest: str, objects: Objects) -> dict[str, Saved]:
    observed = window.observed(contract)
    frame = objects.write(lambda path: observed.write_parquet(path, compression="zstd"))
    facts = {"first": window.first, "last": window.last, "rows": window.rows, "models": window.models, "digest": digest}
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


def deployment_of(bento: Record, control: Control) -> Deployment | None:
    """The newest deployment of a bento, if it was served through the workbench."""
    found = [record for record in control.all(kind="deployment", parent=bento.id) if isinstance(record, Deployment)]
    return found[-1] if found else None


def write_page(report_id: str, layout: Layout, control: Control, objects: Objects) -> Path:
    """Copies the page of a monitoring report to `.workbench/reports/<id>.html`, where people can open it."""
    report = control.get(report_id)
    assert isinstance(report, MonitoringReport)  # noqa: S101 - the watch flow has just recorded it
    target = layout.reports / f"{report.id}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(objects.path(report.saved["page"].digest), target)
    return target
