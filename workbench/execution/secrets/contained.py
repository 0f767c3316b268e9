"""What lies within bytes in another form: compressed members, wherever they begin, and base64. Called by `scrubbing`."""

from __future__ import annotations

import binascii
import re
import struct
import zlib
from collections.abc import Iterator

__all__ = ["blobs", "inflated", "is_blob"]

MAGIC = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]|PK\x03\x04", re.DOTALL)
LOCAL_HEADER = struct.Struct("<6xHH16xHH")
"""Of a zip member (APPNOTE.TXT 4.3.7): flags, method, length of its name, length of its extra field."""

BASE64 = re.compile(rb"\s*[A-Za-z0-9+/_-]{24}[A-Za-z0-9+/_\s-]*(?:=[=\s]*)?")
EMBEDDED = re.compile(rb"base64,([A-Za-z0-9+/_\s-]{24,}=*)")
DEFLATED = 8
CHUNK = 1 << 14
BLOCK = 1 << 20


def inflated(data: bytes | memoryview, budget: int) -> Iterator[Iterator[bytes]]:
    """For each compressed member its content in blocks, all together `budget` bytes at most; damaged ones end early.

    Formats: RFC 1950 (zlib, as in PNG and PDF), RFC 1952 (gzip), and deflated members of zip files (xlsx, npz, wheels, skops).
    """
    left = budget
    for match in MAGIC.finditer(data):
        start, bits = match.start(), 47
        if match[0] == b"PK\x03\x04":
            if start + LOCAL_HEADER.size > len(data):
                continue
            _, method, name, extra = LOCAL_HEADER.unpack_from(data, start)
            if method != DEFLATED:
                continue
            start, bits = start + LOCAL_HEADER.size + name + extra, -15
        member = _Member(data, start, bits, left)
        yield iter(member)
        left -= member.made
        if left <= 0:
            return


class _Member:
    """The blocks of one member; counts what they came to."""

    def __init__(self, data: bytes | memoryview, start: int, bits: int, budget: int) -> None:
        self._data, self._start, self._bits, self._budget = data, start, bits, budget
        self.made = 0

    def __iter__(self) -> Iterator[bytes]:
        inflate = zlib.decompressobj(self._bits)
        for start in range(self._start, len(self._data), CHUNK):
            waiting = bytes(self._data[start : start + CHUNK])
            while waiting:
                try:
                    block = inflate.decompress(waiting, BLOCK)
                except zlib.error:
                    return
                self.made += len(block)
                if block:
                    yield block
                if inflate.eof or self.made >= self._budget:
                    return
                waiting = inflate.unconsumed_tail


def is_blob(text: str) -> bool:
    """Whether a whole text may be written in base64."""
    return text.isascii() and BASE64.fullmatch(text.lstrip()[:24].encode()) is not None


def blobs(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Start, end and content of what is written in base64: the data as a whole, or a part that says so."""
    if BASE64.fullmatch(data):
        yield 0, len(data), _unbase64(data)
    for match in EMBEDDED.finditer(data):
        yield match.start(1), match.end(1), _unbase64(match[1])


def _unbase64(data: bytes) -> bytes:
    letters = data.translate(bytes.maketrans(b"-_", b"+/"), b"= \t\r\n\v\f")
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]  # one letter alone holds no byte
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
