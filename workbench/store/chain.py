"""The audit's hash chain: each entry's hash covers the entry and the hash before it. Called by `database` and `audit verify`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["GENESIS", "Entry", "canonical", "digest_of", "follow"]

GENESIS = "0" * 64
"""What stands in the place of the hash before the first entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What somebody did, as it is stored: when, who (by pseudonym), what, to which record, and what else is worth keeping.

    `detail` is the text of a JSON object, and it is that text which is hashed: another spelling of the same object is a change.
    """

    sequence: int
    at: str
    actor: str
    action: str
    subject: str
    detail: str
    previous: str
    hash: str


def canonical(detail: Mapping[str, Any]) -> str:
    """The one way in which a detail is written: sorted keys, no spaces, ASCII.

    Raises:
        ValueError: it holds a number that JSON has no word for.
    """
    return json.dumps(detail, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(sequence: int, at: str, actor: str, action: str, subject: str, detail: str, previous: str) -> str:
    """The sha256, in hexadecimal, of the JSON list of these seven, without spaces and in ASCII."""
    text = json.dumps([sequence, at, actor, action, subject, detail, previous], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def follow(last: int, previous: str, *, at: str, actor: str, action: str, subject: str, detail: str) -> Entry:
    """The entry that comes after the one with sequence `last` and hash `previous`; after nothing, 0 and `GENESIS`."""
    digest = digest_of(last + 1, at, actor, action, subject, detail, previous)
    return Entry(
        sequence=last + 1, at=at, actor=actor, action=action, subject=subject, detail=detail, previous=previous, hash=digest
    )
