"""One decision about one permission, against casbin with the same rules."""

from __future__ import annotations

from itertools import product

import casbin
from casbin.model import Model

from tests.benchmarks.table import Measurement
from tests.benchmarks.timing import cpu_seconds, interleaved
from workbench.governance.access import HOLDERS, ROLES, Permission, Principal, Target, decide

ROUNDS = 7
REPEATED = 20

MODEL = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
"""

PROJECT = Target(project="credit")


def run() -> list[Measurement]:
    """Measures CPU of asking every role for every resource and verb; both must answer alike first."""
    enforcer = _casbin()
    resources, verbs = ({getattr(permission, part) for permission in HOLDERS} for part in ("resource", "verb"))
    asked = [(role, Permission(resource, verb)) for role, resource, verb in product(ROLES, sorted(resources), sorted(verbs))]
    people = {role: Principal(id=role, name=role, grants=frozenset({(role, "credit")})) for role in ROLES}
    answers = [decide(people[role], permission, PROJECT).allowed for role, permission in asked]
    theirs = [enforcer.enforce(f"a-{role}", permission.resource, permission.verb) for role, permission in asked]
    if answers != theirs:
        raise AssertionError("casbin and the table do not give the same answers")
    table = {(role, permission.resource, permission.verb): True for permission, roles in HOLDERS.items() for role in roles}
    keys = [(role, permission.resource, permission.verb) for role, permission in asked]
    calls = len(asked)

    def ours() -> None:
        for role, permission in asked * REPEATED:
            decide(people[role], permission, PROJECT)

    def peer() -> None:
        for role, permission in asked:
            enforcer.enforce(f"a-{role}", permission.resource, permission.verb)

    def lookup() -> None:
        for key in keys * REPEATED:
            table.get(key)

    own, other, least = interleaved(
        lambda: cpu_seconds(ours) / (calls * REPEATED),
        lambda: cpu_seconds(peer) / calls,
        lambda: cpu_seconds(lookup) / (calls * REPEATED),
        rounds=ROUNDS,
    )
    return [
        Measurement(
            path=f"policy, {sum(answers)} rules, each of {calls:,} questions answered alike: CPU microseconds for each decision",
            ours=1e6 * own,
            peer=1e6 * other,
            ratio=other / own,
            goal="≥ 100 (casbin / ours)",
            limit=f"looking one key up in a dict: {1e6 * least:.2f} µs. Ours also names project, reason and who else may",
        )
    ]


def _casbin() -> casbin.Enforcer:
    model = Model()
    model.load_model_from_text(MODEL)
    enforcer = casbin.Enforcer(model)
    for permission, roles in HOLDERS.items():
        for role in roles:
            enforcer.add_policy(role, permission.resource, permission.verb)
    for role in ROLES:
        enforcer.add_grouping_policy(f"a-{role}", role)
    return enforcer
