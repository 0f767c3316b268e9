"""Whether two lists of outputs say the same: texts, numbers within a tolerance, pictures by pixels. Called by `rerun`."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from math import isclose
from typing import Any

from workbench.execution.checking.document import Output, texts_of

__all__ = ["Difference", "first_difference"]

PICTURES = ("image/png", "image/jpeg", "image/webp")
SVG = "image/svg+xml"

NUMBER = r"\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+(?:[eE][-+]?\d+)?"
TOKEN = re.compile(rf"[^\W\d]\w*|{NUMBER}|\S")
RULES_OF_A_TABLE = re.compile(r"[-=─━═┈╌+|│┌┐└┘├┤┬┴┼╞╡╪╤╧╭╮╰╯]{3,}")
VARYING = (
    (re.compile(r"\b0x[0-9a-fA-F]{4,}\b"), "0x"),  # addresses
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "uuid"),
    (re.compile(r"^.*\d%\|.*\|.*\[.*\].*$", re.MULTILINE), ""),  # progress bars of tqdm
    (re.compile(r"^(?:CPU times|Wall time):.*$", re.MULTILINE), ""),  # %%time
    (re.compile(r"^.*\bper loop\b.*$", re.MULTILINE), ""),  # %%timeit
    (RULES_OF_A_TABLE, " "),  # as long as the column is wide
)
"""What differs from run to run without meaning anything."""

VARYING_IN_SVG = (
    (re.compile(r"<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL), ""),
    (re.compile(r"""\b(?:id|class)=(["']).*?\1"""), ""),
    (re.compile(r"""(?:xlink:)?href=(["'])#.*?\1|url\(#.*?\)"""), ""),
)
PIXEL_LEVELS = 16
"""A pixel differs if one of its channels does by more than this, of 255."""

PIXEL_SHARE = 0.001
"""Pictures differ if more than this share of their pixels does."""

EXCERPT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first difference: in which output, counted from 1 in the stored list, what it is, and whether only pictures differ."""

    output: int
    what: str
    picture: bool = False


def first_difference(stored: Iterable[Output], fresh: Iterable[Output], *, tolerance: float) -> Difference | None:
    """Compares the outputs of one cell; standard error is left out, for progress bars, logs and warnings go there.

    Args:
        stored: the outputs in the notebook.
        fresh: the outputs of a rerun.
        tolerance: by which share two numbers may differ; whole numbers must be equal.
    """
    before, after = _merged(stored), _merged(fresh)
    for old, new in zip_longest(before, after):
        if old is None or new is None:
            number = old[0] if old else (before[-1][0] if before else 1)
            gone, more = len(before), len(after)
            return Difference(output=number, what=f"{gone} outputs are stored, the rerun made {more}")
        found = _compared(old[1], new[1], tolerance)
        if found:
            return Difference(output=old[0], what=found[0], picture=found[1])
    return None


def _merged(outputs: Iterable[Output]) -> list[tuple[int, dict[str, Any]]]:
    """Numbered outputs without standard error; pieces of standard output that follow each other are one."""
    merged: list[tuple[int, dict[str, Any]]] = []
    for number, output in enumerate(outputs, start=1):
        kind = output.get("output_type")
        if kind == "stream" and output.get("name") == "stderr":
            continue
        if kind == "stream" and merged and merged[-1][1].get("output_type") == "stream":
            merged[-1][1]["text"] += _text(output.get("text"))
            continue
        merged.append((number, {**output, "text": _text(output.get("text"))} if kind == "stream" else dict(output)))
    return merged


def _text(value: object) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _compared(old: Output, new: Output, tolerance: float) -> tuple[str, bool] | None:
    """What differs between two outputs, and whether it is a picture."""
    kinds = [str(output.get("output_type")) for output in (old, new)]
    if kinds[0] != kinds[1]:
        return f"stored was {kinds[0]}, the rerun made {kinds[1]}", False
    if kinds[0] == "error":
        names = [str(output.get("ename")) for output in (old, new)]
        return (f"stored was {names[0]}, the rerun raised {names[1]}", False) if names[0] != names[1] else None
    missing = set(old.get("data") or ()) ^ set(new.get("data") or ())
    if missing:
        return f"{', '.join(sorted(missing))} is in one of them only", False
    fresh = dict(texts_of(new))
    for media, text in texts_of(old):
        found = _texts(text, fresh.get(media, ""), tolerance)
        if found:
            return found, False
    found = _pictures(old.get("data") or {}, new.get("data") or {})
    return (found, True) if found else None


def _texts(old: str, new: str, tolerance: float) -> str | None:
    before, after = _steady(old), _steady(new)
    pairs = zip_longest(TOKEN.finditer(before), TOKEN.finditer(after))
    for left, right in pairs:
        if left is None or right is None or not _same(left[0], right[0], tolerance):
            return f"stored {_around(before, left)}, rerun {_around(after, right)}"
    return None


def _steady(text: str) -> str:
    """A text without what varies, and of lines that were overwritten by a carriage return only the last state."""
    text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    for pattern, steady in VARYING:
        text = pattern.sub(steady, text)
    return text


def _same(old: str, new: str, tolerance: float) -> bool:
    if old == new:
        return True
    if not (re.fullmatch(NUMBER, old) and re.fullmatch(NUMBER, new)) or (old.isdigit() and new.isdigit()):
        return False
    return isclose(float(old), float(new), rel_tol=tolerance, abs_tol=tolerance * 1e-6)


def _around(text: str, match: re.Match[str] | None) -> str:
    """The line of a match, cut to what is near it."""
    if match is None:
        return "nothing more"
    start = max(text.rfind("\n", 0, match.start()) + 1, match.start() - EXCERPT // 2)
    end = text.find("\n", match.end())
    return repr(text[start : min(end if end >= 0 else len(text), start + EXCERPT)].strip())


def _pictures(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    for media in PICTURES:
        if media in old:
            found = _pixels(_text(old[media]), _text(new[media]))
            if found:
                return f"{media}: {found}"
    if SVG in old and _drawing(_text(old[SVG])) != _drawing(_text(new[SVG])):
        return f"{SVG}: the drawing differs"
    return None


def _drawing(svg: str) -> str:
    for pattern, steady in VARYING_IN_SVG:
        svg = pattern.sub(steady, svg)
    return svg


def _pixels(old: str, new: str) -> str | None:
    if old.strip() == new.strip():
        return None
    from PIL import Image, ImageChops, UnidentifiedImageError

    try:
        before, after = (Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA") for data in (old, new))
    except (UnidentifiedImageError, ValueError, OSError):
        return "the picture cannot be read"
    if before.size != after.size:
        return f"stored {before.width} × {before.height} pixels, rerun {after.width} × {after.height}"
    worst = None
    for channel in ImageChops.difference(before, after).split():
        worst = channel if worst is None else ImageChops.lighter(worst, channel)
    levels = worst.histogram() if worst is not None else []
    share = sum(levels[PIXEL_LEVELS + 1 :]) / max(1, before.width * before.height)
    return f"{share:.1%} of the pixels differ" if share > PIXEL_SHARE else None
