"""Signed heads of the audit: who holds one can tell later whether anything before it was rewritten or cut off. Used by `audit`.

They lie outside the database, one JSON object on each line, and are worth most where who writes the database cannot reach.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from workbench.errors import BadInput
from workbench.records import now
from workbench.store.objects import sync_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["Head", "append_head", "is_signed", "read_heads", "sign_head"]

PURPOSE = b"workbench audit head\n"
"""Signed along, so that no signature made for something else can stand for a head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """That the entry `sequence` had `hash` at the time `at`; `signature` is Ed25519, in hexadecimal."""

    sequence: int
    hash: str
    at: str
    signature: str


def _message(sequence: int, digest: str, at: str) -> bytes:
    return PURPOSE + json.dumps([sequence, digest, at], separators=(",", ":")).encode()


def _line(head: Head) -> bytes:
    return msgspec.json.encode(head)


def sign_head(key: Ed25519PrivateKey, sequence: int, digest: str) -> Head:
    """A head for the entry `sequence` with the hash `digest`, as of now."""
    at = now()
    return Head(sequence=sequence, hash=digest, at=at, signature=key.sign(_message(sequence, digest, at)).hex())


def is_signed(head: Head, key: Ed25519PublicKey) -> bool:
    """Whether the key's owner has signed exactly this head."""
    from cryptography.exceptions import InvalidSignature

    try:
        signature = bytes.fromhex(head.signature)
        key.verify(signature, _message(head.sequence, head.hash, head.at))
    except (InvalidSignature, ValueError):
        return False
    return signature.hex() == head.signature


def append_head(path: Path, head: Head) -> None:
    """Adds a head to a file, on disk when this returns. What a crash left half written at the end is removed.

    Raises:
        OSError: the disk is full, or the file may not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        whole = stream.read().rfind(b"\n") + 1
        stream.seek(whole)
        stream.truncate()
        stream.write(_line(head) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    if not whole:
        sync_folder(path.parent)


def read_heads(path: Path) -> list[Head]:
    """The heads in a file, in its order; none where there is no file. A last line without an end was never completed.

    Raises:
        BadInput: a line is not exactly what `append_head` writes.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error}", hint="Name the file of heads: --heads FILE") from error
    return list(_parsed(lines, path))


def _parsed(lines: Iterable[bytes], path: Path) -> Iterable[Head]:
    for number, line in enumerate(lines, 1):
        try:
            head = msgspec.json.decode(line, type=Head)
        except msgspec.MsgspecError as error:
            raise _no_head(number, path) from error
        if _line(head) != line:  # another spelling of a head is a changed file
            raise _no_head(number, path)
        yield head


def _no_head(number: int, path: Path) -> BadInput:
    return BadInput(f"line {number} of {path} is no signed head", hint="Take the file from where it was exported to.")
