"""Local users, users of a provider, grants, and the first admin."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from workbench.errors import BadInput, NotAllowed, NotAuthenticated, NotFound
from workbench.governance import identity, tokens
from workbench.governance.passwords import Cost
from workbench.store import Control, tables

WRONG = "name and password do not belong together, or there were too many attempts"
QUICK = Cost(passes=1, memory=8, lanes=1)
"""As little as Argon2 can do: many passwords are tried here."""

USED = "the bootstrap token is unknown, expired or used"


@pytest.fixture
def ann(control, password):
    return identity.add_user(control, name="ann", password=password, actor="root", cost=QUICK)


@pytest.fixture
def root(control):
    """An admin of all projects."""
    user = identity.enter(control, issuer="https://id.example", subject="root", name="root")
    identity.grant(control, user.id, role="admin", project="*", actor="setup")
    return user


def acts(control):
    names = control.people()
    return [(names[entry.actor], entry.action, entry.subject) for entry in control.entries()]


def session(control, user):
    return tokens.issue_session(control, user=user.id, actor=user.name).text


def stored(control, user):
    with control.read() as connection:
        return connection.execute(select(tables.users).where(tables.users.c.id == user)).one()


def assert_refused(control, name, password):
    with pytest.raises(NotAuthenticated) as caught:
        identity.log_in(control, name=name, password=password, cost=QUICK)
    assert (caught.value.message, caught.value.hint) == (
        WRONG,
        "After 5 failed attempts wait 15 minutes, or ask an admin for a new password.",
    )


def test_a_local_user_logs_in_by_name_and_password(control, ann, password):
    assert identity.log_in(control, name="ann", password=password, cost=QUICK) == ann
    assert (ann.name, ann.issuer, ann.active, ann.grants) == ("ann", identity.LOCAL, True, frozenset())
    assert acts(control) == [
        ("root", "add user", ann.id),
        ("somebody not logged in", "try password", ann.id),
        ("ann", "prove password", ann.id),
    ]


def test_a_password_is_kept_as_a_salted_argon2id_hash_only(control, password):
    ann = identity.add_user(control, name="ann", password=password, actor="root")
    row = stored(control, ann.id)
    assert row.password.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert (row.issuer, row.subject, row.name) == ("local", "ann", "ann")
    assert password not in repr(row) + repr(list(control.entries())) + repr(ann)


def test_a_wrong_password_and_an_unknown_name_are_refused_in_the_same_words(control, ann, password):
    assert_refused(control, "ann", "wrong")
    assert_refused(control, "ann", "")
    assert_refused(control, "nobody", password)
    assert_refused(control, "", password)


def test_after_five_failures_even_the_right_password_waits_also_after_a_restart(control, ann, password):
    for _ in range(5):
        assert_refused(control, "ann", "wrong")
    before = len(list(control.entries()))
    assert_refused(control, "ann", password)
    url = control._engine.url.render_as_string(hide_password=False)
    with Control(url) as restarted:
        assert_refused(restarted, "ann", password)
    assert len(list(control.entries())) == before


def test_an_admins_new_password_ends_the_waiting(control, ann, password):
    for _ in range(5):
        assert_refused(control, "ann", "wrong")
    identity.set_password(control, ann.id, password="another long password", actor="root", cost=QUICK)
    assert identity.log_in(control, name="ann", password="another long password", cost=QUICK) == ann
    assert_refused(control, "ann", password)


def test_four_failures_before_a_success_are_forgiven(control, ann, password):
    for _ in range(2):
        for _ in range(4):
            assert_refused(control, "ann", "wrong")
        assert identity.log_in(control, name="ann", password=password, cost=QUICK) == ann


def test_failures_count_for_a_quarter_of_an_hour(control, ann, password, monkeypatch):
    for _ in range(5):
        assert_refused(control, "ann", "wrong")
    monkeypatch.setattr(identity, "WINDOW", identity.WINDOW * 0)
    assert identity.log_in(control, name="ann", password=password, cost=QUICK) == ann


def test_one_users_failures_do_not_lock_another_out(control, ann, password):
    bob = identity.add_user(control, name="bob", password=password, actor="root", cost=QUICK)
    for _ in range(6):
        assert_refused(control, "nobody", "wrong")
        assert_refused(control, "ann", "wrong")
    assert identity.log_in(control, name="bob", password=password, cost=QUICK) == bob


def test_guesses_at_once_are_counted_one_by_one(control, ann):
    def guess(number):
        with pytest.raises(NotAuthenticated):
            identity.log_in(control, name="ann", password=f"guess {number}", cost=QUICK)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(guess, range(8)))
    assert [action for _, action, _ in acts(control)].count("try password") == 5


@pytest.mark.parametrize("length", [0, 11, 1025])
def test_a_password_is_neither_short_nor_endless(control, length):
    with pytest.raises(BadInput) as caught:
        identity.add_user(control, name="ann", password="x" * length, actor="root", cost=QUICK)
    assert caught.value.message == f"a password of {length} characters was given, expected 12 to 1024"
    assert identity.list_users(control) == []


@pytest.mark.parametrize("name", ["", "Ann", "a b", "-a", "user-1", "person-ann", "a" * 64, "ann\n", "../ann", "änn"])
def test_a_name_is_plain(control, name, password):
    with pytest.raises(BadInput, match="cannot be a user's name"):
        identity.add_user(control, name=name, password=password, actor="root", cost=QUICK)


def test_a_name_is_given_once(control, ann, password):
    with pytest.raises(BadInput, match="there is a user 'ann' already"):
        identity.add_user(control, name="ann", password=password, actor="root", cost=QUICK)
    assert [user.name for user in identity.list_users(control)] == ["ann"]


def test_another_password_takes_the_old_one_and_ends_every_login(control, ann, password):
    text = session(control, ann)
    program = tokens.issue_api(control, tokens.authenticate(control, text), scopes=[], days=1).text
    with pytest.raises(NotAuthenticated, match="do not belong together"):
        identity.change_password(control, name="ann", old="wrong", new="another long password", cost=QUICK)
    with pytest.raises(BadInput, match="12 to 1024"):
        identity.change_password(control, name="ann", old=password, new="short", cost=QUICK)
    assert tokens.authenticate(control, text).name == "ann"
    identity.change_password(control, name="ann", old=password, new="another long password", cost=QUICK)
    with pytest.raises(NotAuthenticated):
        tokens.authenticate(control, text)
    assert tokens.authenticate(control, program).name == "ann"
    assert acts(control)[-1] == ("ann", "set password", ann.id)
    assert identity.log_in(control, name="ann", password="another long password", cost=QUICK) == ann
    assert_refused(control, "ann", password)


def test_who_logs_in_elsewhere_has_no_password_here(control, root, password):
    with pytest.raises(BadInput, match="no password here"):
        identity.set_password(control, root.id, password=password, actor="root", cost=QUICK)
    with pytest.raises(NotFound, match="there is no such user"):
        identity.set_password(control, "user-0", password=password, actor="root", cost=QUICK)
    assert_refused(control, "root", password)


@pytest.mark.parametrize("change", [identity.grant, identity.revoke])
def test_a_changed_role_ends_every_login_of_that_user_only(control, root, change):
    bob = identity.enter(control, issuer="https://id.example", subject="bob", name="bob")
    if change is identity.revoke:
        identity.grant(control, bob.id, role="approver", project="credit", actor="root")
    mine, theirs = session(control, bob), session(control, root)
    change(control, bob.id, role="approver", project="credit", actor="root")
    with pytest.raises(NotAuthenticated):
        tokens.authenticate(control, mine)
    assert tokens.authenticate(control, theirs).name == "root"
    held = {("approver", "credit")} if change is identity.grant else set()
    assert next(user for user in identity.list_users(control) if user.id == bob.id).grants == held
    entry = control.newest_entries(1)[0]
    assert (entry.action, json.loads(entry.detail)) == (
        f"{change.__name__} role",
        {"role": "approver", "project": "credit"},
    )
    assert acts(control)[-1] == ("root", f"{change.__name__} role", bob.id)


def test_a_role_granted_again_changes_nothing(control, root):
    text = session(control, root)
    identity.grant(control, root.id, role="admin", project="*", actor="root")
    assert tokens.authenticate(control, text).grants == {("admin", "*")}


def test_grants_name_a_role_a_project_and_a_user_that_can_be(control, root):
    with pytest.raises(BadInput) as caught:
        identity.grant(control, root.id, role="aprover", project="credit", actor="root")
    assert (caught.value.message, caught.value.hint) == ("there is no role 'aprover'", "Did you mean 'approver'?")
    for project in ("", "Credit", "a b", "**", "a" * 64):
        with pytest.raises(BadInput, match="cannot be a project's name"):
            identity.grant(control, root.id, role="viewer", project=project, actor="root")
    with pytest.raises(NotFound, match="there is no such user"):
        identity.grant(control, "user-0", role="viewer", project="credit", actor="root")
    with pytest.raises(NotFound, match=r"does not hold viewer in credit"):
        identity.revoke(control, root.id, role="viewer", project="credit", actor="root")


def test_there_is_always_an_admin(control, root):
    bob = identity.enter(control, issuer="https://id.example", subject="bob", name="bob")
    identity.grant(control, bob.id, role="admin", project="credit", actor="root")
    for act in (
        lambda: identity.revoke(control, root.id, role="admin", project="*", actor="root"),
        lambda: identity.disable(control, root.id, actor="root"),
    ):
        with pytest.raises(NotAllowed, match="this is the last admin"):
            act()
    identity.revoke(control, bob.id, role="admin", project="credit", actor="root")
    identity.grant(control, bob.id, role="admin", project="*", actor="root")
    identity.disable(control, root.id, actor="bob")
    with pytest.raises(NotAllowed, match="this is the last admin"):
        identity.revoke(control, bob.id, role="admin", project="*", actor="bob")


def test_a_disabled_user_has_no_login_and_no_token(control, root, ann, password):
    text = session(control, ann)
    program = tokens.issue_api(control, tokens.authenticate(control, text), scopes=[], days=1).text
    identity.disable(control, ann.id, actor="root")
    for token in (text, program):
        with pytest.raises(NotAuthenticated):
            tokens.authenticate(control, token)
    assert all(token.revoked for token in tokens.tokens_of(control, ann.id))
    assert_refused(control, "ann", password)
    assert [user.active for user in identity.list_users(control)] == [True, False]
    assert acts(control)[-2] == ("root", "disable user", ann.id)
    with pytest.raises(NotFound):
        identity.disable(control, "user-0", actor="root")


def test_a_disabled_user_of_a_provider_is_let_in_no_more(control, root):
    bob = identity.enter(control, issuer="https://id.example", subject="bob", name="bob")
    identity.disable(control, bob.id, actor="root")
    with pytest.raises(NotAuthenticated, match="disabled"):
        identity.enter(control, issuer="https://id.example", subject="bob", name="bob")


def test_a_provider_user_is_an_issuer_and_a_subject_never_a_name(control, ann):
    first, second = (identity.enter(control, issuer=issuer, subject="1", name="Ann") for issuer in ("https://a", "https://b"))
    assert len({ann.id, first.id, second.id}) == len({"ann", first.name, second.name}) == 3
    assert identity.enter(control, issuer="https://a", subject="1", name="Eve") == first
    assert first.issuer == "https://a"


@pytest.mark.parametrize(
    ("given", "shown"), [("Jane Doe", "jane-doe"), ("jane@x.org", "jane-x.org"), ("", "somebody"), ("..", "somebody")]
)
def test_a_providers_name_is_made_plain(control, given, shown):
    assert identity.enter(control, issuer="https://a", subject="1", name=given).name == shown


def test_a_providers_name_cannot_look_like_an_id(control):
    assert identity.enter(control, issuer="https://a", subject="1", name="user-1").name.startswith("oidc-user-1-")


def test_the_first_admin_is_made_with_the_token_that_was_printed_once(control, password):
    token = identity.bootstrap(control)
    admin = identity.make_first_admin(control, token=token, name="root", password=password, cost=QUICK)
    assert (admin.name, admin.grants, admin.issuer) == ("root", {("admin", "*")}, "local")
    assert identity.log_in(control, name="root", password=password, cost=QUICK) == admin
    assert identity.bootstrap(control) is None
    with pytest.raises(NotAuthenticated) as caught:
        identity.make_first_admin(control, token=token, name="eve", password=password, cost=QUICK)
    assert (caught.value.message, caught.value.hint) == (USED, "Start the server again for a new one.")
    assert [user.name for user in identity.list_users(control)] == ["root"]


def test_a_restart_prints_another_token_and_the_one_before_is_void(control, password):
    before, after = identity.bootstrap(control), identity.bootstrap(control)
    for token in (before, "wrong", "", after[:-1]):
        with pytest.raises(NotAuthenticated, match=USED):
            identity.make_first_admin(control, token=token, name="root", password=password, cost=QUICK)
    assert identity.make_first_admin(control, token=after, name="root", password=password, cost=QUICK).name == "root"


def test_a_bootstrap_token_expires_and_is_worth_nothing_beside_a_user(control, password, monkeypatch):
    with monkeypatch.context() as changed:
        changed.setattr(identity, "BOOTSTRAP", -identity.BOOTSTRAP)
        expired = identity.bootstrap(control)
    with pytest.raises(NotAuthenticated, match=USED):
        identity.make_first_admin(control, token=expired, name="root", password=password, cost=QUICK)
    token = identity.bootstrap(control)
    identity.enter(control, issuer="https://a", subject="1", name="early")
    with pytest.raises(NotAuthenticated, match=USED):
        identity.make_first_admin(control, token=token, name="root", password=password, cost=QUICK)


def test_of_many_who_hold_the_bootstrap_token_one_becomes_admin(control, password):
    token = identity.bootstrap(control)

    def attempt(number):
        try:
            return identity.make_first_admin(control, token=token, name=f"root{number}", password=password, cost=QUICK).name
        except NotAuthenticated:
            return None

    with ThreadPoolExecutor(4) as pool:
        made = [name for name in pool.map(attempt, range(4)) if name]
    assert [user.name for user in identity.list_users(control)] == made
    assert len(made) == 1


def test_a_weak_first_password_uses_nothing_up(control, password):
    token = identity.bootstrap(control)
    for name, secret in (("root", "short"), ("Not A Name", password)):
        with pytest.raises(BadInput):
            identity.make_first_admin(control, token=token, name=name, password=secret, cost=QUICK)
    assert identity.make_first_admin(control, token=token, name="root", password=password, cost=QUICK).name == "root"


def test_two_first_logins_at_once_enter_one_user(control):
    def enter(_):
        return identity.enter(control, issuer="https://a", subject="1", name="jane").id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(enter, range(8)))) == 1
    assert len(identity.list_users(control)) == 1
