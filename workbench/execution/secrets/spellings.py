"""How a secret may be spelt, so that it is recognised: escaped, encoded, reversed, spaced, cut off. Called by `scrubbing`."""

from __future__ import annotations

import base64
import codecs
import html
import json
import math
import re
import shlex
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus, unquote, urlsplit

from workbench.execution.secrets.views import View, folded, joined, unescaped

__all__ = ["Needle", "Needles", "needles_of"]

ARMOUR = re.compile(r"-----(?:BEGIN|END) [A-Z0-9 ]{1,60}-----")
FOLDED = 8
"""From this many characters on, a secret is also found in other case and with white space in between."""
JOINED = 12
"""From this many on it is also found as the words of a sentence, with nothing in between."""
ENOUGH = 16
"""This many characters in a row of a longer secret count as the secret; of one in between, three quarters."""
APART = (" ", "\n", ",", "-")
"""What may stand between the characters of a secret."""
BITS = 6
"""A part of an encoded secret that is shorter than this many letters would be found everywhere."""


@dataclass(frozen=True, slots=True, eq=False)
class Needle:
    """One spelling of the secret `name`: a part of `form` that is `enough` bytes long is a find.

    `frayed` says that the letters beside it may hold some bits of the secret's first and last byte.
    """

    name: str
    form: bytes
    enough: int
    frayed: bool = False


@dataclass(slots=True)
class Needles:
    """What to look for: in each reading as it stands, in lower case, and in lower case with nothing between the words."""

    exact: list[Needle] = field(default_factory=list)
    folded: list[Needle] = field(default_factory=list)
    joined: list[Needle] = field(default_factory=list)


def needles_of(name: str, secret: str) -> Needles:
    """Every spelling of one secret."""
    made = Needles()
    for text in _fragments(secret):
        _add(made, name, text)
    return made


def _enough(length: int) -> int:
    return length if length < JOINED else min(ENOUGH, math.ceil(length * 3 / 4))


def _fragments(secret: str) -> Iterator[str]:
    """What must not be seen by itself: what stands between the public lines of a key file, short lines, a URL's password."""
    parts = [part.strip() for part in ARMOUR.split(secret)]
    for part in [part for part in parts if len(part) >= FOLDED] or [secret]:
        yield part
        lines = [line.strip() for line in part.splitlines()]
        if len(lines) > 1:
            yield from (line for line in lines if FOLDED <= len(line) < _enough(len(part)))
    with suppress(ValueError):
        password = urlsplit(secret.strip()).password or ""
        yield from (text for text in {password, unquote(password)} if len(text) >= FOLDED)


def _add(made: Needles, name: str, text: str) -> None:
    long = len(text) >= FOLDED
    enough = _enough(len(text)) / len(text)

    def needles(forms: Iterable[bytes], *, frayed: bool = False) -> list[Needle]:
        return [Needle(name, form, math.ceil(len(form) * enough), frayed) for form in dict.fromkeys(forms) if form]

    readable = dict.fromkeys(view.data for form in _escaped(text) for view in unescaped(View(form)))
    plain = [form for form in readable if len(form) >= min(FOLDED, len(text))]  # of a secret of escapes little may be left
    lettered, numbered = list(_lettered(text, embedded=long)), list(_numbered(_utf8(text)))
    if not long:
        made.exact += [*needles([*plain, *numbered]), *needles(lettered, frayed=True)]
        return
    made.folded += needles(folded(View(form)).data for form in plain)
    made.joined += needles((joined(View(form)).data for form in lettered), frayed=True)
    made.joined += needles(joined(View(form)).data for form in numbered)
    made.joined += needles(form for form in (joined(View(form)).data for form in plain) if len(form) >= JOINED)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _escaped(text: str) -> Iterator[bytes]:
    """The text as many programs would print it; what undoing the escapes turns into the same is found by one needle."""
    cased = (text.upper(), text.lower(), text.swapcase(), text.title(), text.casefold())
    normal = (unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD"))
    quoted = (text.replace("'", "'\\''"), text.replace("'", "''"), text.replace('"', '""'), shlex.quote(text).strip("'"))
    spaced = (*(separator.join(text) for separator in APART), text.replace("\n", "\r\n"), text.replace(" ", "\xa0"))
    escapes = (
        repr(text)[1:-1],
        ascii(text)[1:-1],
        json.dumps(text)[1:-1],
        html.escape(text),
        repr(_utf8(text))[2:-1],
        str(list(text))[2:-2],
    )
    for variant in (text, text[::-1], *cased, *normal, *quoted, *spaced, *escapes):
        yield _utf8(variant)
    yield text.encode("ascii", "namereplace")
    for codec in ("latin-1", "utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        with suppress(UnicodeEncodeError):
            coded = text.encode(codec)
            misread = _utf8(coded.decode("latin-1"))
            yield from (coded, coded.replace(b"\0", b""), misread, misread.replace(b"\0", b""))
    for encoding in ("utf-8", "latin-1"):
        with suppress(UnicodeEncodeError):
            yield from (quote(text, "", encoding).encode(), quote_plus(text, "", encoding).encode())
    yield codecs.encode(text, "unicode_escape")


OTHER_ALPHABETS: tuple[tuple[Callable[[bytes], bytes], int, int], ...] = (
    (base64.b32encode, 5, 8),
    (base64.b85encode, 4, 5),
    (base64.a85encode, 4, 5),
)
"""How each encodes a group: so many bytes as so many letters."""


def _sources(text: str) -> Iterator[bytes]:
    """The bytes that are then encoded as letters: the text itself, escaped, or in the wide characters of some systems."""
    yield _utf8(text)
    with suppress(UnicodeEncodeError):
        yield from (text.encode("utf-16-le"), quote(text, safe="").encode(), quote_plus(text).encode())
    yield from (_utf8(json.dumps(text, ensure_ascii=False)[1:-1]), _utf8(html.escape(text)))


def _lettered(text: str, *, embedded: bool) -> Iterator[bytes]:
    """The text in the alphabets of base64, base32 and base85; `embedded`: also as a part of something longer."""
    for source in dict.fromkeys(_sources(text)):
        whole = base64.b64encode(source).rstrip(b"=")
        yield from (whole, whole.translate(bytes.maketrans(b"+/", b"-_")))
        parts = (_determined(base64.b64encode, source, offset, 3, 4) for offset in range(3))
        yield from (part for part in parts if len(part) >= BITS)
    source = _utf8(text)
    for encode, group, letters in OTHER_ALPHABETS:
        yield encode(source).rstrip(b"=")
        if embedded:
            yield from (_determined(encode, source, offset, group, letters) for offset in range(group))


def _numbered(source: bytes) -> Iterator[bytes]:
    """Each byte as a number: hexadecimal, decimal or binary."""
    digits = source.hex()
    pairs = [digits[place : place + 2] for place in range(0, len(digits), 2)]
    for separator in ("", ":", "-", " ", ",", ", ", ",0x", ", 0x", "', '0x"):
        yield separator.join(pairs).encode()
        yield separator.join(pairs).upper().replace("X", "x").encode()
    yield from (separator.join(map(str, source)).encode() for separator in (",", ", ", " "))
    yield "".join(f"{byte:08b}" for byte in source).encode()


def _determined(encode: Callable[[bytes], bytes], source: bytes, offset: int, group: int, letters: int) -> bytes:
    """The letters that depend on `source` alone when `offset` bytes stand before it; RFC 4648 for base64 and base32."""
    padding = bytes([1]) * offset
    after = -(offset + len(source)) % group
    text = encode(padding + source + bytes([1]) * after)
    bits = 8 * group / letters
    whole = group == 4  # noqa: PLR2004 - base85 mixes the four bytes of a group
    first = (letters if offset else 0) if whole else math.ceil(offset * 8 / bits)
    last = (offset + len(source)) // group * letters if whole else math.floor((offset + len(source)) * 8 / bits)
    return text[first:last]
