"""The secret that a project's snapshots are sealed with. Called by whoever opens the folder of snapshots."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from workbench.errors import BadInput

__all__ = ["KEY_BYTES", "snapshot_key"]

KEY_BYTES = 32


def snapshot_key(path: Path) -> bytes:
    """The project's secret that its snapshots are sealed with; made on first use, readable by its owner alone.

    Raises:
        BadInput: the file is no such key, or others can read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    with suppress(FileExistsError):  # of two processes that make a key at once, both take the first one's
        if not path.exists():
            try:
                with open(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                    stream.write(secrets.token_bytes(KEY_BYTES))
                    stream.flush()
                    os.fsync(stream.fileno())
                os.link(own, path)
            finally:
                own.unlink(missing_ok=True)
    key = path.read_bytes()
    if len(key) != KEY_BYTES or stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise BadInput(
            f"{path} must hold {KEY_BYTES} bytes that only its owner can read",
            hint="Delete it: a new key is made, and snapshots sealed with the old one are no longer used.",
        )
    return key
