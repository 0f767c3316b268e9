"""Bearer tokens: what is kept of them, what they reach, and when they end."""

from __future__ import annotations

import hashlib
import json
import os
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from workbench.errors import BadInput, NotAllowed, NotAuthenticated, NotFound
from workbench.governance import identity, tokens
from workbench.governance.access import HOLDERS, ROLES, Target, decide, permission_of, rights_of
from workbench.store import tables

REFUSED = "the token is unknown, expired or revoked"
CREDIT = Target(project="credit")
READ, CREATE, APPROVE = (permission_of(name) for name in ("model:read", "model:create", "model:approve"))
MINT = permission_of("token:create")
DECIDES = re.compile("review|approve|reject|waive|promote|rollback|erase|grant|revoke|token|user|audit")


def change(control, token, **values):
    with control.write(actor="test", action="change", subject=token) as connection:
        connection.execute(update(tables.tokens).where(tables.tokens.c.id == token).values(**values))


def acts(control):
    names = control.people()
    return [(names[entry.actor], entry.action, entry.subject) for entry in control.entries()]


def assert_refused(control, text):
    with pytest.raises(NotAuthenticated) as caught:
        tokens.authenticate(control, text)
    assert (caught.value.message, caught.value.hint) == (REFUSED, "Log in again: workbench login")


def lifetime(issued):
    return (datetime.fromisoformat(issued.expires) - datetime.now(UTC)).total_seconds()


def test_a_login_acts_with_the_roles_that_hold_now(control, logged_in):
    ann = logged_in("ann", "scientist")
    made = tokens.issue_session(control, user=ann.id, actor="ann")
    assert tokens.authenticate(control, made.text) == ann
    assert (ann.name, ann.grants, ann.scopes, ann.run) == ("ann", {("scientist", "credit")}, None, None)
    assert not ann.embedded
    assert 14 * 60 < lifetime(made) <= 15 * 60
    assert acts(control)[-1] == ("ann", "log in", ann.id)


def test_a_login_that_is_kept_on_a_disk_lasts_a_day_of_work_and_decides_nothing(control, logged_in):
    everything = logged_in("ann", *ROLES, project="*")
    made = tokens.issue_session(control, user=everything.id, actor="ann", keep=True)
    kept = tokens.authenticate(control, made.text)
    assert 8 * 3600 - 60 < lifetime(made) <= 8 * 3600
    changing = {str(permission) for permission in rights_of(kept) if permission.verb not in ("read", "verify", "export")}
    assert changing == {
        *("dataset:create", "run:create", "model:create", "prediction:create", "report:create", "token:revoke"),
    }
    with pytest.raises(NotAllowed, match="cannot give a token what ann does not hold: model:approve"):
        tokens.issue_api(control, kept, scopes={APPROVE}, days=1)


def test_the_token_of_a_run_is_renewed_by_its_owner_while_it_lives_and_by_nobody_else(control, logged_in):
    ann, eve = logged_in("ann", "scientist"), logged_in("eve", "scientist")
    made = tokens.issue_run(control, ann, run="r-1")
    expires = tokens.renew_run(control, ann, run="r-1")
    assert made.expires < expires
    assert tokens.tokens_of(control, ann.id)[-1].expires == expires
    assert acts(control)[-1] == ("ann", "renew run token", "r-1")
    with pytest.raises(NotAllowed, match="does not prolong its own token"):
        tokens.renew_run(control, tokens.authenticate(control, made.text), run="r-1")
    with pytest.raises(NotFound, match="no token of r-1 lives that is yours"):
        tokens.renew_run(control, eve, run="r-1")
    tokens.end_run(control, "r-1", actor="eve", owner=eve.id)
    assert tokens.authenticate(control, made.text).run == "r-1"
    tokens.end_run(control, "r-1", actor="ann", owner=ann.id)
    assert_refused(control, made.text)
    with pytest.raises(NotFound):
        tokens.renew_run(control, ann, run="r-1")


def test_a_token_of_a_run_that_has_expired_is_not_brought_back(control, logged_in):
    ann = logged_in("ann", "scientist")
    made = tokens.issue_run(control, ann, run="r-1")
    change(control, made.id, expires="2020-01-01T00:00:00.000000+00:00")
    with pytest.raises(NotFound):
        tokens.renew_run(control, ann, run="r-1")
    assert_refused(control, made.text)


def test_only_a_hash_of_the_secret_is_kept(control, logged_in):
    ann = logged_in("ann", "scientist")
    made = tokens.issue_api(control, ann, scopes={READ}, days=7)
    written = re.fullmatch(r"wbt_([0-9a-f]{16})_([A-Za-z0-9_-]{43})", made.text)
    assert written[1] == made.id == tokens.token_id_of(made.text)
    with control.read() as connection:
        row = connection.execute(select(tables.tokens).where(tables.tokens.c.id == made.id)).one()
    assert row.hash == hashlib.sha256(written[2].encode()).hexdigest()
    assert written[2] not in repr(row) + repr(list(control.entries())) + repr(tokens.tokens_of(control, ann.id))
    assert json.loads(row.scopes) == ["model:read"]
    assert made.text != tokens.issue_api(control, ann, scopes={READ}, days=7).text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text + "\n",
        lambda text: f" {text}",
        lambda text: text.replace("wbt_", "wbt-"),
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: text.upper(),
        lambda text: f"wbt_{'0' * 16}_{text[21:]}",
        lambda text: "wbt_' OR 1=1 --",
        lambda text: "\x00",
    ],
)
def test_whatever_is_not_exactly_a_token_is_refused_in_the_same_words(control, logged_in, spoil):
    text = tokens.issue_session(control, user=logged_in("ann", "viewer").id, actor="ann").text
    assert_refused(control, spoil(text))
    assert tokens.authenticate(control, text).name == "ann"


def test_one_tokens_secret_does_not_open_another(control, logged_in):
    ann, bob = (tokens.issue_session(control, user=logged_in(name).id, actor=name).text for name in ("ann", "bob"))
    assert_refused(control, ann[:21] + bob[21:])


@pytest.mark.parametrize("change_to", [{"expires": "2020-01-01T00:00:00.000000+00:00"}, {"revoked": "2020-01-01"}])
def test_an_expired_or_revoked_token_is_refused_in_the_same_words(control, logged_in, change_to):
    made = tokens.issue_session(control, user=logged_in("ann").id, actor="ann")
    change(control, made.id, **change_to)
    assert_refused(control, made.text)


def test_a_disabled_user_is_let_in_no_more(control, logged_in):
    ann = logged_in("ann", "viewer")
    made = tokens.issue_session(control, user=ann.id, actor="ann")
    with control.write(actor="root", action="disable", subject=ann.id) as connection:
        connection.execute(update(tables.users).values(active=0))
    assert_refused(control, made.text)


def test_a_bootstrap_token_acts_for_nobody(control):
    assert_refused(control, identity.bootstrap(control))


def test_a_program_may_do_what_its_owner_narrowed_it_to_and_no_more(control, logged_in):
    ann = logged_in("ann", "scientist", "approver")
    program = tokens.authenticate(control, tokens.issue_api(control, ann, scopes={READ, CREATE}, days=90).text)
    assert program.scopes == {READ, CREATE}
    assert decide(program, CREATE, CREDIT).allowed
    assert not decide(program, APPROVE, CREDIT).allowed


def test_a_program_never_gets_what_its_owner_does_not_hold(control, logged_in):
    ann = logged_in("ann", "scientist")
    with pytest.raises(NotAllowed) as caught:
        tokens.issue_api(control, ann, scopes={READ, APPROVE, permission_of("user:grant")}, days=1)
    assert caught.value.message == "ann cannot give a token what ann does not hold: model:approve, user:grant"
    assert caught.value.hint == "Ask for fewer scopes, or an admin for the role."
    assert len(tokens.tokens_of(control, ann.id)) == 1


def test_a_role_taken_later_is_taken_from_the_program_as_well(control, logged_in):
    ann = logged_in("ann", "approver")
    text = tokens.issue_api(control, ann, scopes={APPROVE}, days=1).text
    assert decide(tokens.authenticate(control, text), APPROVE, CREDIT).allowed
    identity.revoke(control, ann.id, role="approver", project="credit", actor="root")
    assert not decide(tokens.authenticate(control, text), APPROVE, CREDIT).allowed


def test_a_program_makes_no_tokens_and_widens_nothing(control, logged_in):
    ann = logged_in("ann", "scientist")
    whole = tokens.authenticate(control, tokens.issue_api(control, ann, scopes=None, days=1).text)
    assert whole.scopes == frozenset(HOLDERS) - {MINT}
    assert not decide(whole, MINT, CREDIT).allowed
    asked = tokens.authenticate(control, tokens.issue_api(control, ann, scopes={READ, MINT}, days=1).text)
    assert asked.scopes == {READ}
    with pytest.raises(NotAllowed, match="model:create"):
        tokens.issue_api(control, asked, scopes={READ, CREATE}, days=1)
    again = tokens.authenticate(control, tokens.issue_api(control, asked, scopes=None, days=1).text)
    assert again.scopes == {READ}
    assert tokens.authenticate(control, tokens.issue_api(control, ann, scopes=[], days=1).text).scopes == frozenset()


@pytest.mark.parametrize("days", [-1, 0, 91, 10**6])
def test_a_token_lives_for_a_day_to_ninety(control, logged_in, days):
    with pytest.raises(BadInput) as caught:
        tokens.issue_api(control, logged_in("ann", "viewer"), scopes=None, days=days)
    assert caught.value.message == f"a token for {days} days was asked for, expected 1 to 90"


@pytest.mark.parametrize("days", [1, 90])
def test_a_token_expires_when_it_was_said_to(control, logged_in, days):
    made = tokens.issue_api(control, logged_in("ann", "viewer"), scopes=None, days=days)
    assert timedelta(days=days).total_seconds() - 60 < lifetime(made) <= timedelta(days=days).total_seconds()
    entry = control.newest_entries(1)[0]
    assert (entry.action, json.loads(entry.detail)) == ("make api token", {"token": made.id, "expires": made.expires})
    assert acts(control)[-1] == ("ann", "make api token", tokens.tokens_of(control, entry.subject)[0].user)


def test_a_run_reaches_what_a_run_needs_and_decides_nothing(control, logged_in):
    ann = logged_in("ann", "scientist", "approver", "operator")
    made = tokens.issue_run(control, ann, run="experiment-1")
    run = tokens.authenticate(control, made.text)
    assert (run.run, run.id, run.scopes) == ("experiment-1", ann.id, tokens.RUN_SCOPES)
    assert 840 < lifetime(made) <= 900
    assert acts(control)[-1] == ("ann", "make run token", "experiment-1")
    for permission in HOLDERS:
        decision = decide(run, permission, Target(project="credit", run="experiment-1"))
        assert not (decision.allowed and DECIDES.search(str(permission))), permission
    assert {str(scope) for scope in run.scopes} == {
        *("project:read", "dataset:read", "dataset:create", "run:read", "run:create", "model:read", "model:create"),
        *("release:read", "deployment:read", "prediction:read", "report:read", "report:create"),
    }
    assert not decide(run, CREATE, Target(project="credit", run="experiment-2")).allowed


def test_a_run_of_a_narrowed_token_is_as_narrow(control, logged_in):
    ann = logged_in("ann", "scientist")
    narrow = tokens.authenticate(control, tokens.issue_api(control, ann, scopes={READ, MINT}, days=1).text)
    assert tokens.authenticate(control, tokens.issue_run(control, narrow, run="r-1").text).scopes == {READ}


def test_a_run_makes_no_tokens(control, logged_in):
    run = tokens.authenticate(control, tokens.issue_run(control, logged_in("ann", "scientist"), run="r-1").text)
    with pytest.raises(NotAllowed) as caught:
        tokens.issue_run(control, run, run="r-1")
    assert (caught.value.message, caught.value.hint) == ("a run makes no tokens", "Who started the run makes the next one.")
    with pytest.raises(NotAllowed) as caught:
        tokens.issue_api(control, run, scopes=None, days=1)
    assert (caught.value.message, caught.value.hint) == (
        "a run makes no tokens",
        "Log in, and make it yourself: workbench login",
    )


def test_a_runs_token_ends_with_the_run(control, logged_in):
    ann = logged_in("ann", "scientist")
    control.start_run(run="r-1", flow="experiment", actor="ann", process=os.getpid())
    text = tokens.issue_run(control, ann, run="r-1").text
    assert tokens.authenticate(control, text).run == "r-1"
    control.end_run("r-1", actor="ann")
    assert_refused(control, text)
    with pytest.raises(NotAllowed) as caught:
        tokens.issue_run(control, ann, run="r-1")
    assert (caught.value.message, caught.value.hint) == (
        "r-1 is succeeded and belongs to ann",
        "Its owner asks, while it runs.",
    )


def test_the_tokens_of_a_run_end_when_its_owner_says_so_and_no_others(control, logged_in):
    ann = logged_in("ann", "scientist")
    first, second, other = (tokens.issue_run(control, ann, run=run).text for run in ("r-1", "r-1", "r-2"))
    tokens.end_run(control, "r-1", actor="ann")
    assert_refused(control, first)
    assert_refused(control, second)
    assert tokens.authenticate(control, other).run == "r-2"
    assert acts(control)[-1] == ("ann", "end run tokens", "r-1")
    ended = [token.revoked for token in tokens.tokens_of(control, ann.id) if token.run == "r-1"]
    tokens.end_run(control, "r-1", actor="ann")
    assert [token.revoked for token in tokens.tokens_of(control, ann.id) if token.run == "r-1"] == ended


def test_nobody_gets_a_token_for_somebody_elses_run(control, logged_in):
    ann, eve = logged_in("ann", "scientist"), logged_in("eve", "scientist")
    control.start_run(run="r-1", flow="experiment", actor="ann", process=os.getpid())
    tokens.issue_run(control, ann, run="r-2")
    with pytest.raises(NotAllowed, match="r-1 is running and belongs to ann"):
        tokens.issue_run(control, eve, run="r-1")
    with pytest.raises(NotAllowed) as caught:
        tokens.issue_run(control, eve, run="r-2")
    assert (caught.value.message, caught.value.hint) == (
        "r-2 belongs to somebody else",
        "Its owner asks, while it runs.",
    )


def test_a_token_is_revoked_by_its_owner_or_an_admin_once(control, logged_in):
    ann, bob = logged_in("ann", "viewer"), logged_in("bob", "viewer")
    made, kept = (tokens.issue_api(control, ann, scopes=None, days=1) for _ in range(2))
    with pytest.raises(NotFound) as caught:
        tokens.revoke(control, made.id, actor="bob", owner=bob.id)
    assert (caught.value.message, caught.value.hint) == (f"no token {made.id!r} of yours", "List them first.")
    assert tokens.authenticate(control, made.text).id == ann.id
    tokens.revoke(control, made.id, actor="ann", owner=ann.id)
    assert acts(control)[-1] == ("ann", "revoke token", made.id)
    assert_refused(control, made.text)
    when = next(token.revoked for token in tokens.tokens_of(control, ann.id) if token.id == made.id)
    tokens.revoke(control, made.id, actor="root")
    assert next(token.revoked for token in tokens.tokens_of(control, ann.id) if token.id == made.id) == when
    assert tokens.authenticate(control, kept.text).id == ann.id
    with pytest.raises(NotFound) as caught:
        tokens.revoke(control, "unknown", actor="root")
    assert caught.value.message == "no token 'unknown'"


def test_tokens_are_listed_to_their_owner_without_secrets(control, logged_in):
    ann = logged_in("ann", "scientist")
    logged_in("bob", "viewer")
    made = tokens.issue_api(control, ann, scopes={READ, CREATE}, days=3)
    session, program = tokens.tokens_of(control, ann.id)
    assert (session.kind, session.scopes, session.user) == ("session", None, ann.id)
    assert program == tokens.Token(
        id=made.id,
        user=ann.id,
        kind="api",
        scopes=("model:create", "model:read"),
        run=None,
        created=program.created,
        expires=made.expires,
        revoked=None,
    )
    assert datetime.fromisoformat(program.created) <= datetime.now(UTC)


def test_what_is_not_written_like_a_token_has_no_id():
    assert tokens.token_id_of("Bearer x") is None
    assert not tokens.secret_matches("0" * 64, "no token")
