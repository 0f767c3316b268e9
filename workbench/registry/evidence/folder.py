"""Puts the evidence together: every file's bytes, then the folder, its manifest and the zip. Called by orchestration."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from workbench.data.contract import Contract
from workbench.errors import BadInput
from workbench.execution.rendering import notebook_page
from workbench.registry.evidence import decision_pages, pages
from workbench.registry.evidence.bills import installed, machine_learning_bill, pins, software_bill
from workbench.registry.evidence.card import card_markdown, card_page, headline
from workbench.registry.evidence.dossier import Attachments, Dossier
from workbench.registry.evidence.manifest import MANIFEST, PUBLIC_KEY, SIGNATURE, manifest_of, zipped
from workbench.registry.evidence.markup import Html, absent, chip, code, facts, link, note, page, paragraph, section, table, text
from workbench.registry.evidence.regulations import READINGS
from workbench.store import Objects

__all__ = ["Written", "evidence_files", "write_files"]

PAGES = (
    ("index.html", "Overview"),
    ("model-card.html", "Model card"),
    ("data-sheet.html", "Data sheet"),
    ("quality.html", "Quality and fairness"),
    ("decisions.html", "Decisions"),
    ("lineage.html", "Lineage"),
    ("environment.html", "Environment"),
    ("audit.html", "Audit"),
)
ABOUT = {
    "model-card.html": "What the model is, for what, how good, and its caveats",
    "data-sheet.html": "The rows, their owner and purpose, columns, contract, split",
    "quality.html": "Metrics with bounds, who competed, every assessed group",
    "decisions.html": "Approvals, waivers, releases, and the policy they name",
    "lineage.html": "From the rows to what was served, compared anew",
    "environment.html": "Packages, licences, bills of materials, the signature",
    "audit.html": "Who did what to this model, in the chained log",
}


BACK = '<p style="padding: 0 0 12px 0"><a href="../index.html">← Overview of the evidence</a></p>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Where the evidence is, how many files it holds, and the sha256 of its manifest."""

    folder: Path
    archive: Path
    files: int
    digest: str


def evidence_files(dossier: Dossier, attachments: Attachments, objects: Objects) -> dict[str, bytes]:
    """Every file of the evidence but its manifest; the same records and packages give the same bytes.

    Raises:
        NotFound: an object that a record names is gone.
    """
    contract = msgspec.json.decode(objects.path(dossier.prepared.saved["contract"].digest).read_bytes(), type=Contract)
    distributions = installed()
    listed = pins(distributions)
    bodies: dict[str, Iterable[Html]] = {
        "index.html": _index(dossier, attachments),
        "model-card.html": card_page(dossier, contract),
        "data-sheet.html": pages.data_sheet(dossier, contract),
        "quality.html": pages.quality(dossier),
        "decisions.html": decision_pages.decisions(dossier),
        "lineage.html": decision_pages.lineage(attachments),
        "environment.html": decision_pages.environment(dossier, attachments, listed),
        "audit.html": decision_pages.audit(dossier),
    }
    titles = dict(PAGES)
    files = {
        name: page(f"{titles[name]}: {dossier.project.serving.name}", headline(dossier), body, here=name, pages=PAGES)
        for name, body in bodies.items()
    }
    for name, notebook in dossier.notebooks.items():
        executed = notebook_page(objects.path(notebook.executed).read_text(encoding="utf-8"))
        files[f"notebooks/{name}.html"] = executed.replace("<main>", f"<main>{BACK}", 1).encode()
    files |= {
        "model-card.md": card_markdown(dossier, contract),
        "records.json": _records(dossier),
        "audit/entries.jsonl": "".join(f"{json.dumps(asdict(entry), sort_keys=True)}\n" for entry in dossier.entries).encode(),
        "audit/head.json": json.dumps(dossier.head and asdict(dossier.head), indent=1, sort_keys=True).encode(),
        "environment/installed.txt": "".join(f"{name}=={version}\n" for name, version, _ in listed).encode(),
        "environment/serving-requirements.txt": attachments.requirements.encode(),
        "bills/sbom.cdx.json": software_bill(dossier, distributions),
        "bills/ml-bom.cdx.json": machine_learning_bill(dossier, contract),
        PUBLIC_KEY: attachments.public_key,
        **{f"signature/{name}": content for name, content in attachments.signatures.items()},
    }
    return {name: _without(content, attachments.private) for name, content in sorted(files.items())}


def _without(content: bytes, private: tuple[str, ...]) -> bytes:
    """The content without texts that tell of the machine, such as the project's folder."""
    for name in sorted((name for name in private if name.strip("/")), key=len, reverse=True):
        content = content.replace(name.encode(), b"(local)")
    return content


def _records(dossier: Dossier) -> bytes:
    listed = [{"kind": record.kind, **msgspec.to_builtins(record)} for record in dossier.chain]
    return json.dumps(listed, indent=1, sort_keys=True, allow_nan=False).encode()


def _index(dossier: Dossier, attachments: Attachments) -> Iterable[Html]:
    bento, review = dossier.bento, dossier.review
    given = len([one for one in dossier.approvals if one.decision == "approve"])
    asked = "" if dossier.server else f"; the policy asks for {dossier.project.gates.approvals}"
    yield section(
        "At a glance",
        facts(
            [
                ("Model", headline(dossier)),
                ("Data", f"{dossier.dataset.name}, {dossier.dataset.rows:,} rows, owned by {dossier.dataset.owner}"),
                ("Fairness review", Html(f"{chip(review.verdict)} on {text(review.metric)}")),
                ("Approvals", f"{given or 'no approval has been'} given{asked}"),
                ("Stage", chip(dossier.stage) if dossier.stage else "not released"),
                ("sha256 of the model's manifest", code(bento.digest)),
                ("Compared anew", f"{len(attachments.checks)} digests and signatures, each as recorded"),
            ]
        ),
        note(
            Html(
                "This folder is evidence: what was done, measured and decided, as it was recorded. People certify; this folder "
                "does not. Before you rely on it, run <code>workbench verify FOLDER</code>, and compare the digest that it "
                "prints with the one that you were told by another way."
            )
        ),
    )
    cards = "".join(
        f'<a class="card" href="{name}"><b>{text(title)}</b><span>{text(ABOUT[name])}</span></a>' for name, title in PAGES[1:]
    )
    yield section("The pages", Html(f'<div class="cards">{cards}</div>'))
    runs = [
        (link(f"notebooks/{name}.html", name), run.name, f"{run.seconds:.1f} s", code(run.executed))
        for name, run in dossier.notebooks.items()
    ]
    yield section(
        "The executed notebooks",
        paragraph("As they ran, with what they put out; scripts are taken out."),
        table(("page", "notebook", "took", "sha256"), runs, numbers=("took",)),
    )
    yield section(
        "Where to look for which rule",
        absent(
            "These are readings by engineers, to help those who judge. They are no legal advice, they are not complete, and no "
            "row says that a rule is met."
        ),
        table(("rule", "article", "is about", "look at", "not shown here"), _readings()),
    )
    yield section(
        "For programs",
        paragraph(
            Html(
                f"{link('records.json', 'records.json')}, {link('model-card.md', 'model-card.md')}, "
                f"{link('bills/sbom.cdx.json', 'sbom.cdx.json')}, {link('bills/ml-bom.cdx.json', 'ml-bom.cdx.json')}, "
                f"{link('audit/entries.jsonl', 'entries.jsonl')}, {link(MANIFEST, MANIFEST)}"
            )
        ),
    )


def _readings() -> Iterable[tuple[object, ...]]:
    titles = {name.removesuffix(".html"): title for name, title in PAGES}
    for one in READINGS:
        places = [
            link(f"{piece}.html", titles[piece]) if piece in titles else link("index.html", "Notebooks") for piece in one.pieces
        ]
        yield one.rule, one.article, one.about, Html(", ".join(places)), one.beyond


def write_files(files: Mapping[str, bytes], output: Path, *, sign: Callable[[bytes], bytes]) -> Written:
    """Writes the files, their signed manifest, and the same as a zip beside the folder; evidence that lay there is replaced.

    Args:
        files: all but the manifest and its signature.
        output: the folder.
        sign: signs the manifest's bytes with the key of which `files` hold the public half.

    Raises:
        BadInput: the folder holds something else, or cannot be written.
    """
    manifest = manifest_of(files)
    whole = {**files, MANIFEST: manifest, SIGNATURE: sign(manifest)}
    archive = output.with_name(f"{output.name}.zip")
    try:
        if output.exists() and any(output.iterdir()) and not (output / MANIFEST).is_file():
            raise BadInput(f"{output} holds something else", hint="Name another folder: --output FOLDER")
        shutil.rmtree(output, ignore_errors=True)
        for name, content in whole.items():
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_bytes(content)
        archive.write_bytes(zipped(whole))
    except OSError as error:
        raise BadInput(f"{output} cannot be written: {error.strerror}", hint="Name another folder: --output FOLDER") from error
    return Written(folder=output, archive=archive, files=len(files), digest=hashlib.sha256(manifest).hexdigest())
