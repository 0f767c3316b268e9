"""Logins at a real provider on loopback, and the attacks on them."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.governance.forgeries import ATTACKS, without
from tests.governance.issuer import CLIENT, Issuer
from workbench.errors import BadInput, NotAuthenticated
from workbench.governance import identity
from workbench.governance.oidc import Identity, OpenID, Provider

BACK = "http://127.0.0.1:9/callback"


@pytest.fixture
def provider(issuer: Issuer) -> Iterator[OpenID]:
    opened = OpenID(Provider(issuer=issuer.url, client=CLIENT))
    yield opened
    opened.close()


def consent(url: str) -> dict[str, str]:
    """What a browser brings back."""
    went = httpx.get(url, trust_env=False)
    assert went.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(went.headers["location"]).query).items()}


def log_in(provider: OpenID) -> Identity:
    return provider.finish(**consent(provider.begin(BACK).url))


def test_a_login_returns_who_the_provider_vouches_for(issuer, provider):
    assert log_in(provider) == Identity(issuer=issuer.url, subject="248289761001", name="Jane")


def test_the_browser_is_sent_with_a_challenge_and_never_with_its_verifier(provider):
    begun = provider.begin(BACK)
    query = {name: values[0] for name, values in parse_qs(urlsplit(begun.url).query).items()}
    assert query["code_challenge_method"] == "S256"
    assert query["state"] == begun.state
    assert {"nonce", "code_challenge"} <= query.keys()
    assert "code_verifier" not in query


def test_a_client_with_a_secret_shows_it_to_the_provider_alone(issuer):
    provider = OpenID(Provider(issuer=issuer.url, client=CLIENT, secret="hush"))
    assert "hush" not in provider.begin(BACK).url
    log_in(provider)
    assert issuer.authorization == b"Basic " + base64.b64encode(b"workbench:hush")
    provider.close()


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "Ed25519", "EdDSA"])
def test_each_of_the_fixed_algorithms_is_accepted(issuer, provider, algorithm):
    issuer.rotate(algorithm)
    assert log_in(provider).subject == "248289761001"


def test_keys_are_fetched_once_and_again_when_the_provider_has_a_new_one(issuer, provider):
    log_in(provider)
    log_in(provider)
    assert issuer.asked.count("/keys") == 1
    issuer.rotate("ES256")
    log_in(provider)
    assert issuer.asked.count("/keys") == 2


def test_tokens_of_unknown_keys_make_us_ask_the_provider_once_a_minute_at_most(issuer, provider):
    log_in(provider)
    issuer.forge = lambda claims: issuer.signed(claims, kid="invented")
    for _ in range(4):
        with pytest.raises(NotAuthenticated, match="not right"):
            log_in(provider)
    assert issuer.asked.count("/keys") == 2


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_a_token_that_is_not_right_lets_nobody_in(issuer, provider, attack):
    issuer.forge = lambda claims: attack(issuer, claims)
    with pytest.raises(NotAuthenticated):
        log_in(provider)
    issuer.forge = None
    assert log_in(provider).subject == "248289761001"


def test_a_provider_without_nbf_is_accepted_only_when_we_were_told_so(issuer):
    issuer.forge = lambda claims: without("nbf")(issuer, claims)
    provider = OpenID(Provider(issuer=issuer.url, client=CLIENT, nbf=False))
    assert log_in(provider).name == "Jane"
    provider.close()


def test_clocks_may_differ_by_less_than_a_minute(issuer, provider):
    issuer.forge = lambda claims: issuer.signed({**claims, "exp": int(time.time()) - 30, "nbf": int(time.time()) + 30})
    assert log_in(provider).name == "Jane"


def test_a_state_counts_once_and_only_where_it_was_begun(provider):
    answer = consent(provider.begin(BACK).url)
    provider.finish(**answer)
    with pytest.raises(NotAuthenticated, match="not begun here"):
        provider.finish(**answer)
    with pytest.raises(NotAuthenticated, match="not begun here"):
        provider.finish(state="invented", code=consent(provider.begin(BACK).url)["code"])


def test_a_stolen_code_is_worth_nothing_in_another_login(provider):
    stolen = consent(provider.begin(BACK).url)["code"]
    mine = provider.begin(BACK)
    with pytest.raises(NotAuthenticated, match="status 400"):
        provider.finish(state=mine.state, code=stolen)


@pytest.mark.parametrize("address", ["http://id.example", "ftp://127.0.0.1", "id.example", "http://127.0.0.1.evil.example", ""])
def test_a_provider_elsewhere_is_asked_over_https_only(address):
    with pytest.raises(BadInput, match="not https"):
        OpenID(Provider(issuer=address, client=CLIENT))


@pytest.mark.parametrize(("name", "value"), [("issuer", "https://evil.example"), ("token_endpoint", "http://evil.example/token")])
def test_a_provider_that_describes_another_is_refused(issuer, provider, name, value):
    issuer.document[name] = value
    with pytest.raises((NotAuthenticated, BadInput)):
        provider.begin(BACK)


@pytest.mark.parametrize(
    "published", [[], {}, {"keys": []}, {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "x"}]}, {"keys": 1}]
)
def test_keys_that_are_none_let_nobody_in(issuer, provider, published):
    issuer.published = published
    with pytest.raises(NotAuthenticated):
        log_in(provider)


def test_a_provider_that_is_away_is_told_so():
    provider = OpenID(Provider(issuer="http://127.0.0.1:9", client=CLIENT))
    with pytest.raises(NotAuthenticated, match="cannot be reached"):
        provider.begin(BACK)
    provider.close()


@pytest.mark.parametrize("control", ["sqlite"], indirect=True)
def test_who_comes_from_a_provider_may_do_nothing_until_something_is_granted(control, provider):
    found = log_in(provider)
    user = identity.enter(control, issuer=found.issuer, subject=found.subject, name=found.name)
    assert user.grants == frozenset()
    again = identity.enter(control, issuer=found.issuer, subject=found.subject, name="renamed")
    assert again == user
