"""The model card, as a page and as Markdown, with numbers from records only. Called by `folder`.

The sections follow Mitchell et al., "Model Cards for Model Reporting" (2019): details, intended use, factors and metrics,
evaluation and training data, quantitative analyses, caveats.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workbench.data.contract import Contract
from workbench.records import Estimate
from workbench.registry.evidence.dossier import Dossier
from workbench.registry.evidence.markup import Html, absent, chip, code, facts, interval, listed, section, table, text
from workbench.registry.evidence.pages import bounds, number

__all__ = ["card_markdown", "card_page", "headline"]


DIGEST = re.compile("[0-9a-f]{64}")

_PARITY = {
    "rows": "Rows compared",
    "largest_difference": "Largest difference of a probability or value",
    "limit": "Largest that was allowed",
    "label_flips": "Rows with another label",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One section of the card: facts by name, sentences, and what must be said to be absent."""

    title: str
    facts: Sequence[tuple[str, str]] = ()
    sentences: Sequence[str] = ()
    missing: Sequence[str] = ()


def headline(dossier: Dossier) -> str:
    """The model in one line."""
    return f"{dossier.project.serving.name}, version {dossier.version.id}"


def _parts(dossier: Dossier, contract: Contract) -> Iterable[_Part]:
    bento, dataset, version = dossier.bento, dossier.dataset, dossier.version
    live = dossier.stage
    yield _Part(
        title="Details",
        facts=(
            ("Model", dossier.project.serving.name),
            ("Version", version.id),
            ("Learned by", dossier.candidate.name),
            ("Chosen by", f"{version.metric}, among {len(version.ranking)} candidates"),
            ("Packaged", f"{bento.at[:19].replace('T', ' ')} UTC by {bento.actor}, as {bento.format}"),
            ("sha256 of the model's manifest", bento.digest),
            ("sha256 of the signature", bento.signature or "not signed"),
            ("Revision of the code", bento.revision),
        ),
        missing=() if live else ("The model has not been released to any stage.",),
    )
    yield _Part(
        title="Intended use",
        facts=(
            ("Predicts", f"{contract.target} ({contract.task})"),
            ("Positive class", contract.positive or "none"),
            ("Purpose for which the data may be used", dataset.purpose),
            ("Owner of the data", dataset.owner),
        ),
        missing=("The records hold no statement on uses that are out of scope: a person has to give one.",),
    )
    yield _Part(
        title="Data",
        facts=(
            ("Data set", f"{dataset.name}, {dataset.rows:,} rows, zone {dataset.zone}"),
            *((f"Rows for {split}", f"{rows:,}") for split, rows in dossier.prepared.rows.items()),
            ("Features", ", ".join(contract.names)),
            ("Columns declared sensitive", ", ".join(dossier.project.dataset.sensitive) or "none"),
        ),
    )
    proved = bool(bento.parity.get("passed"))
    yield _Part(
        title="What is served",
        facts=(
            ("Served format predicts as the trained model", "proved on the holdout" if proved else "not proved"),
            *(((_PARITY[name], _said(bento.parity[name])) for name in _PARITY if name in bento.parity) if proved else ()),
        ),
        sentences=() if bento.fallback_reason is None else (f"Served as {bento.format}: {bento.fallback_reason}.",),
    )
    yield _Part(
        title="Caveats",
        sentences=(
            "Quality was measured on held-out rows of the same source; on other people, places or times it may be another.",
            "A fairness verdict is a statement about the groups and the metric named here, and about no others.",
        ),
        missing=("The records hold no assessment of the impact on people: that is a person's to write.",),
    )


def _said(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else number(value) if isinstance(value, float) else str(value)


def card_page(dossier: Dossier, contract: Contract) -> Iterable[Html]:
    """The card's body as HTML."""
    review = dossier.review
    for part in _parts(dossier, contract):
        if part.title == "Caveats":
            yield _numbers(dossier)
            yield section(
                "Fairness",
                Html(f"<p>{chip(review.verdict)} on {text(review.metric)}</p>"),
                listed(review.reasons) if review.reasons else absent("The review gave no reasons."),
            )
        yield section(
            part.title,
            *(
                [facts([(name, code(said) if DIGEST.fullmatch(said) else said) for name, said in part.facts])]
                if part.facts
                else []
            ),
            *([listed(part.sentences)] if part.sentences else []),
            *map(absent, part.missing),
        )


def _numbers(dossier: Dossier) -> Html:
    rows = [(name, number(one.value), bounds(one), _drawn(one)) for name, one in dossier.candidate.metrics.items()]
    columns = ("metric", "value", "interval", "drawn from 0 to 1")
    return section("Quality on the holdout", table(columns, rows, numbers=("value",), whole=("interval",)))


def _drawn(one: Estimate) -> Html:
    """A picture of an estimate that lies between 0 and 1; others have no scale of their own."""
    ends = [value for value in (one.low, one.value, one.high) if value is not None]
    return interval(one, 0.0, 1.0) if all(0 <= value <= 1 for value in ends) else Html("")


def card_markdown(dossier: Dossier, contract: Contract) -> bytes:
    """The card as Markdown (CommonMark with tables); text from outside can be neither markup nor HTML in it."""
    review = dossier.review
    lines = [f"# Model card: {_plain(headline(dossier))}", ""]
    for part in _parts(dossier, contract):
        if part.title == "Caveats":
            lines += ["## Quality on the holdout", "", "| metric | value | interval |", "| --- | ---: | --- |"]
            lines += [
                f"| {_plain(name)} | {number(one.value)} | {bounds(one)} |" for name, one in dossier.candidate.metrics.items()
            ]
            lines += ["", "## Fairness", "", f"{review.verdict} on {_plain(review.metric)}.", ""]
            lines += [*(f"- {_plain(reason)}" for reason in review.reasons), ""]
        lines += [f"## {part.title}", ""]
        lines += [*(f"- **{_plain(name)}**: {_plain(value)}" for name, value in part.facts)]
        lines += [*(f"- {_plain(sentence)}" for sentence in part.sentences)]
        lines += [*(f"- *{_plain(sentence)}*" for sentence in part.missing), ""]
    return "\n".join(lines).encode()


def _plain(value: str) -> str:
    escaped = html.escape(" ".join(value.split()), quote=False)
    return re.sub(r"([\\`*_\[\]#|!~<>])", r"\\\1", escaped)
