"""Logging in at an identity provider: OpenID Connect with the code flow and PKCE. Called by the server, off its event loop.

OpenID Connect Core 1.0 (3.1), OpenID Connect Discovery 1.0, RFC 7636 (S256), RFC 8725 (fixed algorithms, checked claims).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import secrets
import time
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet
from joserfc.jws import JWSRegistry

from workbench.errors import BadInput, NotAuthenticated

__all__ = ["Begun", "Identity", "OpenID", "Provider"]

ALGORITHMS = ("RS256", "ES256", "Ed25519", "EdDSA")
LEEWAY = 60
PENDING_SECONDS = 600
MOST_PENDING = 1000
REFETCH_SECONDS = 60
LONGEST_ANSWER = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An identity provider as it was told to us: its issuer, and the client that this server is there.

    `nbf` says whether every identity token must name when it begins to hold; some providers leave that out.
    """

    issuer: str
    client: str
    secret: str | None = None
    nbf: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A login that has begun: where the browser goes, and the state it comes back with."""

    url: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom the provider vouches for: (issuer, subject) is who it is, the name is for display."""

    issuer: str
    subject: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    verifier: str
    nonce: str
    redirect: str
    until: float


class OpenID:
    """Logins at one provider. What has begun is kept in memory: a restart of the server asks people to begin again."""

    def __init__(self, provider: Provider) -> None:
        _require_safe(provider.issuer)
        self._provider = provider
        # no redirects and no proxies of the environment: only the addresses that the provider's own document names
        self._http = httpx.Client(follow_redirects=False, trust_env=False, timeout=10)
        self._pending: dict[str, _Pending] = {}
        self._found: dict[str, str] = {}
        self._keys: KeySet | None = None
        self._refetched = -float("inf")
        self._lock, self._key_lock = Lock(), Lock()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def begin(self, redirect: str) -> Begun:
        """Begins a login that comes back to `redirect`, within ten minutes.

        Raises:
            NotAuthenticated: the provider cannot be reached or describes itself wrongly, or too many logins are under way.
        """
        found = self._discover()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        with self._lock:
            now = time.monotonic()
            self._pending = {key: login for key, login in self._pending.items() if login.until > now}
            if len(self._pending) >= MOST_PENDING:
                raise NotAuthenticated("too many logins are under way", hint="Try again in a few minutes.")
            self._pending[state] = _Pending(verifier=verifier, nonce=nonce, redirect=redirect, until=now + PENDING_SECONDS)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {"response_type": "code", "client_id": self._provider.client, "redirect_uri": redirect, "scope": "openid profile"}
        query |= {"state": state, "nonce": nonce, "code_challenge": challenge, "code_challenge_method": "S256"}
        joint = "&" if urlsplit(found["authorization_endpoint"]).query else "?"
        return Begun(url=f"{found['authorization_endpoint']}{joint}{urlencode(query)}", state=state)

    def finish(self, *, state: str, code: str) -> Identity:
        """Exchanges the code that the browser came back with, and checks the identity token; each state counts once.

        Raises:
            NotAuthenticated: the state is unknown, used or too old, the provider refused the code, or the token is not right.
        """
        with self._lock:
            login = self._pending.pop(state, None)
        if login is None or login.until < time.monotonic():
            raise NotAuthenticated("this login was not begun here, is used already or took too long", hint="Begin again.")
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": login.redirect}
        form |= {"client_id": self._provider.client, "code_verifier": login.verifier}
        secret = self._provider.secret
        basic = None if secret is None else httpx.BasicAuth(self._provider.client, secret)
        answer = self._ask("POST", self._discover()["token_endpoint"], form=form, auth=basic)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise _refused("the provider sent no identity token")
        claims = self._checked(token, login.nonce)
        name = claims.get("preferred_username")
        subject = claims["sub"]
        return Identity(issuer=self._provider.issuer, subject=subject, name=name if isinstance(name, str) and name else subject)

    def _checked(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an identity token, after its signature and every claim that matters were checked."""
        essential: dict[str, Any] = {
            "iss": {"essential": True, "value": self._provider.issuer},
            "aud": {"essential": True, "value": self._provider.client},
            "exp": {"essential": True},
            "iat": {"essential": True},
            "sub": {"essential": True},
            "nonce": {"essential": True},
        }
        if self._provider.nbf:
            essential["nbf"] = {"essential": True}
        try:
            registry = JWSRegistry(algorithms=list(ALGORITHMS))
            read = jwt.decode(token, self._key, algorithms=list(ALGORITHMS), registry=registry)
            jwt.JWTClaimsRegistry(leeway=LEEWAY, **essential).validate(read.claims)
        except (JoseError, ValueError) as error:
            raise _refused(f"the identity token is not right: {error}") from error
        claims: dict[str, Any] = read.claims
        if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
            raise _refused("the identity token answers another login")
        if claims.get("azp", self._provider.client) != self._provider.client:
            raise _refused("the identity token was made for another client")
        return claims

    def _key(self, signed: Any) -> Key:
        """The provider's key that signed a token. An unknown one makes us look again once, at most every minute."""
        kid = signed.headers().get("kid")
        with self._key_lock:
            if self._keys is None:
                self._keys = self._fetch_keys()
            try:
                return self._keys.get_by_kid(kid)
            except JoseError:
                if time.monotonic() - self._refetched < REFETCH_SECONDS:
                    raise
            self._refetched = time.monotonic()
            self._keys = self._fetch_keys()
            return self._keys.get_by_kid(kid)

    def _fetch_keys(self) -> KeySet:
        listed = self._ask("GET", self._discover()["jwks_uri"]).get("keys")
        if not isinstance(listed, list):
            raise _refused("the provider lists no keys")
        public = [key for key in listed if isinstance(key, dict) and key.get("use", "sig") == "sig" and key.get("kty") != "oct"]
        try:
            return KeySet.import_key_set({"keys": public})
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise _refused("the provider's keys cannot be read") from error

    def _discover(self) -> dict[str, str]:
        """The provider's own description, read once."""
        if not self._found:
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            document = self._ask("GET", self._provider.issuer.rstrip("/") + "/.well-known/openid-configuration")
            if document.get("issuer") != self._provider.issuer:
                raise _refused(f"the provider calls itself {document.get('issuer')!r}, expected {self._provider.issuer!r}")
            found = {name: str(document.get(name)) for name in names}
            for address in found.values():
                _require_safe(address)
            self._found = found
        return self._found

    def _ask(
        self, verb: str, address: str, *, form: dict[str, str] | None = None, auth: httpx.Auth | None = None
    ) -> dict[str, Any]:
        try:
            with self._http.stream(verb, address, data=form, auth=auth) as answer:
                body = b""
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > LONGEST_ANSWER:
                        raise _refused("the provider's answer is too long")
            document = json.loads(body) if answer.status_code == httpx.codes.OK else None
        except (httpx.HTTPError, ValueError) as error:
            raise _refused("the provider cannot be reached, or its answer not read") from error
        if not isinstance(document, dict):
            raise _refused(f"the provider refused, with status {answer.status_code}")
        return document


def _require_safe(address: str) -> None:
    """What is asked of a provider travels encrypted, or stays on this machine."""
    parts = urlsplit(address)
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and _loopback(parts.hostname))):
        return
    raise BadInput(f"the identity provider's address {address!r} is not https", hint="Only on this machine may it be http.")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refused(reason: str) -> NotAuthenticated:
    return NotAuthenticated(reason, hint="Begin the login again; if it stays so, ask who runs the identity provider.")
