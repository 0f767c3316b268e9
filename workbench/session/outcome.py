"""How a recorded outcome looks: a small table in a notebook, plain lines elsewhere, and our own MIME type for programs."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.errors import bounded

__all__ = ["MIME", "Outcome"]

MIME = "application/vnd.workbench.outcome+json"
VERDICTS = {"PASS": ("#1a7f37", "✓"), "FAIL": ("#cf222e", "✗"), "INCONCLUSIVE": ("#9a6700", "?")}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one hop, as `session.record` returns it; the last line of a notebook displays it."""

    hop: str
    values: Mapping[str, Any]

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {MIME: {"hop": self.hop, **self.values}, "text/html": self._html(), "text/plain": repr(self)}

    def __repr__(self) -> str:
        lines = [f"{name}: {_text(value)}" for name, value in self.values.items()]
        return "\n".join([f"recorded by {self.hop}", *lines])

    def _html(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left;vertical-align:top'>{html.escape(name.replace('_', ' '))}</th>"
            f"<td style='text-align:left'>{_cell(value)}</td></tr>"
            for name, value in self.values.items()
        )
        return f"<table><caption style='text-align:left'>recorded by <b>{html.escape(self.hop)}</b></caption>{rows}</table>"


def _is_estimate(value: object) -> bool:
    return isinstance(value, Mapping) and set(value) == {"value", "low", "high"}


def _text(value: object) -> str:
    if _is_estimate(value):
        assert isinstance(value, Mapping)  # noqa: S101 - narrows the type for the checker
        if value["value"] is None:
            return "undefined"
        interval = "" if value["low"] is None else f" ({value['low']:.4g} to {value['high']:.4g})"
        return f"{value['value']:.4g}{interval}"
    if isinstance(value, Mapping) and value and all(_is_estimate(item) for item in value.values()):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return " ".join(value) or "none"
    return bounded(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 400)


def _cell(value: object) -> str:
    if isinstance(value, str) and value in VERDICTS:
        colour, sign = VERDICTS[value]
        return f"<b style='color:{colour}'>{sign} {value}</b>"
    if isinstance(value, Mapping) and value and all(_is_estimate(item) for item in value.values()):
        return "<br>".join(f"{html.escape(name)} <b>{html.escape(_text(item))}</b>" for name, item in value.items())
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in value):
        return "<br>".join(html.escape(item) for item in value)
    return html.escape(_text(value))
