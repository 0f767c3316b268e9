"""An executed notebook as one HTML page that fetches nothing: for flow cards, evidence and `workbench runs`."""

from __future__ import annotations

import re

import nbformat
from bleach.css_sanitizer import CSSSanitizer
from bleach.sanitizer import Cleaner
from nbconvert import HTMLExporter
from traitlets.config import Config

__all__ = ["notebook_page"]

POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:\">"
)


SCRIPT_BLOCK = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)
STYLE_BLOCK = re.compile(r"<style\b.*?</style\s*>", re.DOTALL | re.IGNORECASE)
TEXT = ["a", "b", "blockquote", "br", "caption", "code", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "li", "ol", "p"]
TABLES = ["pre", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul", "img"]
ATTRIBUTES = {"*": ["class", "id", "title", "style"], "a": ["href"], "img": ["src", "alt"], "td": ["colspan"], "th": ["colspan"]}
STYLES = ["color", "font-weight", "text-align", "vertical-align", "white-space"]
CLEANER = Cleaner(tags=TEXT + TABLES, attributes=ATTRIBUTES, css_sanitizer=CSSSanitizer(STYLES), protocols=["data"], strip=True)


def notebook_page(notebook: str) -> str:
    """Renders the text of an executed notebook, sanitised, with every style and picture inside and no script left.

    Args:
        notebook: the notebook's JSON.

    Returns:
        A complete HTML document that works offline; its own content policy forbids any request.
    """
    node = nbformat.reads(notebook, as_version=4)
    settings = Config({"HTMLExporter": {"template_name": "lab", "sanitize_html": True, "embed_images": True}})
    exporter = HTMLExporter(config=settings)
    exporter.register_filter("clean_html", _clean)  # nbconvert's own leaves neither headings nor tables
    page, _ = exporter.from_notebook_node(node)
    return SCRIPT_BLOCK.sub("", page).replace("<head>", f"<head>{POLICY}", 1)


def _clean(text: str) -> str:
    """HTML from a cell or an output with only harmless tags, attributes and styles left."""
    return str(CLEANER.clean(STYLE_BLOCK.sub("", text)))  # a style block's text would be left standing
