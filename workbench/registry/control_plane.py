"""The one interface to every privileged act, here or over HTTP. Called by the command line, session, panel and flows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from workbench.governance.access import Principal, Role
from workbench.records import Acceptance, Approval, Release, Stage, Waiver
from workbench.registry.papers import Papers
from workbench.registry.standings import Standing

__all__ = ["ControlPlane", "Papers", "Standing"]


class ControlPlane(Protocol):
    """Two implementations share one conformance suite: `EmbeddedControlPlane` and `RemoteControlPlane`.

    Every act raises NotAllowed with the reason when access refuses it, NotFound for an unknown id, Outdated when what the
    caller has seen (`bundle`, a digest) is not what there is now, and Tampered when bytes are not what was recorded.
    """

    def whoami(self) -> Principal:
        """Who acts here."""
        ...

    def standings(self) -> Sequence[Standing]:
        """Every registered model, oldest first."""
        ...

    def standing(self, model: str) -> Standing:
        """One registered model."""
        ...

    def papers(self, model: str) -> Papers:
        """All that is on file about a registered model, to write its evidence from."""
        ...

    def register(self, model: str) -> Standing:
        """Enters a packaged model as a candidate; doing it again changes nothing. Over HTTP its records and bytes travel."""
        ...

    def review(self, model: str, *, reason: str) -> Acceptance:
        """A reviewer accepts a model whose fairness review was INCONCLUSIVE."""
        ...

    def approve(self, model: str, *, bundle: str, comment: str = "", role: Role = "approver") -> Approval:
        """Approves exactly the bundle with this digest under the policy that holds now."""
        ...

    def reject(self, model: str, *, bundle: str, comment: str, role: Role = "approver") -> Approval:
        """Rejects it: no approval of others lets it pass while the rejection stands."""
        ...

    def waive(self, model: str, *, gate: str, bundle: str, reason: str, days: int) -> Waiver:
        """Lets one gate pass for this bundle for some days."""
        ...

    def promote(self, model: str, *, to: Stage, bundle: str | None = None) -> Release:
        """Moves a model one stage on, if every gate of that stage passes; what was live is archived in the same act.

        `bundle` is the digest that the caller has seen. To "archived" leads from every other stage, without a gate.

        Raises:
            GateFailed: each problem names a gate and by how much it is missed.
        """
        ...

    def roll_back(self, service: str) -> Release:
        """Brings the model back that was live before; needs no new approval, but whole bytes."""
        ...

    def erase(self, person: str) -> str:
        """Forgets who stands behind a pseudonym; returns the pseudonym. The audit keeps its acts and stays whole."""
        ...
