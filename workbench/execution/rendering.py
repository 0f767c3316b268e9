"""An executed notebook as one HTML page that fetches nothing: for flow cards, evidence and `workbench runs`.

nbconvert is imported, and its templates are compiled, with the first page of a process, or by `load_renderer`.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from workbench.execution.lazy_grammar import defer_iri_grammar
from workbench.store.objects import replace_file

__all__ = ["load_renderer", "notebook_page", "page_beside"]

POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:\">"
)

BLOCKS = "blockquote br div h1 h2 h3 h4 h5 h6 hr img li ol p pre table caption tbody td tfoot th thead tr ul"
PHRASES = "a b code em i small span strong sub sup"
STYLES = "color font-weight text-align vertical-align white-space"
ATTRIBUTES = {"class", "id", "title", "style", "alt", "colspan", "rowspan", "data-mime-type"}


def _allowed(tag: str, attribute: str, value: str) -> bool:
    """Whether an attribute may stay: links lead within the page, and pictures are part of it."""
    if attribute == "href":
        return tag == "a" and value.startswith("#")
    if attribute == "src":
        return tag == "img" and value.startswith("data:image/")
    return attribute in ATTRIBUTES


UNSEEN = re.compile(r"<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
HEAD_SCRIPTS = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)


def load_renderer() -> None:
    """Imports nbconvert and compiles its templates: for a process whose forks then render in 0.1 s, not 0.7."""
    defer_iri_grammar()
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    outputs = [
        new_output("stream", text="text"),
        new_output("display_data", {"text/html": "<p>text</p>", "image/png": "", "text/plain": "text"}),
        new_output("error", ename="Error", evalue="text", traceback=["text"]),
    ]
    cells = [new_markdown_cell("# text"), new_code_cell("import this", outputs=outputs)]
    notebook_page(nbformat.writes(new_notebook(cells=cells)))


def page_beside(executed: Path) -> Path:
    """The page of an executed notebook, kept beside it under the same name: rendered by whoever asks first."""
    page = executed.with_suffix(".html")
    if not page.exists():
        replace_file(page, notebook_page(executed.read_text(encoding="utf-8")).encode())
    return page


def notebook_page(notebook: str) -> str:
    """Renders the text of an executed notebook, sanitised, with every style and picture inside and no script left.

    Args:
        notebook: the notebook's JSON.

    Returns:
        A complete HTML document that works offline; its own content policy forbids any request.
    """
    exporter = _exporter()
    import nbformat

    node = nbformat.reads(notebook, as_version=4)
    for cell in node.cells:
        cell.metadata.pop("tags", None)  # they are not shown, and nbconvert stops at one that holds a comma
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your element with mimetype")  # what only JupyterLab can draw is left out
        page, _ = exporter.from_notebook_node(node)
    head, _, body = page.partition("<main>")
    head = HEAD_SCRIPTS.sub("", head).replace("<head>", f"<head>{POLICY}", 1)
    return f"{head}<main>{_clean(body)}</main></body></html>"  # once more: the template has places that it does not clean


@cache
def _exporter() -> Any:
    """The HTML exporter of nbconvert; it cleans output by output, so that no output reaches out of its cell."""
    defer_iri_grammar()
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    settings = Config({"HTMLExporter": {"template_name": "lab", "sanitize_html": True, "embed_images": True}})
    exporter = HTMLExporter(config=settings)
    exporter.register_filter("clean_html", _clean)
    return exporter


@cache
def _cleaner() -> Any:
    from bleach.css_sanitizer import CSSSanitizer
    from bleach.sanitizer import Cleaner

    return Cleaner(
        tags=[*BLOCKS.split(), *PHRASES.split()],
        attributes=_allowed,
        css_sanitizer=CSSSanitizer(STYLES.split()),
        protocols=["data"],
        strip=True,
    )


def _clean(text: str) -> str:
    """HTML with only harmless tags, attributes and styles left; the text of scripts and style sheets goes with them."""
    return str(_cleaner().clean(UNSEEN.sub("", text)))
