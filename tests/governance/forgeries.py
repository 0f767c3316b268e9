"""Identity tokens that must let nobody in, by the attack that each stands for. Used wherever logins at a provider are tested."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from tests.governance.issuer import Issuer


def unsigned(claims: dict[str, Any]) -> str:
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def without(name: str) -> Any:
    return lambda issuer, claims: issuer.signed({key: value for key, value in claims.items() if key != name})


def changed(**values: Any) -> Any:
    return lambda issuer, claims: issuer.signed({**claims, **values})


def with_public_key(issuer: Issuer, claims: dict[str, Any]) -> str:
    """HS256 with the public key's text as the secret (RFC 8725, 2.1)."""
    secret = OctKey.import_key(json.dumps(issuer.published["keys"][0]))
    return jwt.encode({"alg": "HS256", "kid": issuer.key.kid}, claims, secret, algorithms=["HS256"])


def of_other_key(issuer: Issuer, claims: dict[str, Any]) -> str:
    other = RSAKey.generate_key(2048, {"kid": issuer.key.kid})
    return jwt.encode({"alg": "RS256", "kid": issuer.key.kid}, claims, other, algorithms=["RS256"])


HOUR = 3600
ATTACKS: dict[str, Callable[[Issuer, dict[str, Any]], str]] = {
    "algorithm none": lambda issuer, claims: unsigned(claims),
    "HS256 with the public key": with_public_key,
    "another key under the same id": of_other_key,
    "no signature part": lambda issuer, claims: issuer.signed(claims).rpartition(".")[0],
    "not a token": lambda issuer, claims: "a.b.c",
    **{f"without {name}": without(name) for name in ("exp", "iss", "aud", "iat", "nbf", "sub", "nonce")},
    "another audience": changed(aud="someone-else"),
    "another issuer": changed(iss="https://evil.example"),
    "an empty subject": changed(sub=""),
    "a subject that is no text": changed(sub=7),
    "another nonce": changed(nonce="replayed"),
    "for another client among its audiences": changed(aud=["workbench", "b"], azp="b"),
    "expired": changed(exp=int(time.time()) - 61),
    "not yet valid": changed(nbf=int(time.time()) + HOUR),
    "issued in the future": changed(iat=int(time.time()) + HOUR),
}
