"""Every number of a model card is that of a record, place by place, and none is there without a record."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from workbench.orchestration.evidence import write_evidence

from .conftest import Packaged

NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?!\w)")
LABELLED = re.compile(r"- \*\*(?P<label>.+?)\*\*: (?P<said>.*)")
METRIC = re.compile(r"\| (?P<label>\w+) \| (?P<said>.*) \|")


@pytest.fixture(scope="module")
def evidence(packaged: Packaged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("card") / "evidence"
    return write_evidence(packaged.model.id, packaged.layout, packaged.control, output=output).folder


def records(evidence: Path) -> dict[str, dict[str, Any]]:
    return {record["kind"]: record for record in json.loads((evidence / "records.json").read_text())}


def sources(evidence: Path) -> dict[str, list[object]]:
    """What each labelled place of the card has to show, straight from the records: texts as they are, numbers rounded."""
    of = records(evidence)
    dataset, bento, model = of["dataset"], of["bento"], of["model"]
    parity = {
        "Rows compared": "rows",
        "Largest difference of a probability or value": "largest_difference",
        "Largest that was allowed": "limit",
        "Rows with another label": "label_flips",
    }
    return {
        "Version": [model["id"]],
        "Learned by": [of["candidate"]["name"]],
        "Chosen by": [model["metric"], len(model["ranking"])],
        "Packaged": [bento["at"][:10], bento["at"][11:19], bento["actor"], bento["format"]],
        "sha256 of the model's manifest": [bento["digest"]],
        "sha256 of the signature": [bento["signature"]],
        "Revision of the code": [bento["revision"]],
        "Data set": [dataset["name"], dataset["zone"], dataset["rows"]],
        **{f"Rows for {split}": [rows] for split, rows in of["prepared"]["rows"].items()},
        **{label: [bento["parity"][name]] for label, name in parity.items() if name in bento["parity"]},
        **{
            name: [one[end] for end in ("value", "low", "high") if one[end] is not None]
            for name, one in of["candidate"]["metrics"].items()
        },
    }


def lines(card: str) -> Iterator[str]:
    for line in card.splitlines():
        yield html.unescape(re.sub(r"\\([\\`*_\[\]#|!~<>])", r"\1", line))


def shows(said: str, expected: list[object]) -> bool:
    """Whether a text shows each of these in its order, the numbers to their last digit, and no other number."""
    for text in (one for one in expected if isinstance(one, str)):
        if text not in said:
            return False
        said = said.replace(text, "", 1)
    numbers = [Decimal(str(one)) for one in expected if not isinstance(one, str)]
    tokens = [Decimal(token.replace(",", "")) for token in NUMBER.findall(said)]
    return len(tokens) == len(numbers) and all(
        abs(token - number) <= Decimal(1).scaleb(int(token.as_tuple().exponent)) / 2 and (number == 0) == (token == 0)
        for token, number in zip(tokens, numbers, strict=True)
    )


def unsourced(card: str, evidence: Path) -> list[str]:
    """The lines of a card with a number that is not that of the record at its place."""
    told, of = sources(evidence), records(evidence)
    sentences = {f"- {' '.join(reason.split())}" for reason in of["review"]["reasons"]}
    found = []
    for line in lines(card):
        labelled = LABELLED.fullmatch(line) or METRIC.fullmatch(line)
        if line.startswith("# "):
            right = shows(line, [of["model"]["id"]])
        elif labelled:
            right = shows(labelled["said"], told.get(labelled["label"], []))
        else:
            right = line in sentences or not NUMBER.search(line)
        found += [] if right else [line]
    return found


def test_every_number_of_the_card_is_that_of_its_record(evidence: Path) -> None:
    card = (evidence / "model-card.md").read_text()
    assert unsourced(card, evidence) == []
    assert len(NUMBER.findall(card)) > 10


def test_a_digit_that_differs_from_its_record_is_found_wherever_it_stands(evidence: Path) -> None:
    card = (evidence / "model-card.md").read_text()
    for place in NUMBER.finditer(card):
        for at in (place.start(), place.end() - 1):
            changed = card[:at] + str((int(card[at]) + 5) % 10 if card[at].isdigit() else 9) + card[at + 1 :]
            assert unsourced(changed, evidence), f"{place[0]} in {changed[max(0, at - 60) : at + 20]!r}"
    assert unsourced(f"{card}\n- Also 97 % of all people agree.\n", evidence) == ["- Also 97 % of all people agree."]


def test_the_page_shows_the_numbers_of_the_card_and_draws_them_where_they_are(evidence: Path) -> None:
    main = (evidence / "model-card.html").read_text().split('<main class="wrap">')[1].split("</main>")[0]
    pictures = re.findall(r"<svg.*?</svg>", main, re.DOTALL)
    words = html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<svg.*?</svg>", " ", main, flags=re.DOTALL)))
    words = words.replace("drawn from 0 to 1", "", 1)
    card = [line for line in lines((evidence / "model-card.md").read_text()) if not line.startswith("# ")]
    assert Counter(NUMBER.findall(words)) == Counter(NUMBER.findall("\n".join(card)))
    metrics = records(evidence)["candidate"]["metrics"]
    shown = [name for name in re.findall(r"^\| (\w+) \|", "\n".join(card), re.MULTILINE) if name in metrics]
    assert sorted(shown) == sorted(metrics)
    ends = ("value", "low", "high")
    scaled = [
        metrics[name] for name in shown if all(0 <= metrics[name][end] <= 1 for end in ends if metrics[name][end] is not None)
    ]
    centres = [float(found) for picture in pictures for found in re.findall(r'<circle cx="([\d.]+)"', picture)]
    assert centres == pytest.approx([6 + 168 * one["value"] for one in scaled], abs=0.06)
