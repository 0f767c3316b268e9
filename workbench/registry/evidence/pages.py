"""The evidence's pages about data and quality. Called by `folder`; both from one dossier."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from workbench.data.contract import Contract
from workbench.records import Estimate, GroupAssessment
from workbench.registry.evidence.dossier import Dossier
from workbench.registry.evidence.markup import (
    Html,
    absent,
    chip,
    code,
    facts,
    interval,
    listed,
    moment,
    note,
    paragraph,
    part,
    section,
    table,
    text,
)

__all__ = ["bounds", "data_sheet", "number", "quality"]


def number(value: float | None) -> str:
    """Four significant digits, whole numbers from 1,000 on, or a dash where there is no value."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0 or abs(value) >= 1000:  # noqa: PLR2004 - four digits stand before the point
        return f"{value:,.0f}"
    return f"{value:#.4g}" if abs(value) >= 0.001 else f"{value:.3g}"  # noqa: PLR2004 - below, an exponent reads better


def bounds(estimate: Estimate) -> str:
    """The interval in words."""
    if estimate.low is None or estimate.high is None:
        return "no interval"
    return f"{number(estimate.low)} to {number(estimate.high)}"


def data_sheet(dossier: Dossier, contract: Contract) -> Iterable[Html]:
    """Which rows, whose, for what purpose, which columns, how they were checked and split."""
    dataset, prepared, declared = dossier.dataset, dossier.prepared, dossier.project.dataset
    yield section(
        "The rows",
        facts(
            [
                ("Data set", dataset.name),
                ("Version", code(dataset.id)),
                ("Source", dataset.source),
                ("Owner", dataset.owner),
                ("Purpose", dataset.purpose),
                ("Zone", dataset.zone),
                ("Rows", f"{dataset.rows:,}"),
                ("Recorded", moment(dataset.at)),
                ("Recorded by", dataset.actor),
                ("sha256 of the rows", code(dataset.digest)),
            ]
        ),
    )
    sensitive = ", ".join(declared.sensitive)
    yield section(
        "Columns that describe people",
        paragraph(f"Declared sensitive: {sensitive}.") if sensitive else absent("No column is declared sensitive."),
        paragraph(f"The column that names whom a row is about: {declared.entity}.") if declared.entity else Html(""),
    )
    yield section(
        "The contract of the features", table(("column", "kind", "source", "may be missing", "known values"), _columns(contract))
    )
    ignored = [(name, reason) for name, reason in declared.columns.ignored.items()]
    if ignored:
        yield section("Columns that were not learned from", table(("column", "why"), ignored))
    yield section(
        "Check and split",
        facts(
            [
                ("Target", f"{contract.target} ({contract.task})"),
                ("Rows that met the contract", _cell(prepared.contract.get("rows"))),
                ("How the holdout was chosen", _cell(prepared.contract.get("split"))),
                *((f"Rows: {split}", f"{rows:,}") for split, rows in prepared.rows.items()),
                ("Record", code(prepared.id)),
            ]
        ),
        paragraph("A run whose rows break the contract ends there; that this record exists means that they met it."),
    )


def _columns(contract: Contract) -> Iterable[Sequence[object]]:
    for column in contract.features:
        known = ", ".join(column.categories[:12]) + (" …" if len(column.categories) > 12 else "")  # noqa: PLR2004 - a line's worth
        reach = f"{column.minimum:,.6g} to {column.maximum:,.6g}" if column.kind == "number" else known
        yield column.name, column.kind, column.source_type, "yes" if column.nullable else "no", reach


def _cell(value: object) -> object:
    return "not recorded" if value is None else f"{value:,}" if isinstance(value, int) else value


def quality(dossier: Dossier) -> Iterable[Html]:
    """The measured quality with its bounds, the candidates that competed, and every group of the fairness review."""
    candidate, review, version = dossier.candidate, dossier.review, dossier.version
    yield section(
        "Measured quality",
        paragraph(f"Candidate {candidate.name}. The holdout was not trained on; intervals are those that the record holds."),
        table(
            ("metric", "holdout", "interval", "cross-validation", "its interval"),
            _metrics(dossier),
            numbers=("holdout", "cross-validation"),
            whole=("interval", "its interval"),
        ),
    )
    yield section(
        "Who competed",
        table(
            ("rank", "candidate", version.metric, "interval", "fairness review"),
            [
                (row["rank"], row["name"], number(row["value"]), bounds(_estimate(row)), chip(str(row["verdict"])))
                for row in version.ranking
            ],
            numbers=("rank", version.metric),
            whole=("interval",),
        ),
        listed(version.reasons),
    )
    reasons = listed(review.reasons) if review.reasons else absent("The review gave no reasons.")
    yield section(
        "Fairness review",
        Html(f"<p>{chip(review.verdict)} on {text(review.metric)}, record {code(review.id)}</p>"),
        reasons,
        note(
            "PASS and FAIL are statements about the bounds of a ratio, not about its point value. INCONCLUSIVE means that there "
            "are too few rows to tell. No verdict says that a model is free of bias."
        ),
    )
    if review.groups:
        top = min(2.0, max([1.2, *(group.ratio.high or group.ratio.value or 0.0 for group in review.groups)]))
        scale = f"from 0 to {top:.1f}"
        columns = ("attribute", "group", "rows", "rate", "ratio", "bounds of the ratio", scale, "verdict")
        yield part(
            "Every group that was assessed",
            paragraph(
                "The ratio is the group's rate divided by that of the reference group. The dot is the ratio, the bar its bounds, "
                "the dashed line a ratio of 1: no disparity."
            ),
            table(
                columns,
                [_group(group, top) for group in review.groups],
                numbers=("rows", "rate", "ratio"),
                whole=("bounds of the ratio",),
            ),
        )
    else:
        yield absent("No group was assessed: no column is declared sensitive, or no group is large enough.")


def _metrics(dossier: Dossier) -> Iterable[Sequence[object]]:
    crossed = dossier.candidate.cross_validation
    for name, estimate in dossier.candidate.metrics.items():
        other = crossed.get(name)
        yield (
            name,
            number(estimate.value),
            bounds(estimate),
            "–" if other is None else number(other.value),
            "–" if other is None else bounds(other),
        )


def _estimate(row: object) -> Estimate:
    assert isinstance(row, dict)  # noqa: S101 - rankings are plain JSON objects
    return Estimate(value=row["value"], low=row["low"], high=row["high"])


def _group(group: GroupAssessment, top: float) -> Sequence[object]:
    reference = group.ratio.value == group.ratio.low == group.ratio.high == 1
    needed = f"about {group.rows_needed:,} more rows needed" if group.rows_needed else ""
    return (
        group.attribute,
        group.group,
        f"{group.rows:,}",
        number(group.rate.value),
        number(group.ratio.value),
        "the reference" if reference else bounds(group.ratio),
        interval(group.ratio, 0.0, top, mark=1.0),
        Html(f"{chip(group.verdict)} {text(needed)}"),
    )
