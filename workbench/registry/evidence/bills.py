"""Bills of materials as CycloneDX 1.6 JSON: of the installed packages, and of the model with its card. Called by `folder`.

Both are validated with the schema that cyclonedx-python-lib ships, before they are written.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from workbench.data.contract import Contract
from workbench.errors import ComponentMissing
from workbench.records import Estimate
from workbench.registry.evidence.dossier import Dossier

__all__ = ["installed", "machine_learning_bill", "pins", "software_bill", "validated"]

NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""RFC 9562's namespace of URLs, from which serial numbers are derived: the same model has the same."""


def installed() -> tuple[Distribution, ...]:
    """The workbench's distribution and all that it needs, as installed here, by name.

    Raises:
        ComponentMissing: the workbench is not installed as a package.
    """
    found: dict[str, Distribution] = {}
    waiting = ["workbench"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError as error:
            if name == "workbench":
                raise ComponentMissing("the workbench is not installed as a package", hint="pip install -e .") from error
            continue  # needed on other platforms or by extras only
        needed = (Requirement(line) for line in found[name].requires or ())
        waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return tuple(found[name] for name in sorted(found))


def pins(distributions: tuple[Distribution, ...]) -> list[tuple[str, str, str]]:
    """Name, version and licence of each."""
    return [(canonicalize_name(one.name), one.version, _licence(one)) for one in distributions]


def _licence(one: Distribution) -> str:
    """What the package says of its licence: an expression, else its classifiers, else the first line of free text."""
    expression = one.metadata.get_all("License-Expression") or []
    if expression:
        return str(expression[0])
    classifiers = one.metadata.get_all("Classifier") or []
    classified = sorted(line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::"))
    stated = "".join(one.metadata.get_all("License") or []).strip().partition("\n")[0]
    return "; ".join(classified) or stated[:80] or "not stated"


def software_bill(dossier: Dossier, distributions: tuple[Distribution, ...]) -> bytes:
    """The installed packages as a bill of materials."""
    components = [_component(one) for one in distributions]
    model = {"type": "application", "bom-ref": "served-model", "name": dossier.bento.tag, "version": dossier.version.id}
    return validated({**_bill("sbom", dossier), "metadata": _metadata(dossier, model), "components": components})


def _component(one: Distribution) -> dict[str, Any]:
    name = canonicalize_name(one.name)
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}@{one.version}",
        "name": name,
        "version": one.version,
        "purl": f"pkg:pypi/{name}@{one.version}",
        "licenses": [{"license": {"name": _licence(one)}}],
    }
    archive = _archive_hash(one)
    if archive is not None:
        component["hashes"] = [{"alg": "SHA-256", "content": archive}]
    record = one.read_text("RECORD")
    if record is not None and name != "workbench":  # an editable installation's names its own folder
        digest = hashlib.sha256(record.encode()).hexdigest()
        component["properties"] = [{"name": "workbench:sha256 of RECORD, which lists every installed file", "value": digest}]
    return component


def _archive_hash(one: Distribution) -> str | None:
    """The sha256 of the archive it was installed from, which pip notes for direct references only (PEP 610)."""
    noted = json.loads(one.read_text("direct_url.json") or "{}").get("archive_info", {})
    found = noted.get("hashes", {}).get("sha256")
    return str(found) if found else None


def machine_learning_bill(dossier: Dossier, contract: Contract) -> bytes:
    """The model as a bill of materials: its files' digest, its card, its data set."""
    bento, dataset = dossier.bento, dossier.dataset
    classification = "sensitive" if dossier.project.dataset.sensitive else "not classified"
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": dossier.project.serving.name,
        "version": dossier.version.id,
        "description": f"Predicts {contract.target}.",
        "hashes": [{"alg": "SHA-256", "content": bento.digest}],
        "modelCard": _card(dossier, contract),
    }
    rows = {
        "type": "data",
        "bom-ref": "dataset",
        "name": dataset.name,
        "version": dataset.id,
        "hashes": [{"alg": "SHA-256", "content": dataset.digest}],
        "data": [
            {
                "type": "dataset",
                "name": dataset.name,
                "description": f"{dataset.rows} rows; purpose: {dataset.purpose}",
                "classification": classification,
                "sensitiveData": list(dossier.project.dataset.sensitive),
                "governance": {"owners": [{"organization": {"name": dataset.owner}}]},
            }
        ],
    }
    return validated({**_bill("ml-bom", dossier), "metadata": _metadata(dossier, model), "components": [rows]})


def _card(dossier: Dossier, contract: Contract) -> dict[str, Any]:
    review = dossier.review
    metrics = [_metric(name, one) for name, one in dossier.candidate.metrics.items()]
    metrics += [_metric(f"{name} (cross-validation)", one) for name, one in dossier.candidate.cross_validation.items()]
    groups = [_metric(review.metric, one.rate, f"{one.attribute} = {one.group}") for one in review.groups]
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "regression" if contract.task == "regression" else "classification",
            "modelArchitecture": dossier.candidate.name,
            "datasets": [{"ref": "dataset"}],
            "inputs": [{"format": f"{column.name}: {column.kind}"} for column in contract.features],
            "outputs": [{"format": f"{contract.target}: {', '.join(contract.classes) or 'number'}"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": [*metrics, *groups]},
        "considerations": {
            "useCases": [dossier.dataset.purpose],
            "ethicalConsiderations": [
                {"name": f"Fairness review on {review.metric}: {review.verdict}. {reason}"} for reason in review.reasons or ("",)
            ],
            "fairnessAssessments": [
                {"groupAtRisk": f"{one.attribute} = {one.group}", "harms": _assessed(one.verdict, one.ratio)}
                for one in review.groups
            ],
        },
    }


def _metric(name: str, one: Estimate, part: str | None = None) -> dict[str, Any]:
    metric: dict[str, Any] = {"type": name, "value": "undefined" if one.value is None else repr(one.value)}
    if part is not None:
        metric["slice"] = part
    if one.low is not None and one.high is not None:
        metric["confidenceInterval"] = {"lowerBound": repr(one.low), "upperBound": repr(one.high)}
    return metric


def _assessed(verdict: str, ratio: Estimate) -> str:
    return f"{verdict}; ratio to the reference group {ratio.value}, bounds {ratio.low} to {ratio.high}"


def _bill(kind: str, dossier: Dossier) -> dict[str, Any]:
    serial = uuid.uuid5(NAMESPACE, f"{kind}:{dossier.bento.digest}:{dossier.bento.id}")
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}", "version": 1}


def _metadata(dossier: Dossier, component: Mapping[str, Any]) -> dict[str, Any]:
    tool = distribution("workbench")
    tools = {"components": [{"type": "application", "name": "workbench", "version": tool.version}]}
    return {"timestamp": dossier.bento.at, "tools": tools, "component": component}


def validated(bill: Mapping[str, Any]) -> bytes:
    """A bill as JSON that the strict schema of CycloneDX 1.6 accepts.

    Raises:
        ValueError: it does not; no bill is better than one that tools refuse.
    """
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    content = json.dumps(bill, indent=1, sort_keys=True, ensure_ascii=True)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(content)
    if problem is not None:
        raise ValueError(f"the bill of materials is not valid CycloneDX 1.6: {problem}")
    return content.encode()
