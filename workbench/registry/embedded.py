"""The control plane in this process: it decides who may, verifies bytes, and acts. Used by command line and server."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.errors import NotFound
from workbench.governance.access import Principal, Role, Target, permission_of, require
from workbench.project import Gates
from workbench.records import Acceptance, Approval, ModelVersion, Release, Stage, Waiver
from workbench.registry.acceptance import accept
from workbench.registry.papers import Papers, papers_of
from workbench.registry.releases import Releases
from workbench.registry.standings import Standing
from workbench.store import Control

__all__ = ["EmbeddedControlPlane"]


class EmbeddedControlPlane:
    """The acts on one project's models for one person, on its control database."""

    def __init__(
        self,
        *,
        project: str,
        control: Control,
        principal: Principal,
        policy: Callable[[], Gates],
        verify: Callable[[str], object],
    ) -> None:
        """`policy` gives the gates in force; `verify` compares a model's bytes with what was recorded, or raises Tampered."""
        self._project, self._control, self._principal = project, control, principal
        self._verify = verify
        self._releases = Releases(control=control, actor=principal.name, policy=policy, apart=not principal.embedded)

    def whoami(self) -> Principal:
        """Who acts here."""
        return self._principal

    def standings(self) -> Sequence[Standing]:
        """Every registered model that this person may see, oldest first."""
        self._require("model:read")
        zones = self._principal.zones
        return [standing for standing in self._releases.standings() if zones & {standing.bundle.zone, "*"}]

    def standing(self, model: str) -> Standing:
        """One registered model."""
        self._require("model:read", model)
        return self._releases.standing(model)

    def papers(self, model: str) -> Papers:
        """All that is on file about a registered model, to write its evidence from."""
        self._require("evidence:export", model)
        self._releases.author(model)
        return papers_of(model, self._control)

    def register(self, model: str) -> Standing:
        """Enters a packaged model as a candidate; doing it again changes nothing."""
        self._require("model:create", model)
        self._verify(model)
        self._releases.register(model)
        return self._releases.standing(model)

    def review(self, model: str, *, reason: str) -> Acceptance:
        """Accepts a model whose fairness review was INCONCLUSIVE."""
        self._require("model:review", model)
        return accept(self._version(model), self._control, actor=self._principal.name, reason=reason)

    def approve(self, model: str, *, bundle: str, comment: str = "", role: Role = "approver") -> Approval:
        """Approves exactly the bundle with this digest under the policy that holds now."""
        self._require("model:approve", model, role=role)
        self._verify(model)
        return self._releases.decide(model, bundle=bundle, decision="approve", role=role, comment=comment)

    def reject(self, model: str, *, bundle: str, comment: str, role: Role = "approver") -> Approval:
        """Rejects it: no approval of others lets it pass while the rejection stands."""
        self._require("model:reject", model, role=role)
        return self._releases.decide(model, bundle=bundle, decision="reject", role=role, comment=comment)

    def waive(self, model: str, *, gate: str, bundle: str, reason: str, days: int) -> Waiver:
        """Lets one gate pass for this bundle for some days."""
        self._require("model:waive", model)
        return self._releases.waive(model, gate=gate, bundle=bundle, reason=reason, days=days)

    def promote(self, model: str, *, to: Stage, bundle: str | None = None) -> Release:
        """Moves a model on to a stage, if every gate of that stage passes."""
        self._require("release:promote", model)
        if to != "archived":  # what was tampered with must still be possible to take away
            self._verify(model)
        return self._releases.promote(model, to=to, bundle=bundle)

    def roll_back(self, service: str) -> Release:
        """Brings the model back that was live before, with whole bytes."""
        self._require("release:rollback")
        model = self._releases.before(service)
        self._require("release:rollback", model)
        self._verify(model)
        return self._releases.roll_back(service, model=model)

    def erase(self, person: str) -> str:
        """Forgets who stands behind a pseudonym; returns the pseudonym."""
        require(self._principal, permission_of("user:erase"), Target())
        return self._control.erase(person, actor=self._principal.name)

    def _require(self, permission: str, model: str | None = None, *, role: Role | None = None) -> None:
        """Refuses what access does not allow; whether a model exists is told only to those who may read models here."""
        target = Target(project=self._project, role=role)
        asked = permission_of(permission)
        if model is not None and self._control.find(model) is not None:
            version = self._version(model)
            target = Target(project=self._project, zone=version.zone, authors=self._authors(version), role=role)
        require(self._principal, asked, target)

    def _version(self, model: str) -> ModelVersion:
        found = self._control.get(model)
        if not isinstance(found, ModelVersion):
            raise NotFound(f"{model} is a {found.kind}, not a model version", hint="List them: workbench models")
        return found

    def _authors(self, version: ModelVersion) -> frozenset[str]:
        """Whose work it is, or before it is registered who chose it."""
        try:
            return self._releases.makers(version.id)
        except NotFound:
            return frozenset({version.actor})
