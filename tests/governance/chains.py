"""Audits and heads to test with."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from workbench.governance.heads import Head, sign_head
from workbench.store import Control
from workbench.store.chain import GENESIS, Entry, canonical, follow

KEY = Ed25519PrivateKey.generate()


COLUMNS = ("sequence", "at", "actor", "action", "subject", "detail", "previous", "hash")


ACTS = 12


def chain(count: int, *, subject: str = "model-{}") -> list[Entry]:
    entries: list[Entry] = []
    for number in range(1, count + 1):
        last = (entries[-1].sequence, entries[-1].hash) if entries else (0, GENESIS)
        act = {"at": f"2026-11-{number:02}", "actor": "person-1", "action": "approve", "subject": subject.format(number)}
        entries.append(follow(*last, **act, detail=canonical({"number": number})))
    return entries


def heads_of(entries: list[Entry], *sequences: int) -> list[Head]:
    return [sign_head(KEY, sequence, entries[sequence - 1].hash) for sequence in sequences]


def act(control: Control, times: int) -> None:
    for number in range(times):
        with control.write(actor="ann", action="look", subject=f"model-{number}", detail={"é": number}):
            pass
