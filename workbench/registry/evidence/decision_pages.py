"""The evidence's pages about decisions, lineage, environment and audit. Called by `folder`; all from one dossier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workbench.records import Acceptance, Approval, Release
from workbench.registry.evidence.dossier import Attachments, Dossier
from workbench.registry.evidence.manifest import MANIFEST, PUBLIC_KEY, SIGNATURE
from workbench.registry.evidence.markup import (
    Html,
    absent,
    chip,
    code,
    digest,
    facts,
    joined,
    link,
    listed,
    moment,
    note,
    paragraph,
    part,
    section,
    table,
    text,
)

__all__ = ["audit", "decisions", "environment", "lineage"]


def decisions(dossier: Dossier) -> Iterable[Html]:
    """Who accepted, approved, rejected, waived and released what, under which policy; or that nobody did."""
    yield section("Where the model stands", _where(dossier))
    yield section("Acceptance of an inconclusive review", _acceptance(dossier))
    yield section(
        "Approvals and rejections",
        joined(*(_approval(one, dossier) for one in dossier.approvals))
        if dossier.approvals
        else absent("No approval has been given."),
        paragraph("A decision names the digests of the bundle and the policy that it was made on, and counts for no others."),
    )
    waived = [
        (one.gate, one.actor, moment(one.at), moment(one.expires), one.reason, digest(one.bundle)) for one in dossier.waivers
    ]
    yield section(
        "Waivers",
        table(("gate", "by", "at", "until", "reason", "bundle"), waived) if waived else paragraph("No gate has been waived."),
    )
    yield section("Releases", _releases(dossier))
    if dossier.server is None:
        gates = dossier.project.gates
        yield section(
            "The policy",
            paragraph(f"The gates of workbench.toml when this evidence was written; their sha256 is {gates.digest[:12]}…."),
            facts([(POLICY[name], _said(value)) for name, value in gates.model_dump(mode="json").items()]),
        )
    yield section("Deployments and monitoring", _deployments(dossier), _reports(dossier))


POLICY = {
    "metrics": "Bounds on metrics",
    "fairness": "Fairness review",
    "contract": "Rows checked against the data contract",
    "parity": "Served format predicts the same",
    "signature": "Every file signed",
    "oldest_days": "Oldest package, in days",
    "approvals": "Approvals by different people",
    "roles": "Who may approve",
    "approval_days": "Days for which an approval counts",
}
"""The gates' settings in words."""


def _where(dossier: Dossier) -> Html:
    """The stage and each gate, as the control plane saw them when this was written."""
    standing = dossier.standing
    if standing is None:
        return absent("The model is not registered for release.")
    asked = dossier.server or "this project"
    rows = [(chip("passes" if gate.passed else "missed"), gate.gate, gate.reason) for gate in standing.gates]
    newer = standing.bundle.bento != dossier.bento.digest
    return joined(
        facts(
            [
                ("Stage", Html(f"{chip(standing.stage)} of {text(standing.service)}")),
                ("Registered by", standing.author),
                ("sha256 of the bundle", code(standing.bundle_digest)),
                ("sha256 of the policy", code(standing.policy_digest)),
                ("Decided at", asked),
            ]
        ),
        *((absent("The model was packaged again since: what stands here is about the newer package."),) if newer else ()),
        table(("", "gate", "as it stood when this was written"), rows),
        note(
            "The bundle is all that a decision is about: the digests of the model, its signature, data, contract and notebooks, "
            "its numbers and its verdicts. A change of any of them gives another bundle."
        ),
    )


def _releases(dossier: Dossier) -> Html:
    if dossier.releases:
        return joined(*map(_release, dossier.releases))
    return absent("The model has not been released to any stage.")


def _acceptance(dossier: Dossier) -> Html:
    accepted: Acceptance | None = dossier.acceptance
    if accepted is not None:
        when = moment(accepted.at)
        return facts([("By", accepted.actor), ("At", when), ("Reason", accepted.reason), ("Record", code(accepted.id))])
    if dossier.version.state == "chosen":
        return paragraph("None was needed: the review was not inconclusive.")
    return absent("No acceptance has been given.")


def _approval(one: Approval, dossier: Dossier) -> Html:
    standing = dossier.standing
    said = [
        ("At", moment(one.at)),
        ("Counts until", moment(one.expires)),
        ("Comment", one.comment or "none"),
        ("Bundle", _compared(one.bundle, None if standing is None else standing.bundle_digest)),
        ("Policy", _compared(one.policy, None if standing is None else standing.policy_digest)),
    ]
    return part(Html(f"{chip(one.decision)} {text(one.actor)} as {text(one.role)}"), facts(said))


def _compared(named: str, now: str | None) -> Html:
    """The digest that a decision names, and whether it still is the one that counts."""
    said = "" if now is None else ", the one above" if named == now else ", not the one above: this decision no longer counts"
    return Html(f"{code(named)}{said}")


def _release(one: Release) -> Html:
    back = ", rolled back to" if one.rollback else ""
    before = f"It took the place of {one.previous}." if one.previous else "It took no other model's place."
    title = Html(f"{chip(one.stage)} {text(one.service)}, generation {one.generation}{back}")
    return part(title, paragraph(Html(f"By {text(one.actor)}, {moment(one.at)}. {text(before)}")), listed(one.reasons))


def _deployments(dossier: Dossier) -> Html:
    if not dossier.deployments:
        return absent("The model has not been deployed from this project.")
    return table(("deployment", "by", "at"), [(code(one.id), one.actor, moment(one.at)) for one in dossier.deployments])


def _reports(dossier: Dossier) -> Html:
    if not dossier.reports:
        return absent("No monitoring report exists.")
    rows = [
        (code(one.id), moment(one.at), ", ".join(one.drifted) or "none", "; ".join(one.schema) or "none")
        for one in dossier.reports
    ]
    return table(("report", "at", "drifted features", "schema problems"), rows)


def _said(value: object) -> str:
    """A setting of the policy in words."""
    if isinstance(value, bool):
        return "required" if value else "not required"
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_said(inner)}" for name, inner in value.items() if inner is not None) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "not set" if value is None else str(value)


def lineage(attachments: Attachments) -> Iterable[Html]:
    """The trace of the model: what it came from and what it led to."""
    lines = [
        Html(
            f'<div class="line" style="padding-left:{24 * line.depth}px"><b>{text(line.kind)}</b> {code(line.id)} '
            f"<i>{text(line.summary)} · {moment(line.at)}</i></div>"
        )
        for line in attachments.lineage
    ]
    yield section(
        "From the rows to what was served", paragraph("Each line came from the one above it that stands less deep."), *lines
    )
    yield section(
        "Compared when this was written",
        paragraph(f"{len(attachments.checks)} digests and signatures were computed anew; each is what was recorded."),
        table(
            ("what", "record", "sha256"),
            [(what, code(record), digest(found)) for what, record, found in attachments.checks],
            whole=("record",),
        ),
    )


def environment(dossier: Dossier, attachments: Attachments, pins: Sequence[tuple[str, str, str]]) -> Iterable[Html]:
    """The packages that serve the model, those installed where this was written, and the signature."""
    yield section(
        "The code",
        facts(
            [
                ("Revision of the project at packaging", code(dossier.bento.revision)),
                ("Bento", code(dossier.bento.tag)),
                ("Format", dossier.bento.format),
            ]
        ),
        *((absent("The project was under no version control then."),) if dossier.bento.revision == "unversioned" else ()),
    )
    yield section(
        "Signature",
        paragraph(
            "OpenSSF model-signing: one signature over every file of the bento, and within it one over every file of the model."
        ),
        listed(link(f"signature/{name}", name) for name in (*sorted(attachments.signatures), "public-key.pem")),
        paragraph("The same key signed the list of this folder's files. Verify it without the workbench:"),
        paragraph(code(f"openssl dgst -sha256 -verify {PUBLIC_KEY} -signature {SIGNATURE} {MANIFEST}")),
        note(
            "The signature shows that the files are those which the holder of the key signed. That the key is the right one, "
            "this folder cannot show: compare public-key.pem with the key that you were given by another way."
        ),
    )
    yield section(
        "Packages",
        paragraph(
            "What the bento pins is what serves. The bill of materials lists what was installed where this evidence was written."
        ),
        listed(
            [
                link("environment/serving-requirements.txt", "What the bento pins"),
                link("environment/installed.txt", f"The {len(pins)} packages installed where this was written"),
                link("bills/sbom.cdx.json", "Software bill of materials, CycloneDX 1.6"),
                link("bills/ml-bom.cdx.json", "Machine-learning bill of materials with model card, CycloneDX 1.6"),
            ]
        ),
        table(("package", "version", "licence"), pins),
    )


def audit(dossier: Dossier) -> Iterable[Html]:
    """The audit's entries about the model, and the newest entry of the whole chain."""
    head = dossier.head
    yield section(
        "The head of the chain",
        facts([("Entries in all", head.sequence), ("Newest", moment(head.at)), ("Hash", code(head.hash))])
        if head is not None
        else absent("The audit has no entry."),
        note(
            "Each entry's hash covers the entry and the hash before it. These are the entries about this model; whether "
            "the whole chain is unbroken, and agrees with heads kept elsewhere, says workbench audit verify. The chain itself "
            "holds pseudonyms; names are those known when this was written."
        ),
    )
    rows = [
        (
            one.sequence,
            moment(one.at),
            Html(f"{text(dossier.people.get(one.actor, 'erased'))} <small>{text(one.actor)}</small>"),
            one.action,
            code(one.subject),
            digest(one.hash),
        )
        for one in dossier.entries
    ]
    yield section(
        f"{len(rows)} entries about this model",
        table(("entry", "at", "who", "act", "subject", "hash"), rows, numbers=("entry",), whole=("subject", "hash"))
        if rows
        else absent("The audit has no entry about it."),
        paragraph(link("audit/entries.jsonl", "The same entries in full, one JSON object in each line")),
    )
