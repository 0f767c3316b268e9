"""A notebook file as the trust check reads it: as stored, neither repaired nor upgraded. Read by every rule."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from workbench.errors import NotebookInvalid, did_you_mean

__all__ = ["Cell", "Document", "Output", "read_document", "texts_of", "visible_text"]

Output = Mapping[str, Any]

FORMAT = 4
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
EMBEDDED = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+")
UNREAD = ("application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell; `number` counts all cells from 1, and `id` is empty where the file has none."""

    number: int
    id: str
    kind: str
    source: str
    tags: frozenset[str]
    count: int | None = None
    outputs: tuple[Output, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether a run executes it: code that is neither empty nor tagged skip-execution, which nbclient leaves out."""
        return self.kind == "code" and bool(self.source.strip()) and "skip-execution" not in self.tags

    @property
    def may_raise(self) -> bool:
        """Whether the author expects it to raise, so that a run goes on after it."""
        return "raises-exception" in self.tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole notebook: its file, the file's text, the JSON in it, and the cells."""

    path: Path
    text: str
    content: Mapping[str, Any]
    cells: tuple[Cell, ...]

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The notebook's own metadata."""
        return _mapping(self.content.get("metadata"))

    def section(self, name: str) -> Mapping[str, Any]:
        """One section of the metadata, such as kernelspec; empty where there is none."""
        return _mapping(self.metadata.get(name))

    @property
    def minor(self) -> int:
        """The minor version of format 4."""
        minor = self.content.get("nbformat_minor")
        return minor if isinstance(minor, int) else 0

    @property
    def code(self) -> tuple[Cell, ...]:
        """The code cells, empty ones included."""
        return tuple(cell for cell in self.cells if cell.kind == "code")

    @property
    def language(self) -> str:
        """The language of the cells, in lower case; python where nothing says otherwise."""
        kernel, language = self.section("kernelspec"), self.section("language_info")
        name = str(language.get("name") or kernel.get("language") or "python").lower()
        return "python" if name in ("ipython", "python2", "python3") else name

    @property
    def was_run(self) -> bool:
        """Whether it carries traces of a run: a count or an output."""
        return any(cell.count is not None or cell.outputs for cell in self.code)


def read_document(path: Path) -> Document:
    """Reads a notebook of format 4.

    Raises:
        NotebookInvalid: the file is missing, not JSON, not a notebook, or of an older format.
    """
    hint = "Open it in JupyterLab and save it again."
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
    except FileNotFoundError as error:
        known = [other.name for other in path.parent.glob("*.ipynb")]
        raise NotebookInvalid(f"no notebook {path}", hint=did_you_mean(path.name, known)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise NotebookInvalid(f"{path} is not a notebook: {error}", hint=hint) from error
    if not isinstance(content, dict) or not isinstance(content.get("cells", content.get("worksheets")), list):
        raise NotebookInvalid(f"{path} is not a notebook: it has no list of cells", hint=hint)
    if content.get("nbformat") != FORMAT:
        raise NotebookInvalid(f"{path} has format {content.get('nbformat')!r}, expected {FORMAT}", hint=hint)
    cells = tuple(_cell(number, cell) for number, cell in enumerate(content["cells"], start=1))
    return Document(path=path, text=text, content=content, cells=cells)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """A text, which the format also allows as a list of lines."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _output(given: object) -> Output:
    output = _mapping(given)
    return {**output, "data": _mapping(output["data"])} if "data" in output else output


def _cell(number: int, given: object) -> Cell:
    """A cell as far as it can be read; what breaks the format is told by the rule `invalid-format`."""
    content = _mapping(given)
    count, outputs = content.get("execution_count"), content.get("outputs")
    tags = _mapping(content.get("metadata")).get("tags")
    return Cell(
        number=number,
        id=str(content.get("id") or ""),
        kind=str(content.get("cell_type")),
        source=_text(content.get("source")),
        tags=frozenset(map(str, tags)) if isinstance(tags, list) else frozenset(),
        count=count if isinstance(count, int) and count > 0 else None,
        outputs=tuple(map(_output, outputs)) if isinstance(outputs, list) else (),
    )


class _VisibleText(HTMLParser):
    """Collects what a browser would show as text."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in ("script", "style")
        self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = max(0, self.hidden - (tag in ("script", "style")))
        self.parts.append("\n" if tag in ("tr", "p", "div", "li", "pre") else " ")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


def visible_text(html: str) -> str:
    """The text of an HTML page or fragment without tags, scripts and styles."""
    parser = _VisibleText()
    parser.feed(html)
    parser.close()
    return "".join(parser.parts)


def texts_of(output: Output) -> Iterator[tuple[str, str]]:
    """Each text that a person may read in an output, with its media type; pictures and widget models are left out."""
    if output.get("output_type") == "stream":
        yield "text/plain", ANSI.sub("", _text(output.get("text")))
    elif output.get("output_type") == "error":
        lines = output.get("traceback")
        yield "text/plain", ANSI.sub("", "\n".join(map(str, lines)) if isinstance(lines, list) else str(output.get("evalue")))
    for media, value in _mapping(output.get("data")).items():
        if media.endswith("json") and media not in UNREAD:
            yield media, json.dumps(value, ensure_ascii=False, sort_keys=True)
        elif media == "text/html":
            yield media, visible_text(EMBEDDED.sub("", _text(value)))
        elif media.startswith("text/"):
            yield media, ANSI.sub("", _text(value))
