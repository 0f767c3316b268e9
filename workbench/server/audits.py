"""Where the audits of a server lie: its own in its folder, each project's in the project's. Used by `state` and `cli`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["AuditFolder"]


@dataclass(frozen=True, slots=True)
class AuditFolder:
    """The folder of one audit. Each has a key of its own: with one for all, the audit of a project could pass for another's."""

    folder: Path

    @property
    def keys(self) -> Path:
        """The folder of the signing key and its public half."""
        return self.folder / "keys"

    @property
    def heads(self) -> Path:
        """Signed heads, one on each line; copy them to where nobody can change them."""
        return self.folder / "audit-heads.jsonl"
