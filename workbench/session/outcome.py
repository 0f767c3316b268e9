"""How a recorded outcome looks: a small table in a notebook, plain lines elsewhere, and our own MIME type for programs."""

from __future__ import annotations

import html
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
        lines = [f"{name}: {'; '.join(_lines(value))}" for name, value in self.values.items()]
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


def _lines(value: object) -> list[str]:
    """A value as short lines of text: one for each item of a list or mapping."""
    if isinstance(value, Mapping) and not _is_estimate(value):
        return [f"{name} {_phrase(item)}" for name, item in value.items() if item is not None]
    if isinstance(value, list | tuple):
        return [_phrase(item) for item in value] or ["none"]
    return [_phrase(value)]


def _phrase(value: object) -> str:
    if isinstance(value, Mapping) and _is_estimate(value):
        return _estimate(value)
    if isinstance(value, Mapping):
        return bounded(", ".join(f"{name} {_phrase(item)}" for name, item in value.items() if item is not None), 300)
    if isinstance(value, float):
        return f"{value:.4g}"
    return bounded(", ".join(map(_phrase, value)) if isinstance(value, list | tuple) else value, 400)


def _estimate(value: Mapping[str, Any]) -> str:
    if value["value"] is None:
        return "undefined"
    interval = "" if value["low"] is None or value["high"] is None else f" ({value['low']:.4g} to {value['high']:.4g})"
    return f"{value['value']:.4g}{interval}"


def _cell(value: object) -> str:
    if isinstance(value, str) and value in VERDICTS:
        colour, sign = VERDICTS[value]
        return f"<b style='color:{colour}'>{sign} {value}</b>"
    return "<br>".join(html.escape(line) for line in _lines(value))
