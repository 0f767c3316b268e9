"""A person accepts a model whose fairness review was INCONCLUSIVE. Called by the control plane, for `workbench models accept`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select, update

from workbench.errors import BadInput
from workbench.records import Acceptance, ModelVersion, new_id
from workbench.registry.bundle import bundle_of
from workbench.store import Control, Unchanged, append
from workbench.store.tables import releases

__all__ = ["accept"]


def accept(version: ModelVersion, control: Control, *, actor: str, reason: str) -> Acceptance:
    """Records that a waiting model was accepted, for a stated reason; accepting it again leaves the first acceptance.

    A registered model's bundle says from now on that it was accepted. The author need not register it again: nothing changed but
    this decision. Approvals given before it do not count, since they are of the bundle without it.

    Raises:
        BadInput: there is nothing to accept, since the model was chosen without doubt or nobody won; or no reason is given.
    """
    if not reason.strip():
        raise BadInput("an acceptance needs its reason", hint='Say why: --reason "…"')
    made = Acceptance(
        id=new_id("acceptance"), parent=version.id, actor=actor, zone=version.zone, revision=version.revision, reason=reason
    )
    detail: dict[str, Any] = {"record": made.id}
    with control.write(actor=actor, action="accept", subject=version.id, detail=detail) as connection:
        for earlier in control.all(kind="acceptance", parent=version.id):
            if isinstance(earlier, Acceptance):
                made = earlier
                raise Unchanged
        if version.state != "waiting":
            raise BadInput(
                f"{version.id} is {version.state!r}: only a model that waits for a person can be accepted",
                hint=f"See why: workbench trace {version.id}",
            )
        append(connection, made)
        detail |= _bound(version, control, connection)
    return made


def _bound(version: ModelVersion, control: Control, connection: Connection) -> dict[str, str]:
    """Enters the accepted bundle where the one before stood, and names it; nothing where the model is not registered."""
    entered = connection.execute(select(releases.c.bundle).where(releases.c.model == version.id)).scalar()
    if entered is None:
        return {}
    before = bundle_of(version.id, control)  # other connections do not see the acceptance yet
    if entered != before.digest:  # packaged anew since: whoever did has to register that
        return {}
    after = replace(before, accepted=True).digest
    connection.execute(update(releases).where(releases.c.model == version.id).values(bundle=after))
    return {"bundle": after}
