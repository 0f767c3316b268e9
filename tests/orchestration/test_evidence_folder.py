"""The evidence of a model: self-contained, deterministic, harmless, plain about what is absent, and open offline in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from workbench.errors import BadInput, NotFound, Tampered
from workbench.governance.model_key import model_key, public_key_of, sign, trusted_key
from workbench.orchestration.evidence import verify_written, write_evidence
from workbench.records import Approval, Release, Waiver, new_id
from workbench.registry.evidence import Written, verify_evidence, write_files
from workbench.registry.evidence.markup import POLICY
from workbench.registry.evidence.regulations import READINGS
from workbench.settings import Layout

from .conftest import HOSTILE, Packaged
from .test_verifying import flipped

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PAGES = ("index", "model-card", "data-sheet", "quality", "decisions", "lineage", "environment", "audit")


@pytest.fixture(scope="module")
def bare(packaged: Packaged, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The evidence of a model on which nobody has decided anything."""
    output = tmp_path_factory.mktemp("bare") / "evidence"
    return write_evidence(packaged.model.id, packaged.layout, packaged.control, output=output)


@pytest.fixture(scope="module")
def decided(bare: Written, packaged: Packaged, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The evidence once it was approved, waived and released, with hostile words."""
    common = {"parent": packaged.bento.id, "model": packaged.model.id, "zone": "local", "revision": "abc123"}
    digests = {"bundle": "a" * 64, "policy": "b" * 64}
    until = "2027-06-01T00:00:00+00:00"
    packaged.control.add(
        Approval(
            id=new_id("approval"),
            actor=f"bea {HOSTILE}",
            decision="approve",
            role="approver",
            comment=HOSTILE,
            expires=until,
            **common,
            **digests,
        )
    )
    packaged.control.add(
        Waiver(id=new_id("waiver"), actor="bea", gate="fairness", reason=HOSTILE, expires=until, **common, **digests)
    )
    packaged.control.add(
        Release(
            id=new_id("release"),
            actor="bea",
            service="people",
            stage="production",
            generation=1,
            reasons=(HOSTILE,),
            **common,
            **digests,
        )
    )
    output = tmp_path_factory.mktemp("decided") / "evidence"
    return write_evidence(packaged.model.id, packaged.layout, packaged.control, output=output)


def pages(written: Written) -> Iterator[Path]:
    yield from sorted(written.folder.rglob("*.html"))


class Markup(HTMLParser):
    """What a browser would make of a page: its elements and their attributes."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def said(written: Written, page: str) -> str:
    return (written.folder / f"{page}.html").read_text(encoding="utf-8")


def test_every_piece_is_there(decided: Written) -> None:
    found = {path.relative_to(decided.folder).as_posix() for path in decided.folder.rglob("*") if path.is_file()}
    assert found == {
        *(f"{page}.html" for page in PAGES),
        *(f"notebooks/{name}.html" for name in ("1-prepare", "2-train", "3-review", "4-choose")),
        *("model-card.md", "records.json", "manifest.json", "manifest.sig", "audit/entries.jsonl", "audit/head.json"),
        *("environment/installed.txt", "environment/serving-requirements.txt", "bills/sbom.cdx.json", "bills/ml-bom.cdx.json"),
        *("signature/public-key.pem", "signature/model.sig.json", "signature/bento.sig.json"),
    }
    assert decided.files == len(found) - 2, "the manifest and its signature list the others"


def test_every_link_leads_to_a_file_of_the_folder(decided: Written) -> None:
    for page in pages(decided):
        for name, value in Markup(page).attributes:
            if name == "href" and not value.startswith(("#", "data:")):
                assert (page.parent / value).is_file(), f"{page.name}: {value}"


def test_numbers_are_those_of_the_records(decided: Written, packaged: Packaged) -> None:
    for text in (said(decided, "model-card"), said(decided, "quality"), (decided.folder / "model-card.md").read_text()):
        assert "0.71" in text
        assert "0.6500 to 0.7700" in text
        assert "0.6812" in text  # four digits of 0.6812345
        assert "no interval" in text
    assert packaged.bento.digest in said(decided, "model-card")
    assert "0.8500 to 1.020" in said(decided, "quality")


def test_what_is_absent_is_said(bare: Written) -> None:
    assert "No approval has been given." in said(bare, "decisions")
    assert "The model has not been released to any stage." in said(bare, "decisions")
    assert "The model has not been deployed from this project." in said(bare, "decisions")
    assert "no approval has been given" in said(bare, "index")
    assert "a person&#x27;s to write" in said(bare, "model-card") or "a person's to write" in said(bare, "model-card")


def test_what_was_decided_is_shown(decided: Written) -> None:
    text = said(decided, "decisions")
    assert "No approval has been given." not in text
    assert ("a" * 64 in text, "b" * 64 in text, "generation 1" in text) == (True, True, True)
    assert "approved by" in said(decided, "lineage")


def test_hostile_text_is_shown_and_harmless(decided: Written) -> None:
    for page in pages(decided):
        markup = Markup(page)
        assert not {"script", "iframe", "object", "embed", "form", "base", "link"} - {"link"} & set(markup.tags), page
        assert not [name for name, _ in markup.attributes if name.startswith("on")], page
        sources = [value for name, value in markup.attributes if name in ("src", "srcset", "action", "data", "poster")]
        assert all(value.startswith("data:") for value in sources), page
        links = [value for name, value in markup.attributes if name == "href"]
        assert not [value for value in links if re.match(r"\s*(https?:|//|javascript:)", value)], page
    assert "&lt;script&gt;document.title=" in said(decided, "decisions")
    assert HOSTILE.partition(" [")[0] not in (decided.folder / "model-card.md").read_text()


def test_every_page_forbids_requests(decided: Written) -> None:
    for page in pages(decided):
        policy = re.search(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"', page.read_text(encoding="utf-8"))
        assert policy, page
        assert policy[1].startswith("default-src 'none'"), page
    assert POLICY in said(decided, "index")


def test_every_page_opens_in_a_browser_without_any_request_or_script(decided: Written, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    asked: list[str] = []
    complaints: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(offline=True)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        opened = list(pages(decided))
        for path in opened:
            page.goto(path.as_uri())
            assert page.title() != "taken", path
            assert len(page.inner_text("body")) > 10, path
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{path} is wider than the window"
        browser.close()
    assert len(opened) == 12
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert [url for url in asked if url.startswith("file:") and not url.endswith(".html")] == []
    assert complaints == []


def test_both_bills_of_materials_are_valid_and_speak_of_this_model(decided: Written, packaged: Packaged) -> None:
    bills = {path.name: path.read_text() for path in (decided.folder / "bills").iterdir()}
    for content in bills.values():
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(content) is None
    packages = {one["name"] for one in json.loads(bills["sbom.cdx.json"])["components"]}
    assert {"bentoml", "scikit-learn", "onnxruntime", "model-signing"} <= packages
    model = json.loads(bills["ml-bom.cdx.json"])
    assert model["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": packaged.bento.digest}]
    metrics = model["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {"type": "roc_auc", "value": "0.71", "confidenceInterval": {"lowerBound": "0.65", "upperBound": "0.77"}} in metrics
    assert model["components"][0]["data"][0]["sensitiveData"] == ["group"]


def test_nothing_tells_of_the_machine_and_no_secret_is_there(decided: Written, packaged: Packaged) -> None:
    private = (packaged.layout.keys / "models.pem").read_text().splitlines()[1]
    canaries = [str(packaged.layout.root), str(Path.home()), os.environ["BENTOML_HOME"], sys.prefix, private, "PRIVATE KEY"]
    for path in [*decided.folder.rglob("*"), decided.archive]:
        if path.is_file():
            content = path.read_bytes()
            assert [canary for canary in canaries if canary != "/" and canary.encode() in content] == [], path


def test_the_same_records_give_the_same_bytes(decided: Written, packaged: Packaged, tmp_path: Path) -> None:
    again = write_evidence(packaged.bento.tag, packaged.layout, packaged.control, output=tmp_path / "again")
    assert again.digest == decided.digest
    assert again.archive.read_bytes() == decided.archive.read_bytes()


def test_the_zip_holds_what_the_folder_holds(decided: Written) -> None:
    with zipfile.ZipFile(decided.archive) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            assert archive.read(name) == (decided.folder / name).read_bytes()
    found = verify_evidence(decided.folder)
    assert (found.files, found.digest, found.trusted) == (decided.files, decided.digest, False)
    assert verify_evidence(decided.archive) == found


def test_a_flipped_byte_in_any_file_of_the_evidence_is_found(decided: Written) -> None:
    for path in [path for path in decided.folder.rglob("*") if path.is_file()]:
        with flipped(path), pytest.raises(Tampered) as refused:
            verify_evidence(decided.folder)
        assert path.name in "\n".join([refused.value.message, *refused.value.problems])


def test_a_flipped_byte_anywhere_in_the_zip_is_found(decided: Written, tmp_path: Path) -> None:
    content = decided.archive.read_bytes()
    copy = tmp_path / "copy.zip"
    step = len(content) // 150
    for place in (*range(0, len(content), step), *range(len(content) - 60, len(content))):
        copy.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        with pytest.raises(Tampered):
            verify_evidence(copy)
    for cut in (1, 22, len(content) // 2):
        copy.write_bytes(content[:-cut])
        with pytest.raises(Tampered):
            verify_evidence(copy)


def test_a_zip_that_programs_may_read_in_two_ways_is_refused_though_its_files_are_right(decided: Written, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden.zip"
    with zipfile.ZipFile(hidden, "w") as archive:
        archive.writestr("index.html", "what a program shows that reads from the front")
    hidden.write_bytes(hidden.read_bytes()[:-22] + decided.archive.read_bytes())  # zipfile reads from the end
    with zipfile.ZipFile(hidden) as archive:
        assert archive.read("index.html") == (decided.folder / "index.html").read_bytes()
    with pytest.raises(Tampered, match="packed anew"):
        verify_evidence(hidden)


def test_every_file_of_the_evidence_that_was_added_removed_renamed_or_linked_is_named(decided: Written, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(decided.folder, copy)
    (copy / "more.html").write_text("more")
    with pytest.raises(Tampered, match=r"more\.html was added"):
        verify_evidence(copy)
    (copy / "more.html").unlink()
    (copy / "audit.html").rename(copy / "audits.html")
    with pytest.raises(Tampered) as refused:
        verify_evidence(copy)
    assert refused.value.message.endswith("audit.html is missing")
    assert refused.value.problems == ("audits.html was added",)
    (copy / "audits.html").rename(tmp_path / "away.html")
    (copy / "audit.html").symlink_to(tmp_path / "away.html")
    with pytest.raises(Tampered, match=r"audit\.html is not a plain file"):
        verify_evidence(copy)
    (copy / "audit.html").unlink()
    (tmp_path / "away.html").rename(copy / "audit.html")
    for name in ("manifest.json", "manifest.sig", "signature/public-key.pem"):
        (copy / name).rename(tmp_path / "away")
        with pytest.raises(Tampered, match=f"{re.escape(name)} is missing"):
            verify_evidence(copy)
        (tmp_path / "away").rename(copy / name)
    assert verify_evidence(copy).digest == decided.digest
    doubled = tmp_path / "doubled.zip"
    shutil.copyfile(decided.archive, doubled)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(doubled, "a") as archive:
        archive.writestr("audit.html", "another")
    with pytest.raises(Tampered, match=r"audit\.html is there twice"):
        verify_evidence(doubled)


def test_evidence_that_was_listed_and_signed_anew_is_not_by_the_trusted_key(
    decided: Written, packaged: Packaged, tmp_path: Path
) -> None:
    files = {
        path.relative_to(decided.folder).as_posix(): path.read_bytes() for path in decided.folder.rglob("*.*") if path.is_file()
    }
    files = {name: content for name, content in files.items() if not name.startswith("manifest.")}
    forger = model_key(Layout(root=tmp_path))
    files |= {"index.html": b"better numbers", "signature/public-key.pem": public_key_of(forger)}
    forged = write_files(files, tmp_path / "forged", sign=lambda content: sign(content, forger))
    assert not verify_evidence(forged.folder).trusted, "it is of a piece, but nobody vouches for its key"
    with pytest.raises(Tampered, match="by the trusted key"):
        verify_evidence(forged.folder, key=trusted_key(packaged.layout))
    assert verify_evidence(decided.folder, key=trusted_key(packaged.layout)).trusted


def test_openssl_alone_verifies_the_signature_of_the_evidence(decided: Written) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = "openssl dgst -sha256 -verify signature/public-key.pem -signature manifest.sig manifest.json"
    done = subprocess.run(command.split(), cwd=decided.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "Verified OK")


def test_what_is_no_evidence_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(Tampered, match="a damaged zip"):
        verify_evidence(tmp_path / "text.zip")
    (tmp_path / "text.zip").rename(tmp_path / "text")
    with pytest.raises(BadInput, match="neither a folder nor a zip"):
        verify_evidence(tmp_path / "text")
    (tmp_path / "text").unlink()
    with pytest.raises(BadInput, match=r"has no manifest\.json"):
        verify_evidence(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(Tampered) as refused:
        verify_evidence(tmp_path)
    assert "manifest.json cannot be read" in refused.value.problems


def test_evidence_is_not_written_over_something_else(packaged: Packaged, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="holds something else"):
        write_evidence(packaged.model.id, packaged.layout, packaged.control, output=tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_there_is_no_evidence_of_a_model_that_is_not_what_was_recorded(packaged: Packaged, tmp_path: Path) -> None:
    with flipped(packaged.objects.path(packaged.model.notebook.executed)), pytest.raises(Tampered):
        write_evidence(packaged.model.id, packaged.layout, packaged.control, output=tmp_path / "evidence")
    assert not (tmp_path / "evidence").exists()
    with pytest.raises(NotFound):
        write_evidence("model-nobody", packaged.layout, packaged.control, output=tmp_path / "evidence")


def test_the_index_claims_evidence_and_no_compliance(decided: Written) -> None:
    text = re.sub(r"<[^>]+>", " ", said(decided, "index"))
    assert {reading.rule for reading in READINGS} == {
        *("GDPR", "UAE PDPL", "CBUAE guidance", "ISO/IEC 27001", "ISO/IEC 42001", "NIST AI RMF", "EU AI Act")
    }
    assert all(reading.about in text and reading.beyond in text for reading in READINGS)
    assert "no legal advice" in text
    assert not re.search(r"\b(compliant|complies|certified|guarantee[sd]?|unbiased)\b", text, re.IGNORECASE)


def test_the_commands_write_and_verify_it(packaged: Packaged, tmp_path: Path) -> None:
    def workbench(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "workbench", *arguments, "--json"]
        return subprocess.run(command, cwd=packaged.layout.root, capture_output=True, text=True, check=False)

    written = workbench("evidence", packaged.model.id, "--output", str(tmp_path / "out"))
    assert written.returncode == 0, written.stdout + written.stderr
    digest = json.loads(written.stdout)["manifest"]
    for place in ("out", "out.zip"):
        verified = workbench("verify", str(tmp_path / place))
        assert (verified.returncode, json.loads(verified.stdout)["manifest"]) == (0, digest)
        assert json.loads(verified.stdout)["trusted"], "the project's own key signed it"
    (tmp_path / "out" / "index.html").write_text("another page")
    assert workbench("verify", str(tmp_path / "out")).returncode == 9


def test_evidence_is_verified_far_from_any_project(
    decided: Written, packaged: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not verify_written(decided.archive).trusted
    (tmp_path / "key.pem").write_bytes(trusted_key(packaged.layout))
    monkeypatch.setenv("WORKBENCH_TRUSTED_KEY", str(tmp_path / "key.pem"))
    assert verify_written(decided.archive).trusted
    (tmp_path / "key.pem").write_bytes(public_key_of(model_key(Layout(root=tmp_path))))
    with pytest.raises(Tampered, match="by the trusted key"):
        verify_written(decided.archive)
