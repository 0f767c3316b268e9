"""An executed notebook as one HTML page that fetches nothing: for flow cards, evidence and `workbench runs`."""

from __future__ import annotations

import re

import nbformat
from nbconvert import HTMLExporter
from traitlets.config import Config

__all__ = ["notebook_page"]

POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:\">"
)


def notebook_page(notebook: str) -> str:
    """Renders the text of an executed notebook, sanitised, with every style and picture inside and no script left.

    Args:
        notebook: the notebook's JSON.

    Returns:
        A complete HTML document that works offline; its own content policy forbids any request.
    """
    node = nbformat.reads(notebook, as_version=4)
    settings = Config({"HTMLExporter": {"template_name": "lab", "sanitize_html": True, "embed_images": True}})
    page, _ = HTMLExporter(config=settings).from_notebook_node(node)
    without_scripts = re.sub(r"<script\b.*?</script\s*>", "", page, flags=re.DOTALL | re.IGNORECASE)
    return without_scripts.replace("<head>", f"<head>{POLICY}", 1)
