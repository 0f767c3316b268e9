"""Every role against every permission, written a second time by hand, and what else must hold."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BadInput, NotAllowed
from workbench.governance import access
from workbench.governance.access import (
    HOLDERS,
    ROLES,
    Decision,
    Permission,
    Principal,
    Target,
    decide,
    embedded,
    permission_of,
    require,
    roles_in,
)

LOOKS = "project:read run:read model:read release:read deployment:read report:read"
OWN_TOKENS = "token:read token:create token:revoke"
MAY = {
    "viewer": f"{LOOKS} {OWN_TOKENS}",
    "scientist": (
        f"{LOOKS} {OWN_TOKENS} dataset:read dataset:create run:create model:create model:verify "
        "prediction:read prediction:create report:create evidence:export"
    ),
    "reviewer": (
        f"{LOOKS} {OWN_TOKENS} dataset:read prediction:read model:verify model:review model:approve model:reject evidence:export"
    ),
    "approver": f"{LOOKS} {OWN_TOKENS} model:verify model:approve model:reject model:waive evidence:export",
    "operator": (
        f"{LOOKS} {OWN_TOKENS} model:verify release:promote release:rollback deployment:create prediction:create report:create"
    ),
    "auditor": (
        f"{LOOKS} {OWN_TOKENS} prediction:read model:verify evidence:export audit:read audit:verify audit:export user:read"
    ),
    "admin": (
        f"project:read project:create {OWN_TOKENS} audit:verify "
        "user:read user:create user:update user:grant user:revoke user:erase"
    ),
    "service": f"{LOOKS} dataset:read run:create model:verify prediction:read prediction:create report:create",
}

DECISIONS = ("model:review", "model:approve", "model:reject", "model:waive")
RESOURCES = [*sorted({permission.resource for permission in HOLDERS}), "secret"]
VERBS = [*sorted({permission.verb for permission in HOLDERS}), "write", "delete", "*"]

permissions = st.sampled_from(sorted(HOLDERS))
names = st.sampled_from(["ann", "bob"])
projects = st.sampled_from(["credit", "churn", "*"])
zones = st.sampled_from(["local", "uae"])
everything = st.builds(
    Principal,
    id=names.map("user-{}".format),
    name=names,
    grants=st.frozensets(st.tuples(st.sampled_from(ROLES), projects)),
    zones=st.frozensets(st.sampled_from(["local", "uae", "*"])),
    scopes=st.none() | st.frozensets(permissions),
    run=st.none() | st.sampled_from(["run-1", "run-2"]),
)
targets = st.builds(
    Target,
    project=projects,
    zone=st.none() | zones,
    authors=st.frozensets(st.sampled_from(["user-ann", "user-bob", "ann", "bob"])),
    run=st.none() | st.sampled_from(["run-1", "run-2"]),
    role=st.none() | st.sampled_from(ROLES),
)


def somebody(*roles: str, project: str = "credit", **changes: object) -> Principal:
    granted = frozenset((role, project) for role in roles)
    return Principal(**{"id": "user-ann", "name": "ann", "grants": granted, **changes})


CREDIT = Target(project="credit")
APPROVE = Permission("model", "approve")


def test_there_are_eight_roles_and_112_rules():
    assert set(MAY) == set(ROLES)
    assert sum(len(may.split()) for may in MAY.values()) == sum(map(len, HOLDERS.values())) == 112


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_exactly_what_its_line_says(role):
    may = set(MAY[role].split())
    for resource, verb in product(RESOURCES, VERBS):
        permission = Permission(resource, verb)
        decision = decide(somebody(role), permission, CREDIT)
        assert decision.allowed is (str(permission) in may), permission
        assert decision.reason
        others = {name for name in ROLES if str(permission) in MAY[name].split()}
        assert set(decision.who) == (set() if decision.allowed else others)


def test_nobody_writes_the_audit_and_no_admin_decides_on_a_model():
    assert {permission.verb for permission in HOLDERS if permission.resource == "audit"} == {"read", "verify", "export"}
    assert not any("admin" in HOLDERS[permission_of(name)] for name in DECISIONS)


@pytest.mark.parametrize("name", DECISIONS)
def test_an_admin_who_grants_himself_a_role_does_not_decide_either(name):
    both = somebody("admin", "approver", "reviewer")
    decision = decide(both, permission_of(name), CREDIT)
    assert decision == Decision(
        allowed=False, reason="ann is an admin, and who grants roles does not decide on models", who=HOLDERS[permission_of(name)]
    )
    elsewhere = somebody("approver", "reviewer", id="user-ann")
    assert decide(elsewhere, permission_of(name), CREDIT).allowed


@pytest.mark.parametrize("author", ["user-ann", "ann"])
@pytest.mark.parametrize("name", DECISIONS)
def test_nobody_decides_on_an_own_model(name, author):
    target = Target(project="credit", authors=frozenset({author, "user-bob"}))
    decision = decide(somebody("approver", "reviewer"), permission_of(name), target)
    assert decision == Decision(
        allowed=False, reason=f"ann made this model, and {name} takes another person", who=HOLDERS[permission_of(name)]
    )
    assert decide(somebody("approver", "reviewer", id="user-cy", name="cy"), permission_of(name), target).allowed


def test_the_author_may_do_everything_else_with_an_own_model():
    target = Target(project="credit", authors=frozenset({"user-ann"}))
    for permission in sorted(HOLDERS):
        if str(permission) not in DECISIONS:
            assert decide(somebody(*ROLES), permission, target).allowed


def test_the_one_person_of_a_project_without_a_server_may_do_everything_listed():
    ann = embedded("ann")
    assert (ann.id, ann.name, ann.embedded, ann.scopes, ann.run) == ("ann", "ann", True, None, None)
    for permission in HOLDERS:
        assert decide(ann, permission, Target(project="credit", zone="uae", authors=frozenset({"ann"}))).allowed
    assert not decide(ann, Permission("audit", "write"), CREDIT).allowed
    assert not Principal(id="a", name="a", grants=frozenset()).embedded


def test_who_decides_in_a_role_holds_that_role():
    reviewer = somebody("reviewer", "operator")
    assert decide(reviewer, APPROVE, Target(project="credit", role="reviewer")).allowed
    refused = decide(reviewer, APPROVE, Target(project="credit", role="approver"))
    assert refused.reason == (
        "ann holds reviewer, operator in project 'credit', which does not allow model:approve in the role approver"
    )
    assert not decide(reviewer, APPROVE, Target(project="credit", role="operator")).allowed


def test_a_role_counts_where_it_was_granted():
    assert not decide(somebody("approver", project="churn"), APPROVE, CREDIT).allowed
    assert not decide(somebody("approver"), APPROVE, Target()).allowed
    assert decide(somebody("approver", project="*"), APPROVE, CREDIT).allowed
    assert roles_in(somebody("approver"), "credit") == {"approver"}
    assert decide(somebody(), APPROVE, CREDIT).reason == (
        "ann holds no role in project 'credit', which does not allow model:approve"
    )
    assert decide(somebody(), APPROVE, Target()).reason == "ann holds no role in all projects, which does not allow model:approve"


def test_a_reason_says_what_was_decided_and_why():
    assert decide(somebody("approver"), APPROVE, CREDIT) == Decision(
        allowed=True, reason="ann is approver, and that role holds model:approve"
    )
    assert decide(somebody(*ROLES), Permission("audit", "write"), CREDIT) == Decision(
        allowed=False, reason="no role holds audit:write, so nobody may do this"
    )
    narrowed = somebody("approver", scopes=frozenset())
    assert decide(narrowed, APPROVE, CREDIT).reason == "this token of ann is narrowed and does not carry model:approve"
    assert decide(narrowed, APPROVE, CREDIT).who == ()
    elsewhere = somebody("approver", zones=frozenset({"uae"}))
    assert decide(elsewhere, APPROVE, Target(project="credit", zone="eu")).reason == "ann may not see data of the zone 'eu'"
    assert decide(elsewhere, APPROVE, Target(project="credit", zone="uae")).allowed
    assert decide(elsewhere, APPROVE, CREDIT).allowed


def test_a_run_token_changes_only_its_own_run_and_reads_no_other():
    running = somebody("scientist", run="run-1")
    create, read = Permission("run", "create"), Permission("run", "read")
    assert decide(running, create, Target(project="credit", run="run-1")).allowed
    assert decide(running, read, CREDIT).allowed
    assert decide(running, read, Target(project="credit", run="run-1")).allowed
    beyond = "this token belongs to the run run-1, and does not reach {} of {}"
    assert decide(running, create, CREDIT).reason == beyond.format("run:create", "something outside any run")
    for permission in (create, read):
        refused = decide(running, permission, Target(project="credit", run="run-2"))
        assert refused == Decision(allowed=False, reason=beyond.format(permission, "run-2"))


def test_a_token_is_its_owners_alone():
    revoke = Permission("token", "revoke")
    assert decide(somebody("viewer"), revoke, Target(project="credit", authors=frozenset({"user-ann"}))).allowed
    for owners in ({"user-bob"}, {"user-bob", "user-ann"}):
        refused = decide(somebody("viewer", "admin"), revoke, Target(project="credit", authors=frozenset(owners)))
        assert refused == Decision(allowed=False, reason="this token is somebody else's, and ann may only manage own ones")


def test_a_refusal_names_who_may():
    with pytest.raises(NotAllowed) as caught:
        require(somebody("scientist"), APPROVE, CREDIT)
    assert caught.value.message == "ann holds scientist in project 'credit', which does not allow model:approve"
    assert caught.value.hint == "Ask somebody else who is reviewer or approver; an admin grants roles."
    with pytest.raises(NotAllowed) as caught:
        require(somebody("approver", scopes=frozenset()), APPROVE, CREDIT)
    assert caught.value.hint == "Nobody may, in this way: use a token that carries the right, or act on what is yours."
    assert require(somebody("approver"), APPROVE, CREDIT).allowed


def test_a_permission_is_known_by_its_name():
    assert permission_of("model:approve") == APPROVE
    assert str(APPROVE) == "model:approve"
    for name in ("model:aprove", "model", "model:approve:x", "", "*:*"):
        with pytest.raises(BadInput, match="there is no permission") as caught:
            permission_of(name)
        assert caught.value.hint
    with pytest.raises(BadInput) as caught:
        permission_of("model:aprove")
    assert (caught.value.message, caught.value.hint) == (
        "there is no permission 'model:aprove'",
        "Did you mean 'model:approve'?",
    )


@given(everything, permissions, targets)
def test_what_is_allowed_meets_every_condition(principal, permission, target):
    decision = decide(principal, permission, target)
    held = {role for role, where in principal.grants if where in (target.project, "*")}
    through = {role for role in held if str(permission) in MAY[role].split() and target.role in (None, role)}
    reads = target.run is None and permission.verb == "read"
    conditions = (
        bool(through),
        principal.scopes is None or permission in principal.scopes,
        target.zone is None or target.zone in principal.zones or "*" in principal.zones,
        principal.run is None or principal.run == target.run or reads,
        permission.resource != "token" or target.authors <= {principal.id},
        str(permission) not in DECISIONS or not ({principal.id, principal.name} & target.authors or "admin" in held),
    )
    assert decision.allowed is all(conditions)
    assert decision.reason


@given(everything, permissions, targets, st.frozensets(permissions))
def test_narrowing_a_token_never_allows_more(principal, permission, target, scopes):
    open_to_all = Principal(id=principal.id, name=principal.name, grants=principal.grants, zones=principal.zones)
    narrowed = Principal(
        id=principal.id, name=principal.name, grants=principal.grants, zones=principal.zones, scopes=scopes, run=principal.run
    )
    assert decide(open_to_all, permission, target).allowed >= decide(narrowed, permission, target).allowed


def test_a_table_is_read_by_the_names_over_its_columns():
    rows = "\n".join(
        ["", "  ".join(["", *reversed(ROLES)]), "a:b  yes" + "  -" * 7, "a:c" + "  -" * 6 + "  yes  yes", "a:d" + "  -" * 8]
    )
    first, second, last = ROLES[0], ROLES[1], ROLES[-1]
    assert access._read(rows) == {Permission("a", "b"): (last,), Permission("a", "c"): (first, second), Permission("a", "d"): ()}
    assert access._read(access._TABLE) == HOLDERS


def test_what_no_role_holds_is_denied_to_everybody():
    everyone = Principal(id="1", name="ann", grants=frozenset((role, "*") for role in ROLES))
    expected = Decision(allowed=False, reason="no role holds secret:read, so nobody may do this")
    assert decide(everyone, Permission("secret", "read"), Target()) == expected
