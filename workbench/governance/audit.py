"""Whether an audit is whole: each entry follows from the one before, and what was signed is there. Called by `cli`, `server`.

The chain alone cannot show a log that was rewritten from some entry on, with new hashes, nor one whose end was cut off. Signed
heads can (B. Schneier and J. Kelsey, "Secure audit logs to support computer forensics", 1999): up to the last of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from workbench.errors import NotFound, Tampered, WorkbenchError
from workbench.governance.heads import Head, append_head, is_signed, read_heads, sign_head
from workbench.governance.keys import PUBLIC, public_key, signing_key
from workbench.settings import Layout
from workbench.store import Control, open_control
from workbench.store.chain import GENESIS, Entry, digest_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = ["Audited", "Verification", "export_head", "verify", "verify_audit", "verify_project", "witness"]

logger = logging.getLogger(__name__)


class Audited(Protocol):
    """Where an audit's signing key and its signed heads lie: a project on this machine, or a part of a server's folder."""

    @property
    def keys(self) -> Path:
        """The folder of the signing key and its public half."""
        ...

    @property
    def heads(self) -> Path:
        """The file of signed heads."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What can be said of an audit: `state`, the sentence that says why, and how many entries were read.

    `first` is the sequence of the first bad entry, where tampered; `signed` that of the last entry a signed head vouches for.
    Who cuts off entries after it, or rewrites them with all hashes, is not found until the next head.
    """

    state: Literal["ok", "tampered", "unverifiable"]
    reason: str
    entries: int
    signed: int = 0
    first: int | None = None


def verify(entries: Iterable[Entry], heads: Iterable[Head], key: Ed25519PublicKey) -> Verification:
    """Reads the audit once, in order, and judges it by itself and by the heads.

    Args:
        entries: the audit as it is stored, oldest first.
        heads: signed heads, in any order; each vouches for all entries up to its own.
        key: whose heads they have to be.
    """
    forged: list[Head] = []
    expected: dict[int, set[str]] = {}
    for head in heads:
        if is_signed(head, key):
            expected.setdefault(head.sequence, set()).add(head.hash)
        else:
            forged.append(head)
    count, previous, vouched = 0, GENESIS, 0
    for entry in entries:
        wrong = _wrong(entry, count + 1, previous)
        if wrong is None and expected.get(entry.sequence, {entry.hash}) != {entry.hash}:
            wrong = f"entry {entry.sequence} is not the one whose head was signed: entries {vouched + 1} to {entry.sequence}"
            wrong += " were rewritten, or some of them"
        if wrong is not None:
            return Verification(state="tampered", reason=wrong, entries=count + 1, signed=vouched, first=count + 1)
        count, previous = entry.sequence, entry.hash
        vouched = count if count in expected else vouched
    if (last := max(expected, default=0)) > count:
        reason = f"entries {count + 1} to {last} are missing: the head of the last was signed"
        return Verification(state="tampered", reason=reason, entries=count, signed=vouched, first=count + 1)
    return _judged(count, vouched, forged)


def _judged(count: int, vouched: int, forged: Sequence[Head]) -> Verification:
    """A chain that is whole in itself is believed as far as somebody has signed for it."""
    if forged:
        reason = f"the head of entry {forged[0].sequence} is not signed by this key"
    elif not vouched:
        reason = "the chain is whole in itself, but no signed head says that it was not rewritten: workbench audit export"
    else:
        return Verification(state="ok", reason=f"all entries follow, signed up to entry {vouched}", entries=count, signed=vouched)
    return Verification(state="unverifiable", reason=reason, entries=count, signed=vouched)


def _wrong(entry: Entry, place: int, previous: str) -> str | None:
    """What is wrong with the entry that was found in a place of the chain, or None."""
    if entry.sequence != place:
        return f"entry {place} is missing: entry {entry.sequence!r} stands in its place"
    texts = (entry.at, entry.actor, entry.action, entry.subject, entry.detail, entry.previous, entry.hash)
    if not all(isinstance(text, str) for text in texts):
        return f"entry {place} holds what is no text"
    if entry.previous != previous:
        return f"entry {place} does not follow from the one before"
    if entry.hash != digest_of(place, entry.at, entry.actor, entry.action, entry.subject, entry.detail, previous):
        return f"entry {place} was changed: its content does not have its hash"
    return None


def verify_project(layout: Layout, *, heads: Path | None = None, key: Path | None = None) -> Verification:
    """Verifies the audit of a project by the heads and the public key in these files; by default, the project's own."""
    return verify_audit(layout, lambda: open_control(layout), heads=heads, key=key)


def verify_audit(
    place: Audited, opened: Callable[[], Control], *, heads: Path | None = None, key: Path | None = None
) -> Verification:
    """Verifies the audit in the database that `opened` opens; by default, by the heads and the public key that lie with it."""
    try:
        signed = read_heads(heads or place.heads)
        if not signed and heads is not None:
            raise NotFound(f"{heads} holds no signed head")
        trusted = public_key(key or place.keys / PUBLIC)
        with opened() as control, closing(control.entries()) as entries:
            return verify(entries, signed, trusted)
    except WorkbenchError as error:
        return Verification(state="unverifiable", reason=". ".join(filter(None, (error.message, error.hint))), entries=0)


def export_head(place: Audited, control: Control, *, heads: Path | None = None) -> Head | None:
    """Signs the newest entry and appends the head to a file; None where nobody has done anything yet.

    Raises:
        Tampered: the audit is not what was signed before, or by another key; no head may vouch for it.
        BadInput: the key cannot be used, or the file holds something else.
    """
    path, key = heads or place.heads, signing_key(place.keys)
    newest = control.newest_entries(1)
    head = sign_head(key, newest[0].sequence, newest[0].hash) if newest else None
    known = {*read_heads(path), *read_heads(place.heads)}
    with closing(control.entries()) as entries:
        found = verify(entries, known | {head} if head else known, key.public_key())
    if found.state == "tampered" or (head and found.state != "ok"):
        raise Tampered(f"the audit is not signed: {found.reason}", hint="See: workbench audit verify")
    if head:
        append_head(path, head)
    return head


def witness(place: Audited) -> Callable[[int, str], None]:
    """What `Control` tells its hundredth entries to: each is signed, and its head appended to the file that lies with it."""

    def sign(sequence: int, digest: str) -> None:
        try:
            append_head(place.heads, sign_head(signing_key(place.keys), sequence, digest))
        except (OSError, WorkbenchError) as error:  # the act is done and audited: it must not look as if it had failed
            logger.warning("no head of the audit was signed at entry %s: %s", sequence, error)

    return sign
