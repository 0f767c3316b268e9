"""`Net` finds many spellings at once, whole or in part. Called by `scrubbing`.

The search is the automaton of Aho and Corasick (Communications of the ACM 18(6), 1975), of which one pass costs the same however
many words it knows.
"""

from __future__ import annotations

from collections.abc import Iterator

from ahocorasick_rs import BytesAhoCorasick, Implementation

from workbench.execution.secrets.spellings import Needle

__all__ = ["Net"]

LARGEST_TABLE = 32_768
"""Letters of all words up to which the automaton is a table: four times as fast, and larger."""


class Net:
    """All spellings of one kind in one automaton, which looks for short parts of them; what surrounds a part decides."""

    def __init__(self, needles: list[Needle]) -> None:
        self._places: dict[bytes, list[tuple[Needle, int]]] = {}
        for needle in needles:
            for offset, gram in _grams(needle):
                self._places.setdefault(gram, []).append((needle, offset))
        self._grams = list(self._places)
        small = sum(map(len, self._grams)) <= LARGEST_TABLE
        self._automaton = BytesAhoCorasick(self._grams, implementation=Implementation.DFA if small else None)

    def __bool__(self) -> bool:
        return bool(self._grams)

    def finds(self, data: bytes) -> Iterator[tuple[int, int, str]]:
        """Start, end and name of each find."""
        reached: dict[Needle, int] = {}
        for index, start, end in self._automaton.find_matches_as_indexes(data, overlapping=True):
            for needle, offset in self._places[self._grams[index]]:
                if end <= reached.get(needle, 0):
                    continue
                first, last = _extended(data, needle.form, start, end, offset)
                if last - first >= needle.enough:
                    reached[needle] = last
                    yield (*(_with_frays(data, first, last) if needle.frayed else (first, last)), needle.name)


def _grams(needle: Needle) -> Iterator[tuple[int, bytes]]:
    """Parts of a form such that any `enough` bytes of it in a row hold at least one of them."""
    length = needle.enough if needle.enough == len(needle.form) else max(1, needle.enough // 2)
    for offset in range(0, len(needle.form) - length + 1, needle.enough - length + 1):
        yield offset, needle.form[offset : offset + length]


def _extended(data: bytes, form: bytes, start: int, end: int, offset: int) -> tuple[int, int]:
    """How far data and form agree around a part that they share."""
    after = offset + end - start
    while start and offset and data[start - 1] == form[offset - 1]:
        start, offset = start - 1, offset - 1
    while end < len(data) and after < len(form) and data[end] == form[after]:
        end, after = end + 1, after + 1
    return start, end


def _with_frays(data: bytes, start: int, end: int) -> tuple[int, int]:
    """The letters beside a find in base64, which hold the other bits of its first and last byte, and the padding."""
    start -= start > 0 and data[start - 1 : start].isalnum()
    end += data[end : end + 1].isalnum()
    return start, end + len(data[end : end + 6]) - len(data[end : end + 6].lstrip(b"="))
