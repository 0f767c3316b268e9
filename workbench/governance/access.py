"""Who may do what: one frozen table from role to permissions, and predicates on the object. Asked before every privileged act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

from workbench.errors import BadInput, NotAllowed, did_you_mean

__all__ = [
    "HOLDERS",
    "KEPT",
    "ROLES",
    "Decision",
    "Permission",
    "Principal",
    "Role",
    "Target",
    "decide",
    "embedded",
    "permission_of",
    "require",
    "rights_of",
    "roles_in",
]

Role = Literal["viewer", "scientist", "reviewer", "approver", "operator", "auditor", "admin", "service"]
ROLES: tuple[Role, ...] = get_args(Role)

ANY = "*"

# The table. Admins look after people and hold no right on a model or its data; approvers decide and do not release; operators
# release and do not decide; a reviewer's approval counts where the gates ask for a reviewer's. Nobody writes the audit: every
# act does. Dataset rows and logged predictions are about people, so few may read them.
_TABLE = """
                    viewer  scientist  reviewer  approver  operator  auditor  admin  service
project:read        yes     yes        yes       yes       yes       yes      yes    yes
project:create      -       -          -         -         -         -        yes    -

dataset:read        -       yes        yes       -         -         -        -      yes
dataset:create      -       yes        -         -         -         -        -      -
run:read            yes     yes        yes       yes       yes       yes      -      yes
run:create          -       yes        -         -         -         -        -      yes

model:read          yes     yes        yes       yes       yes       yes      -      yes
model:create        -       yes        -         -         -         -        -      -
model:verify        -       yes        yes       yes       yes       yes      -      yes
model:review        -       -          yes       -         -         -        -      -
model:approve       -       -          yes       yes       -         -        -      -
model:reject        -       -          yes       yes       -         -        -      -
model:waive         -       -          -         yes       -         -        -      -

release:read        yes     yes        yes       yes       yes       yes      -      yes
release:promote     -       -          -         -         yes       -        -      -
release:rollback    -       -          -         -         yes       -        -      -
deployment:read     yes     yes        yes       yes       yes       yes      -      yes
deployment:create   -       -          -         -         yes       -        -      -
prediction:read     -       yes        yes       -         -         yes      -      yes
prediction:create   -       yes        -         -         yes       -        -      yes
report:read         yes     yes        yes       yes       yes       yes      -      yes
report:create       -       yes        -         -         yes       -        -      yes

evidence:export     -       yes        yes       yes       -         yes      -      -
audit:read          -       -          -         -         -         yes      -      -
audit:verify        -       -          -         -         -         yes      yes    -
audit:export        -       -          -         -         -         yes      -      -

user:read           -       -          -         -         -         yes      yes    -
user:create         -       -          -         -         -         -        yes    -
user:update         -       -          -         -         -         -        yes    -
user:grant          -       -          -         -         -         -        yes    -
user:revoke         -       -          -         -         -         -        yes    -
user:erase          -       -          -         -         -         -        yes    -
token:read          yes     yes        yes       yes       yes       yes      yes    -
token:create        yes     yes        yes       yes       yes       yes      yes    -
token:revoke        yes     yes        yes       yes       yes       yes      yes    -
"""


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """One verb on one kind of resource, written `model:approve`."""

    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.resource}:{self.verb}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who acts: the user's id and name, the roles granted in each project, and what a token narrows them to.

    `grants` are (role, project) pairs, where project may be `*`; `zones` are those whose data may be seen, `*` for all;
    `scopes` is None where the token carries all of its owner's rights. `run` is the one run that a run token is for. `embedded`
    marks the one person of a project without a server, who holds every role and whose own approval counts.
    """

    id: str
    name: str
    grants: frozenset[tuple[Role, str]]
    zones: frozenset[str] = field(default_factory=lambda: frozenset({ANY}))
    scopes: frozenset[Permission] | None = None
    run: str | None = None
    embedded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is acted upon: its project and zone, who made it (ids or names of users), and its run, as far as the act has one.

    Without a project the act concerns all of them, and only a role granted in `*` counts. A token is made by its owner, who is
    named by id. `role` is the one in which the principal decides on a model.
    """

    project: str = ANY
    zone: str | None = None
    authors: frozenset[str] = frozenset()
    run: str | None = None
    role: Role | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether it is allowed, with the reason either way; `who` names the roles that could, where another person is needed."""

    allowed: bool
    reason: str
    who: tuple[Role, ...] = ()


def permission_of(name: str) -> Permission:
    """The permission that is written `model:approve`.

    Raises:
        BadInput: the table has none of that name; the hint names the closest.
    """
    resource, _, verb = name.partition(":")
    permission = Permission(resource, verb)
    if permission not in HOLDERS:
        raise BadInput(f"there is no permission {name!r}", hint=did_you_mean(name, map(str, HOLDERS)))
    return permission


def _read(table: str) -> Mapping[Permission, tuple[Role, ...]]:
    """Who holds each permission, the roles in the order of the columns."""
    columns, *rows = (line.split() for line in table.splitlines() if line)
    return {
        Permission(*name.split(":")): tuple(role for role in ROLES if marks[columns.index(role)] == "yes")
        for name, *marks in rows
    }


HOLDERS: Mapping[Permission, tuple[Role, ...]] = MappingProxyType(_read(_TABLE))
"""Every permission there is, and the roles that hold it."""

KEPT: frozenset[Permission] = frozenset(
    permission
    for permission in HOLDERS
    if permission.verb in ("read", "verify", "export")
    or str(permission) in ("dataset:create", "run:create", "model:create", "prediction:create", "report:create", "token:revoke")
)
"""What a token may carry that is kept on a disk: to look, to work and to log out. Whoever steals it decides on no model, moves
none, administers nobody and makes no token that could."""

_DECISIONS = frozenset({"review", "approve", "reject", "waive"})


def roles_in(principal: Principal, project: str) -> frozenset[Role]:
    """The roles that count in a project: those granted there or in all projects."""
    return frozenset(role for role, where in principal.grants if where in (project, ANY))


def rights_of(principal: Principal) -> frozenset[Permission]:
    """Everything that a principal may do in some project."""
    held = {role for role, _ in principal.grants}
    rights = frozenset(permission for permission, holders in HOLDERS.items() if held.intersection(holders))
    return rights if principal.scopes is None else rights & principal.scopes


def decide(principal: Principal, permission: Permission, target: Target) -> Decision:
    """Allows what the table grants to one of the principal's roles in the target's project, unless a predicate forbids it.

    Whatever the table does not list is denied, to everybody. Role-based access control with separation of duty follows
    ANSI INCITS 359-2012: who decides on a model neither made it nor administers the users.
    """
    holders = HOLDERS.get(permission, ())
    if not holders:
        return Decision(allowed=False, reason=f"no role holds {permission}, so nobody may do this")
    held = roles_in(principal, target.project)
    through = [role for role in holders if role in held and target.role in (None, role)]
    if not through:
        return Decision(allowed=False, reason=_lacking(principal, permission, target, held), who=holders)
    if reason := _out_of_reach(principal, permission, target):
        return Decision(allowed=False, reason=reason)
    if reason := _not_apart(principal, permission, target, held):
        return Decision(allowed=False, reason=reason, who=holders)
    return Decision(allowed=True, reason=f"{principal.name} is {through[0]}, and that role holds {permission}")


def _lacking(principal: Principal, permission: Permission, target: Target, held: frozenset[Role]) -> str:
    where = "in all projects" if target.project == ANY else f"in project {target.project!r}"
    roles = ", ".join(role for role in ROLES if role in held) or "no role"
    asked = f" in the role {target.role}" if target.role is not None else ""
    return f"{principal.name} holds {roles} {where}, which does not allow {permission}{asked}"


def _out_of_reach(principal: Principal, permission: Permission, target: Target) -> str | None:
    """Why a role does not help here: what the token is narrowed to, the zone, the run, or whose token it is."""
    if principal.scopes is not None and permission not in principal.scopes:
        return f"this token of {principal.name} is narrowed and does not carry {permission}"
    if target.zone is not None and not principal.zones & {target.zone, ANY}:
        return f"{principal.name} may not see data of the zone {target.zone!r}"
    if principal.run is not None and target.run != principal.run and (target.run is not None or permission.verb != "read"):
        asked = target.run or "something outside any run"
        return f"this token belongs to the run {principal.run}, and does not reach {permission} of {asked}"
    if permission.resource == "token" and target.authors - {principal.id}:
        return f"this token is somebody else's, and {principal.name} may only manage own ones"
    return None


def _not_apart(principal: Principal, permission: Permission, target: Target, held: frozenset[Role]) -> str | None:
    """Why it takes another person to decide on this model."""
    if permission.verb not in _DECISIONS or principal.embedded:
        return None
    if target.authors & {principal.id, principal.name}:
        return f"{principal.name} made this model, and {permission} takes another person"
    if "admin" in held:
        return f"{principal.name} is an admin, and who grants roles does not decide on models"
    return None


def require(principal: Principal, permission: Permission, target: Target) -> Decision:
    """Decides, and refuses loudly.

    Raises:
        NotAllowed: with the decision's reason; the hint names who may.
    """
    decision = decide(principal, permission, target)
    if decision.allowed:
        return decision
    if decision.who:
        hint = f"Ask somebody else who is {' or '.join(decision.who)}; an admin grants roles."
    else:
        hint = "Nobody may, in this way: use a token that carries the right, or act on what is yours."
    raise NotAllowed(decision.reason, hint=hint)


def embedded(actor: str) -> Principal:
    """The one person of a project without a server: every role in every project, and own approvals count."""
    return Principal(id=actor, name=actor, grants=frozenset((role, ANY) for role in ROLES), embedded=True)
