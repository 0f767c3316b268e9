"""`Scrubber` finds secrets in what a run leaves, and takes them out; used by whoever keeps outputs, logs, errors and artifacts.

All spellings of all secrets are searched for at once, in the text and in its readings. After `text` and `content` nothing is
left that `find` would find.
"""

from __future__ import annotations

import copy
import math
import mmap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.execution.secrets.contained import blobs, inflated, is_blob
from workbench.execution.secrets.net import Net
from workbench.execution.secrets.references import SCHEME, check_length
from workbench.execution.secrets.spellings import needles_of
from workbench.execution.secrets.views import View, folded, joined, readings, readings_of_bytes

__all__ = ["Scrubber"]

ROUNDS = 4
DEPTH = 3
WINDOW = 4 << 20
OVERLAP = 1 << 16
BUDGET = 512 << 20
SMALLEST_NUMBER = 100_000
MASKS = ("[hidden]", "[...]", "*")
APART = "\x1e"
CONTINUES = range(0x80, 0xC0)
"""The bytes that go on with a character of UTF-8."""


class Scrubber:
    """Looks for some secrets, all at once.

    Args:
        secrets: each secret under the name of its reference. None at all makes a scrubber that finds nothing, at no cost.

    Raises:
        BadInput: a secret has fewer than 4 characters, or more than 65,536.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        for name, secret in secrets.items():
            check_length(name, secret, "this process")
        spelt = [needles_of(name, secret) for name, secret in secrets.items()]
        self._exact = Net([needle for each in spelt for needle in each.exact])
        self._folded = Net([needle for each in spelt for needle in each.folded])
        self._joined = Net([needle for each in spelt for needle in each.joined])
        self._overlap = max([OVERLAP, *(16 * len(secret) for secret in secrets.values())])
        self._numbers = {number: name for name, secret in secrets.items() if (number := _number(secret)) is not None}
        self._any = bool(secrets)
        self._marks = {name: self._mark(name) for name in secrets}

    def __bool__(self) -> bool:
        return self._any

    def text(self, text: str) -> str:
        """The text with `[secret://name]` for each secret in it; the same object where there is none."""
        return self.texts([text])[0]

    def texts(self, texts: Sequence[str]) -> list[str]:
        """Texts that follow each other, as the pieces of a stream: a secret may begin in one and end in another."""
        if not self._any:
            return list(texts)
        pieces = given = [text.encode("utf-8", "surrogatepass") for text in texts]
        for _ in range(ROUNDS):
            data = b"".join(pieces)
            found = _merged(data, self._places(data, readings(data), DEPTH))
            if not found:
                break
            pieces = self._replaced(pieces, found)
        else:
            name = self.find(b"".join(pieces))
            if name:
                return [self._marks[name], *[""] * (len(pieces) - 1)]
        return [
            text if piece is before else piece.decode("utf-8", "surrogatepass")
            for text, before, piece in zip(texts, given, pieces, strict=True)
        ]

    def content(self, value: Any) -> Any:
        """A value of texts, numbers, lists and mappings, as a notebook or a message, without secrets, keys included.

        What holds none is returned as it is, the same object; nothing that is given is changed. A number that is a secret
        becomes a text. In the outputs of a cell a secret may run through several pieces of a stream.
        """
        return self._scrubbed(value) if self._any and self._within(value) else value

    def find(self, data: str | bytes | bytearray | memoryview) -> str | None:
        """The name of a secret in a text or in bytes, also in what they hold as base64 or compressed (gzip, zlib, zip)."""
        if not self._any:
            return None
        whole = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        return self._find(memoryview(whole).cast("B"), DEPTH)

    def find_in_file(self, path: Path) -> str | None:
        """The name of a secret in a file of any size."""
        if not self._any or not path.stat().st_size:
            return None
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as view,
        ):
            return self._find(view, DEPTH)

    def _mark(self, name: str) -> str:
        """What stands for a secret: its reference, unless that itself gives a secret away."""
        return next((mark for mark in (f"[{SCHEME}{name}]", *MASKS) if not self.find(mark)), "")

    def _find(self, data: memoryview, depth: int) -> str | None:
        for start in range(0, max(1, len(data)), WINDOW):
            window = bytes(data[start : start + WINDOW + self._overlap])
            for _, _, name in self._places(window, readings_of_bytes(window), depth):
                return name
        if depth:
            for member in inflated(data, BUDGET):
                before = b""
                for block in member:
                    before = before[-self._overlap :] + block
                    if found := self._find(memoryview(before), depth - 1):
                        return found
        return None

    def _places(self, data: bytes, views: Iterator[View], depth: int) -> Iterator[tuple[int, int, str]]:
        """Start, end and name of each find, which may overlap."""
        for view in views:
            for net, form in ((self._exact, None), (self._folded, folded), (self._joined, joined)):
                if net:
                    searched = form(view) if form else view
                    for start, end, name in net.finds(searched.data):
                        yield *searched.origin(start, end), name
        if depth:
            for start, end, blob in blobs(data):
                if found := self._find(memoryview(blob), depth - 1):
                    yield start, end, found

    def _replaced(self, pieces: list[bytes], found: list[tuple[int, int, str]]) -> list[bytes]:
        """The pieces with a mark where each find begins, and nothing of the rest of it."""
        made, offset, first = [], 0, 0
        for piece in pieces:
            parts, done, end = [], 0, offset + len(piece)
            while first < len(found) and found[first][0] < end:
                start, stop, name = found[first]
                parts += [piece[done : max(start - offset, 0)], self._marks[name].encode() if start >= offset else b""]
                done = min(stop - offset, len(piece))
                if stop > end:
                    break
                first += 1
            made.append(b"".join([*parts, piece[done:]]) if parts else piece)
            offset = end
        return made

    def _within(self, value: Any) -> bool:
        """Whether there is anything to do; one search for all texts together is much faster than one for each."""
        texts = []
        for leaf in _leaves(value):
            if isinstance(leaf, str):
                texts.append(leaf)
            elif leaf in self._numbers or (isinstance(leaf, bytes) and self.find(leaf)):
                return True
        encoded = (text.encode() for text in texts if is_blob(text))
        return bool(self.find(APART.join(texts))) or any(self.find(blob) for text in encoded for _, _, blob in blobs(text))

    def _streamed(self, items: Sequence[Any]) -> list[Any]:
        """The items; where they are outputs, without the secrets that run through several pieces of a stream."""
        made = list(items)
        for places in _streams(items):
            texts = [items[place]["text"] for place in places]
            for place, text, before in zip(places, self.texts(texts), texts, strict=True):
                if text is not before:
                    made[place] = copy.copy(items[place])
                    made[place]["text"] = text
        return made

    def _scrubbed(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            name = self.find(value)
            return self._marks[name].encode() if name else value
        if isinstance(value, dict):
            pairs = {self._scrubbed(key): self._scrubbed(item) for key, item in value.items()}
            if len(pairs) == len(value) and all(key in pairs and pairs[key] is item for key, item in value.items()):
                return value
            made = copy.copy(value)  # of the same class, as the nodes of a notebook
            made.clear()
            made.update(pairs)
            return made
        if isinstance(value, list | tuple):
            items = [self._scrubbed(item) for item in self._streamed(value)]
            same = all(new is old for new, old in zip(items, value, strict=True))
            return value if same else items if isinstance(value, list) else tuple(items)
        return self._marks[self._numbers[value]] if _is_number(value) and value in self._numbers else value


def _merged(data: bytes, places: Iterator[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Finds in order, those that overlap as one; none cuts a character of UTF-8 apart."""
    merged: list[tuple[int, int, str]] = []
    for start, end, name in sorted((*_trimmed(data, *_whole_characters(data, *place[:2])), place[2]) for place in places):
        if merged and start < merged[-1][1]:
            before = merged.pop()
            merged.append((before[0], max(end, before[1]), before[2]))
        else:
            merged.append((start, end, name))
    return merged


def _whole_characters(data: bytes, start: int, end: int) -> tuple[int, int]:
    while start and data[start] in CONTINUES:
        start -= 1
    while end < len(data) and data[end] in CONTINUES:
        end += 1
    return start, end


def _trimmed(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Without the white space around, such as the end of a line of a key."""
    part = data[start:end]
    if not part.strip():
        return start, end
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(key)
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
        for places in _streams(value):
            yield "".join(value[place]["text"] for place in places)
    elif isinstance(value, str | bytes) or _is_number(value):
        yield value


def _streams(items: Sequence[Any]) -> Iterator[list[int]]:
    """Where, among the outputs of a cell, the pieces of each stream stand that came in more than one."""
    places: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        if isinstance(item, dict) and item.get("output_type") == "stream" and isinstance(item.get("text"), str):
            places.setdefault(str(item.get("name")), []).append(place)
    yield from (each for each in places.values() if len(each) > 1)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(secret: str) -> float | None:
    """The number that a secret is, if it is one that does not also count cells or rows."""
    with suppress(ValueError, OverflowError):
        number = int(secret) if secret.strip().isdecimal() else float(secret)
        return number if math.isfinite(number) and abs(number) >= SMALLEST_NUMBER else None
    return None
