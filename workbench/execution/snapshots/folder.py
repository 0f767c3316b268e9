"""The folder of a project's snapshots: taken, restored, looked through and swept. Called in the kernel, and by `resume`."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import BadInput
from workbench.execution.snapshots.baseline import Baseline
from workbench.execution.snapshots.key import KEY_BYTES
from workbench.execution.snapshots.process import changed_sources
from workbench.execution.snapshots.sealed import Inspection, Refused, open_sealed, peek, sealing

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Restored", "Snapshots", "Taken"]

_ABANDONED = 3600.0
"""Seconds after which a file that was begun and never finished belongs to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a snapshot took: seconds and bytes; or why there is none, for each name that stood in the way."""

    seconds: float
    bytes: int
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came back: the names that are now bound, and the seconds that it took."""

    names: tuple[str, ...]
    seconds: float


class Snapshots:
    """The snapshots of one project, each under the link of the chain that it continues from."""

    def __init__(self, folder: Path, key: bytes, *, scrub: Inspection | None = None) -> None:
        """Opens the folder, or makes it; only its owner can enter.

        Args:
            folder: where the files lie.
            key: what `snapshot_key` gave.
            scrub: names the secret that some bytes hold; a namespace that holds one is not stored.

        Raises:
            BadInput: the key is too short to protect anything.
        """
        if len(key) < KEY_BYTES:
            raise BadInput(f"a snapshot key has {KEY_BYTES} bytes, not {len(key)}", hint="Use snapshots.snapshot_key.")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        self._folder, self._key, self._scrub = folder, key, scrub

    def take(self, link: str, shell: InteractiveShell, before: Baseline) -> Taken:
        """Stores what the shell knows now, between two cells; never raises for what a notebook holds.

        Where something cannot be stored, or the disk is full, nothing is but the reason.
        """
        from workbench.execution.snapshots.blame import blame, refusal  # loads cloudpickle, which only a kernel needs
        from workbench.execution.snapshots.content import Content, dump, read_content

        started, size = time.perf_counter(), 0
        content: Content = {}
        refused: tuple[Refused, ...] = ()
        try:
            content = read_content(shell, before)
            with sealing(self._file(link), self._key, self._scrub) as sink:
                sink.header({"link": link, "refused": [], **content["process"]})
                dump({section: content[section] for section in ("names", "history", "state")}, sink, shell)
            size = sink.size
        except Exception as error:  # an object's own __reduce__ may raise anything
            refused = blame(shell, content, self._scrub) or (refusal("snapshot", error, error, self._scrub),)
            with suppress(OSError):  # a disk so full that not even the reason fits; the caller has it
                self._write_reasons(link, refused)
        return Taken(seconds=time.perf_counter() - started, bytes=size, refused=refused)

    def _write_reasons(self, link: str, refused: tuple[Refused, ...]) -> None:
        with sealing(self._file(link), self._key, None) as sink:
            sink.header({"link": link, "refused": [asdict(each) for each in refused]})
            sink.memory(())

    def restore(self, link: str, shell: InteractiveShell) -> Restored:
        """Makes a shell know what the snapshot's shell knew; to be called before any cell runs.

        Returns:
            The names bound. Names that existed before and were not stored stay as they are.

        Raises:
            NotFound: there is no such snapshot.
            BadInput: its HMAC is wrong; it was refused; own code changed since; or it cannot be unpickled here. The
                shell's names are as before; folder, variables and search path of the process may already be the snapshot's.
        """
        from workbench.execution.snapshots.content import bind, load

        started, file = time.perf_counter(), self._file(link)
        sealed = open_sealed(file, self._key)
        reasons = [f"{each.name} ({each.type}): {each.why}" for each in _obstacles(sealed.header)]
        if sealed.header["link"] != link or reasons:
            raise BadInput(f"the snapshot {link[:12]}… is no place to continue from", problems=reasons, hint=_EARLIER)
        try:
            content = load(sealed, shell)
        except Exception as error:  # what the objects' own code raises
            raise BadInput(
                f"the snapshot {link[:12]}… cannot be restored here: {type(error).__name__}: {error}", hint=_EARLIER
            ) from error
        bind(content, sealed.header["deleted"], shell)
        os.utime(file)  # the sweep keeps what was used last
        return Restored(names=tuple(content["names"]), seconds=time.perf_counter() - started)

    def has(self, link: str) -> bool:
        """Whether a run can continue from this link; that the values themselves are untouched is checked by `restore`."""
        header = self._header(link)
        return header is not None and not _obstacles(header)

    def refused(self, link: str) -> tuple[Refused, ...]:
        """Why a run cannot continue from this link; empty where it can, and where there is nothing."""
        header = self._header(link)
        return () if header is None else _obstacles(header)

    def sweep(self, *, older_than: float, most_bytes: int) -> int:
        """Removes what was last used more than `older_than` seconds ago, then the least recently used above `most_bytes`.

        Returns:
            How many snapshots were removed. A snapshot that a kernel has restored stays readable for that kernel.
        """
        now, kept, removed = time.time(), 0, 0
        for leftover in self._folder.glob(".writing-*"):
            with suppress(FileNotFoundError):
                if now - leftover.stat().st_mtime > _ABANDONED:
                    leftover.unlink()
        found = []
        for file in self._folder.glob("*.snapshot"):
            with suppress(FileNotFoundError):
                found.append((file.stat().st_mtime, file.stat().st_size, file))
        for used, size, file in sorted(found, reverse=True):
            kept += size
            if now - used > older_than or kept > most_bytes:
                file.unlink(missing_ok=True)
                kept, removed = kept - size, removed + 1
        return removed

    def _header(self, link: str) -> dict[str, Any] | None:
        header = peek(self._file(link), self._key)
        return header if header is not None and header["link"] == link else None

    def _file(self, link: str) -> Path:
        if not re.fullmatch("[0-9a-f]{64}", link):
            raise BadInput(f"a link of the chain is 64 hexadecimal digits, not {link!r}", hint="Use snapshots.chain.")
        return self._folder / f"{link}.snapshot"


_EARLIER = "Continue from an earlier cell, or run the notebook from its first."


def _obstacles(header: Mapping[str, Any]) -> tuple[Refused, ...]:
    """What a header says against its snapshot: what was refused, and own code that is no longer what it was."""
    changed = changed_sources(header.get("sources", {}))
    return (
        *(Refused(**each) for each in header["refused"]),
        *(Refused(name=file, type="module", why="changed since the snapshot was taken") for file in changed),
    )
