"""Which piece of the evidence speaks to which rule. Read by the index page.

These are readings by engineers, for the people who judge compliance: what a rule asks, in a few words of ours, and where in this
folder they may look. They are no legal advice, they are not complete, and no row says that a rule is met.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["READINGS", "Reading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A rule, what it is about, the pages that speak to it, and what they do not show."""

    rule: str
    article: str
    about: str
    pieces: tuple[str, ...]
    beyond: str


def _reading(rule: str, article: str, about: str, pieces: str, beyond: str) -> Reading:
    return Reading(rule=rule, article=article, about=about, pieces=tuple(pieces.split()), beyond=beyond)


GDPR = "GDPR"
PDPL = "UAE PDPL"
CBUAE = "CBUAE guidance"
ISO27 = "ISO/IEC 27001"
ISO42 = "ISO/IEC 42001"
NIST = "NIST AI RMF"
ACT = "EU AI Act"

READINGS: tuple[Reading, ...] = (
    _reading(GDPR, "5(1)(b), (c)", "purpose limitation, data minimisation", "data-sheet", "whether the purpose is lawful"),
    _reading(GDPR, "5(2)", "accountability", "audit decisions", "acts outside the workbench"),
    _reading(GDPR, "22", "decisions by automated means alone", "decisions model-card", "the human review of single decisions"),
    _reading(GDPR, "25, 32", "protection by design, security", "lineage environment", "the security of the machines"),
    _reading(GDPR, "30", "records of processing", "data-sheet lineage", "the register of the whole organisation"),
    _reading(GDPR, "35", "impact assessment", "quality model-card", "the assessment, which a person writes"),
    _reading(PDPL, "5", "purpose, minimisation, accuracy", "data-sheet", "consent and its withdrawal"),
    _reading(PDPL, "7, 8, 20", "duties of controller and processor, security", "audit environment", "contracts with processors"),
    _reading(PDPL, "22, 23", "transfer abroad", "data-sheet", "where machines and backups stand"),
    _reading(
        CBUAE,
        "model management standards",
        "inventory, validation, ownership",
        "model-card quality lineage",
        "independent validation",
    ),
    _reading(
        CBUAE, "responsible use of AI", "fairness, explanation, oversight", "quality decisions", "reasons in Arabic for customers"
    ),
    _reading(ISO27, "A 5.3, A 5.15", "separation of duties, access control", "decisions audit", "accounts outside the workbench"),
    _reading(ISO27, "A 8.15", "logging", "audit", "the places where heads are kept"),
    _reading(ISO27, "A 8.28, A 8.30", "secure development, supply chain", "environment", "review of each dependency"),
    _reading(ISO27, "A 8.32", "change management", "decisions lineage", "changes to the platform"),
    _reading(ISO42, "A.6", "life cycle of an AI system", "lineage notebooks decisions", "the management system"),
    _reading(ISO42, "A.7", "data for AI systems", "data-sheet", "how the data were collected"),
    _reading(ISO42, "A.8", "information for interested parties", "model-card", "what users were told"),
    _reading(NIST, "GOVERN 1, 2", "policies, roles", "decisions", "training and culture"),
    _reading(NIST, "MAP 1 to 3", "context, capabilities, use", "model-card data-sheet", "impact on people and communities"),
    _reading(NIST, "MEASURE 2", "valid, reliable, fair, documented tests", "quality notebooks", "tests in the field"),
    _reading(NIST, "MANAGE 2, 4", "treatment of risks, monitoring", "decisions", "response to incidents"),
    _reading(ACT, "9", "risk management", "quality decisions", "the risk register"),
    _reading(ACT, "10", "data and data governance", "data-sheet quality", "representativeness for the place of use"),
    _reading(
        ACT,
        "11, 18",
        "technical documentation and its keeping",
        "model-card notebooks environment",
        "Annex IV in full; ten years' keeping",
    ),
    _reading(ACT, "12, 19", "record keeping, logs", "audit lineage", "the logs of the predictions themselves"),
    _reading(ACT, "13", "transparency for deployers", "model-card", "instructions for use"),
    _reading(ACT, "14", "human oversight", "decisions", "the means to stop and to overrule"),
    _reading(ACT, "15", "accuracy, robustness, cybersecurity", "quality environment", "attacks on the model itself"),
)
