"""Draws Evidently's report of a prepared comparison; run as a process of its own by `report.render`, never imported."""

from __future__ import annotations

import html
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import StatTest, register_stattest
from evidently.legacy.core import ColumnType
from evidently.presets import DataDriftPreset

POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; font-src data:; img-src data: blob:\">"
)
STYLE = """<style>
#verdict {font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 1.5rem auto; padding: 1rem 1.5rem;
  border-left: 6px solid #2b6cb0; background: #f5f8fc; color: #1a202c}
#verdict.drifted {border-color: #c2410c; background: #fff7f2}
#verdict h1 {font-size: 1.4rem; margin: 0 0 .4rem}
#verdict table {border-collapse: collapse}
#verdict th, #verdict td {text-align: left; padding: .15rem 1.2rem .15rem 0}
</style>"""


def main(spec_file: Path) -> None:
    """Writes drift.html and drift.json next to the specification."""
    spec = json.loads(spec_file.read_text(encoding="utf-8"))
    columns = spec["columns"]
    definition = DataDefinition(
        numerical_columns=[column["name"] for column in columns if column["kind"] == "number"],
        categorical_columns=[column["name"] for column in columns if column["kind"] == "category"],
    )
    reference, current = (
        Dataset.from_pandas(pd.read_parquet(spec_file.with_name(f"{name}.parquet")), data_definition=definition)
        for name in ("reference", "current")
    )
    verdicts = {column["name"]: _verdict_as_test(f"workbench-{index}", column) for index, column in enumerate(columns)}
    preset = DataDriftPreset(
        columns=list(verdicts),
        per_column_method=verdicts,
        per_column_threshold=dict.fromkeys(verdicts, spec["floor"]),
        drift_share=min(0.001, 0.5 / len(verdicts)),  # one drifted column is a drifted window
    )
    snapshot = Report([preset], include_tests=True).run(current, reference)
    page = _with_verdict(snapshot.get_html_str(as_iframe=False), spec)
    spec_file.with_name("drift.html").write_text(page, encoding="utf-8")
    spec_file.with_name("drift.json").write_text(snapshot.json(), encoding="utf-8")


def _verdict_as_test(name: str, column: dict[str, Any]) -> str:
    """Registers a statistical test that looks at no data and returns the verdict reached before."""
    test = StatTest(
        name=name,
        display_name=column["test"],
        allowed_feature_types=[ColumnType.Numerical, ColumnType.Categorical],
    )

    def verdict(reference: object, current: object, kind: object, threshold: float) -> tuple[float, bool]:
        return column["psi"], column["drifted"]

    register_stattest(test, verdict)
    return name


def _with_verdict(page: str, spec: dict[str, Any]) -> str:
    """The page with our verdict on top, and with leave to fetch nothing: scripts and fonts are all inside it."""
    head, body = "<head>", "<body>"
    if head not in page or body not in page:
        raise ValueError("Evidently's page has no head or body to put the verdict into")
    page = page.replace(head, head + POLICY, 1)
    return page.replace(body, body + _verdict(spec), 1)


def _verdict(spec: dict[str, Any]) -> str:
    drifted = sorted((column for column in spec["columns"] if column["drifted"]), key=lambda column: -column["psi"])
    rows = spec["rows"]
    count = f"{len(drifted)} of {len(spec['columns'])} columns drifted" if drifted else "No drift found"
    rule = (
        f"{rows['current']:,} served rows against {rows['reference']:,} training rows. A column drifted when its adjusted p is "
        f"below {spec['alpha']:g} and its population stability index (PSI), less sampling noise, is above {spec['floor']:g}. "
        f"The verdict rests on all rows; the pictures below show at most {rows['sample']:,} of each."
    )
    found = "".join(
        f"<tr><th>{_text(column['name'])}</th><td>{_text(column['reason'])}</td><td>PSI {column['psi']:.3f}</td></tr>"
        for column in drifted
    )
    skipped = "".join(f"<li><b>{_text(name)}</b>: {_text(reason)}</li>" for name, reason in spec["skipped"].items())
    left_out = f"<p><b>Not compared, so not cleared:</b></p><ul>{skipped}</ul>" if skipped else ""
    state = "drifted" if drifted else "calm"
    return f'{STYLE}<section id="verdict" class="{state}"><h1>{count}</h1><p>{rule}</p><table>{found}</table>{left_out}</section>'


def _text(value: object) -> str:
    return html.escape(str(value))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
