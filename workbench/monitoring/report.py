"""Has Evidently draw the comparison, in a process of its own, under our verdict; called by the watch notebook.

Evidently takes seconds and hundreds of megabytes to import, and some inputs make it raise: neither may touch a notebook's
kernel or a decision. It gets a sample of the rows that were compared, and each column's verdict ready-made.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from workbench.errors import RunFailed
from workbench.monitoring.alignment import Pair, align
from workbench.settings import TELEMETRY_OFF

if TYPE_CHECKING:
    from workbench.data.contract import Contract
    from workbench.monitoring.drift import DriftReport

__all__ = ["Rendered", "render"]

SAMPLE = 10_000
LONGEST_VALUE = 80
LOG_TAIL = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The report as a page that needs no network, and the same as data."""

    html: Path
    json: Path


def render(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    contract: Contract,
    drift_report: DriftReport,
    folder: Path,
    timeout: float = 180.0,
) -> Rendered:
    """Writes `drift.html` and `drift.json` into a folder; files from an earlier call are replaced, both or none.

    The page shows at most 10,000 rows of each sample; the verdict above it rests on all of them.

    Raises:
        RunFailed: nothing could be compared, or Evidently failed or ran out of time; the end of its output is in the problems.
    """
    judged = {feature.name: feature for feature in drift_report.features}
    pairs = [pair for pair in align(reference, current, contract)[0] if pair.name in judged]
    if not pairs:
        raise RunFailed(
            "no column of the window can be compared with the reference, so there is no report to draw",
            problems=[f"{name}: {reason}" for name, reason in drift_report.skipped.items()],
            hint="Look at the schema problems first.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".rendering-") as name:
        work = Path(name)
        _sample([_harmless(pair.reference) for pair in pairs]).write_parquet(work / "reference.parquet")
        _sample([_harmless(pair.current) for pair in pairs]).write_parquet(work / "current.parquet")
        spec = work / "spec.json"
        spec.write_text(json.dumps(_spec(pairs, drift_report)), encoding="utf-8")
        _run_evidently(spec, timeout)
        rendered = Rendered(html=folder / "drift.html", json=folder / "drift.json")
        (work / "drift.html").replace(rendered.html)
        (work / "drift.json").replace(rendered.json)
    return rendered


def _sample(columns: list[pl.Series]) -> pl.DataFrame:
    frame = pl.DataFrame(columns)
    return frame.sample(SAMPLE, seed=0) if frame.height > SAMPLE else frame


def _harmless(values: pl.Series) -> pl.Series:
    """The values as they may stand in a page: Evidently writes names and categories into a script unescaped, and whoever
    sends a request chooses what its categories say.
    """
    values = values.rename(_without_tags(values.name))
    return values.str.replace_all("<", "‹", literal=True).str.slice(0, LONGEST_VALUE) if values.dtype == pl.String else values


def _without_tags(name: str) -> str:
    return name.replace("<", "‹")


def _spec(pairs: list[Pair], drift: DriftReport) -> dict[str, object]:
    judged = {feature.name: feature for feature in drift.features}
    columns = [
        {
            "name": _without_tags(pair.name),
            "kind": pair.kind,
            "test": f"{judged[pair.name].statistic}, adjusted p {judged[pair.name].adjusted_p:.2g}; score = PSI",
            "psi": judged[pair.name].psi,
            "drifted": judged[pair.name].drifted,
            "reason": judged[pair.name].reason,
        }
        for pair in pairs
    ]
    return {
        "columns": columns,
        "skipped": dict(drift.skipped),
        "rows": {"reference": drift.rows_reference, "current": drift.rows_current, "sample": SAMPLE},
        "alpha": drift.alpha,
        "floor": drift.floor,
    }


def _run_evidently(spec: Path, timeout: float) -> None:
    # Evidently warns about numpy on import; where warnings are errors (as in our tests) that must not reach its process.
    command = [sys.executable, "-W", "ignore", "-m", "workbench.monitoring.evidently_report", str(spec)]
    environment = {**os.environ, **TELEMETRY_OFF}
    output = spec.with_name("output.log")
    try:
        with output.open("wb") as stream:
            done = subprocess.run(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment, timeout=timeout, check=False
            )
    except subprocess.TimeoutExpired as error:
        raise _failed(f"did not finish within {timeout:g} s", output, "Give it more time, or compare fewer columns.") from error
    if done.returncode != 0:
        raise _failed(f"ended with exit code {done.returncode}", output, "The verdict itself does not depend on this page.")


def _failed(what: str, output: Path, hint: str) -> RunFailed:
    tail = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LOG_TAIL:]
    return RunFailed(f"Evidently's report {what}", problems=tail, hint=hint)
