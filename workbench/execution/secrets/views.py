"""The forms in which a text is searched: as it is, with its escapes undone, without its white space. Called by `scrubbing`.

Whatever mixture of encodings a secret went through (a URL in JSON in HTML, some characters escaped and some not), undoing the
escapes a few times shows it plain. Each view can tell from which bytes of the original a part of it was made.
"""

from __future__ import annotations

import codecs
import html
import re
import sys
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["View", "folded", "joined", "readings", "readings_of_bytes", "unescaped"]

DEPTH = 4
"""How often escapes are undone: text in JSON, in a notebook's JSON, in HTML, is three."""


class Step(Protocol):
    """One rewriting of bytes."""

    def __call__(self, data: bytes) -> bytes:
        """The rewritten bytes."""

    def edits(self, data: bytes) -> Iterator[tuple[int, int, int]]:
        """Each part that is rewritten: its start and end in `data`, and the length of what replaces it."""


@dataclass(frozen=True, slots=True)
class _Substitution:
    pattern: re.Pattern[bytes]
    replacement: Callable[[re.Match[bytes]], bytes] | None = None

    def __call__(self, data: bytes) -> bytes:
        return self.pattern.sub(self.replacement or b"", data)

    def edits(self, data: bytes) -> Iterator[tuple[int, int, int]]:
        for match in self.pattern.finditer(data):
            yield match.start(), match.end(), len(self.replacement(match)) if self.replacement else 0


@dataclass(frozen=True, slots=True)
class _Mapping:
    table: bytes
    deleted: bytes

    def __call__(self, data: bytes) -> bytes:
        return data.translate(self.table, self.deleted)

    def edits(self, data: bytes) -> Iterator[tuple[int, int, int]]:
        if self.deleted:
            for match in re.finditer(b"[" + re.escape(self.deleted) + b"]+", data):
                yield match.start(), match.end(), 0


@dataclass(slots=True)
class View:
    """Bytes to search, and how they were made: by one step from the view before, or not at all."""

    data: bytes
    before: View | None = None
    step: Step | None = None
    _edits: list[tuple[int, int, int, int]] | None = field(default=None, init=False)

    def through(self, step: Step) -> View:
        """The view that a step makes of this one."""
        return View(step(self.data), self, step)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The part of the original that `data[start:end]` was made from, at least one byte long."""
        if self.before is None or self.step is None:
            return start, end
        return self.before.origin(self._source(start)[0], self._source(end - 1)[1])

    def _source(self, position: int) -> tuple[int, int]:
        """Start and end, in the view before, of what one byte was made from."""
        if self._edits is None:
            self._edits = list(self._placed())
        place = bisect_right(self._edits, position, key=lambda edit: edit[0]) - 1
        if place < 0:
            return position, position + 1
        _, made_end, start, end = self._edits[place]
        if position < made_end:
            return start, end
        return end + position - made_end, end + position - made_end + 1

    def _placed(self) -> Iterator[tuple[int, int, int, int]]:
        assert self.before is not None  # noqa: S101 - for the type checker: only called by `origin`, behind its check
        assert self.step is not None  # noqa: S101 - likewise
        shift = 0
        for start, end, length in self.step.edits(self.before.data):
            yield start + shift, start + shift + length, start, end
            shift += length - (end - start)


ESCAPE = re.compile(
    rb"""
      %(?P<percent>[0-9A-Fa-f]{2}) | %u(?P<old>[0-9A-Fa-f]{4})                    # URLs; JavaScript's escape()
    | \\u(?P<high>[dD][89abAB][0-9A-Fa-f]{2})\\u(?P<low>[dD][c-fC-F][0-9A-Fa-f]{2})  # JSON, beyond 16 bits
    | \\u(?P<four>[0-9A-Fa-f]{4}) | \\U(?P<eight>[0-9A-Fa-f]{8}) | \\u\{(?P<braced>[0-9A-Fa-f]{1,6})\}
    | \\x(?P<byte>[0-9A-Fa-f]{2}) | \\(?P<octal>[0-7]{1,3}) | \\N\{(?P<named>[A-Za-z0-9 -]{1,80})\}
    | \\\r?\n | \\(?P<letter>[^\n%]|%(?![0-9A-Fa-f]{2}))  # a line that goes on; \n, \" and the like
    | &\#(?P<decimal>[0-9]{1,7}); | &\#[xX](?P<hexadecimal>[0-9A-Fa-f]{1,6}); | &(?P<entity>[A-Za-z][A-Za-z0-9]{1,31});
    """,
    re.VERBOSE,
)
LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"a": b"\a", b"e": b"\x1b"}


def _character(code: int) -> bytes:
    return chr(min(code, sys.maxunicode)).encode("utf-8", "surrogatepass")


def _beyond_16_bits(match: re.Match[bytes]) -> bytes:
    return _character(0x10000 + ((int(match["high"], 16) & 0x3FF) << 10) + (int(match["low"], 16) & 0x3FF))


def _named(match: re.Match[bytes]) -> bytes:
    with suppress(KeyError):
        return unicodedata.lookup(match["named"].decode()).encode()
    return match[0]


MEANT: Mapping[str | None, Callable[[re.Match[bytes]], bytes]] = {
    **dict.fromkeys(("percent", "byte"), lambda match: bytes([int(match[match.lastgroup or 0], 16)])),
    **dict.fromkeys(
        ("old", "four", "eight", "braced", "hexadecimal"), lambda match: _character(int(match[match.lastgroup or 0], 16))
    ),
    "decimal": lambda match: _character(int(match["decimal"])),
    "low": _beyond_16_bits,
    "octal": lambda match: bytes([int(match["octal"], 8) & 0xFF]),
    "letter": lambda match: LETTERS.get(match["letter"], match["letter"]),
    "named": _named,
    "entity": lambda match: html.unescape(match[0].decode()).encode("utf-8", "surrogatepass"),
    None: lambda _match: b"",  # a line that goes on
}


def _unescape(match: re.Match[bytes]) -> bytes:
    return MEANT[match.lastgroup](match)


COLOUR = re.compile(rb"\x1b\[[0-9;:?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)")
"""What colours and links of a terminal look like (ECMA-48)."""
TAG = re.compile(rb"</?(?:a|b|br|code|em|font|i|mark|small|span|strong|sub|sup|tt|u|wbr)(?:\s[^<>]{0,400})?/?>")
"""The HTML with which highlighters take words apart."""
QUOTED_PRINTABLE = re.compile(rb"=(?P<byte>[0-9A-F]{2})|=[ \t]*\r?\n")

IDENTITY = bytes(range(256))
LOWER = IDENTITY.lower()
URL_SAFE = bytes.maketrans(b"-_", b"+/")
BLOCK = 1 << 15
WRITTEN = bytes([0, *range(0x09, 0x0E), *range(0x20, 0x7F)])
"""A block of bytes that is mostly made of these is text, in one byte for each character or in more."""
BLANK = bytes({*range(0x21), *range(0x7F, 0x100)} - {0x1E}) + b"'\"|"
"""Left out where parts of a word may stand apart: white space, quotes, the frames that tables and tracebacks are drawn with."""

_unescaping = _Substitution(ESCAPE, _unescape)
_plain = _Substitution(COLOUR)
_untagged = _Substitution(TAG)
_printable = _Substitution(QUOTED_PRINTABLE, _unescape)
_narrow = _Mapping(IDENTITY, b"\0")
_folding = _Mapping(LOWER, b"")
_joining = _Mapping(LOWER.translate(URL_SAFE), BLANK)


def readings(data: bytes) -> Iterator[View]:
    """A text in UTF-8 and all its readings: without the NULs of wider characters, without colours and tags, escapes undone."""
    whole = View(data)
    yield from unescaped(whole)
    if b"\0" in data:
        yield from unescaped(whole.through(_narrow))
    if b"=" in data and (printable := whole.through(_printable)).data != data:
        yield printable


def readings_of_bytes(data: bytes) -> Iterator[View]:
    """The readings of bytes that may be no text; there, escapes are undone in what looks like text."""
    with suppress(UnicodeDecodeError):
        codecs.utf_8_decode(data.lstrip(bytes(range(0x80, 0xC0))), "strict", False)
        yield from readings(data)
        return
    yield View(data)
    blocks = (data[start : start + BLOCK] for start in range(0, len(data), BLOCK))
    written = b"\x1e".join(block for block in blocks if 2 * len(block.translate(None, WRITTEN)) < len(block))
    if written:
        yield from unescaped(View(_narrow(written)))


def unescaped(view: View) -> Iterator[View]:
    """A view, and what undoing its escapes again and again shows."""
    yield view
    for _ in range(DEPTH):
        plain = view
        for sign, step in ((b"\x1b", _plain), (b"<", _untagged)):
            if sign in plain.data:
                plain = plain.through(step)
        if plain.data != view.data:
            yield plain
        if not any(sign in plain.data for sign in (b"%", b"\\", b"&")):
            return
        after = plain.through(_unescaping)
        if after.data == plain.data:
            return
        yield after
        view = after


def folded(view: View) -> View:
    """The view in lower case (ASCII letters only)."""
    return view.through(_folding)


def joined(view: View) -> View:
    """The view in lower case, with nothing between its words, and URL-safe base64 as standard base64."""
    return view.through(_joining)
