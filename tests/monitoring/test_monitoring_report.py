"""Evidently's page shows our verdict, fetches nothing, and its failures are told with their reason."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest

from workbench.data.contract import Column, Contract
from workbench.errors import RunFailed
from workbench.monitoring import compare, render

HOSTILE = "</script><script>alert(1)</script>"
CONTRACT = Contract(
    features=(
        Column(name="age", kind="number", source_type="integer", nullable=True),
        Column(name="job", kind="category", source_type="string", nullable=False, categories=("cook", "pilot")),
        Column(name="calm", kind="number", source_type="float", nullable=True),
        Column(name="constant", kind="number", source_type="float", nullable=True),
        Column(name="empty", kind="number", source_type="float", nullable=True),
        Column(name="gone", kind="number", source_type="float", nullable=True),
    ),
    target="y",
    task="binary",
    classes=("0", "1"),
    positive="1",
)


def frames() -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = 600
    reference = pl.DataFrame(
        {
            "age": [float(20 + i % 40) for i in range(rows)],
            "job": ["cook", "pilot", "nurse"] * (rows // 3),
            "calm": [float(i % 7) if i % 9 else None for i in range(rows)],
            "constant": [1.0] * rows,
            "empty": [1.0, 2.0] * (rows // 2),
            "gone": [1.0, 2.0] * (rows // 2),
        }
    )
    current = reference.drop("gone").with_columns(
        age=pl.col("age") + 8, job=pl.col("job").replace("nurse", HOSTILE), empty=pl.lit(None, dtype=pl.Float64)
    )
    return reference, current


def test_the_page_shows_our_verdict_and_needs_no_network(tmp_path: Path) -> None:
    reference, current = frames()
    report = compare(reference, current, CONTRACT, alpha=0.01, floor=0.02)
    assert report.drifted == ("age", "job")
    rendered = render(reference, current, CONTRACT, report, tmp_path / "out")

    page = rendered.html.read_text(encoding="utf-8")
    assert "2 of 4 columns drifted" in page
    assert "<b>gone</b>: absent from the window" in page
    assert "<b>empty</b>: no values in the window" in page
    assert HOSTILE not in page
    fetched = re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)\s*=\s*[\"']?(?!data:)[^\"' >]+", page)
    assert fetched == []
    assert "default-src 'none'" in page

    tests = json.loads(rendered.json.read_text(encoding="utf-8"))["tests"]
    failed = {name for name in CONTRACT.names for test in tests if test["status"] == "FAIL" and test["name"].endswith(f" {name}")}
    assert failed == {"age", "job"}
    assert sorted(path.name for path in rendered.html.parent.iterdir()) == ["drift.html", "drift.json"]


def test_a_window_of_one_row_can_be_drawn(tmp_path: Path) -> None:
    reference, current = frames()
    report = compare(reference, current.head(1), CONTRACT, alpha=0.01, floor=0.02)
    assert report.drifted == ()
    page = render(reference, current.head(1), CONTRACT, report, tmp_path).html.read_text(encoding="utf-8")
    assert "No drift found" in page


def test_a_report_that_takes_too_long_is_ended_and_leaves_nothing(tmp_path: Path) -> None:
    reference, current = frames()
    report = compare(reference, current, CONTRACT, alpha=0.01, floor=0.02)
    with pytest.raises(RunFailed, match=r"did not finish within 0\.05 s"):
        render(reference, current, CONTRACT, report, tmp_path, timeout=0.05)
    assert list(tmp_path.iterdir()) == []


def test_a_window_that_shares_no_column_says_why_there_is_no_page(tmp_path: Path) -> None:
    reference, current = frames()
    report = compare(reference, current.select(other="age"), CONTRACT, alpha=0.01, floor=0.02)
    with pytest.raises(RunFailed, match="age: absent from the window"):
        render(reference, current.select(other="age"), CONTRACT, report, tmp_path)


def test_evidently_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    (tmp_path / "path" / "evidently").mkdir(parents=True)
    (tmp_path / "path" / "evidently" / "__init__.py").write_text("raise RuntimeError('broken installation')")
    reference, current = frames()
    report = compare(reference, current, CONTRACT, alpha=0.01, floor=0.02)
    with pytest.raises(RunFailed, match="exit code 1") as caught:
        render(reference, current, CONTRACT, report, tmp_path / "out")
    assert caught.value.problems[-1] == "RuntimeError: broken installation"
