"""A small identity provider with real keys: discovery, authorization that consents at once, tokens, and keys that rotate.

`forge` lets a test send any identity token instead of the right one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

CLIENT = "workbench"


class Issuer:
    """An ASGI application."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.forge: Callable[[dict[str, Any]], str] | None = None
        self.document: dict[str, Any] = {
            "issuer": url,
            "authorization_endpoint": f"{url}/authorize",
            "token_endpoint": f"{url}/token",
            "jwks_uri": f"{url}/keys",
        }
        self.published: Any = None
        self.rotate("RS256")

    def rotate(self, algorithm: str) -> None:
        """Signs with a new key from now on, and publishes no other."""
        self.algorithm, kid = algorithm, {"kid": secrets.token_hex(4)}
        make: dict[str, Callable[[], Key]] = {
            "RS256": lambda: RSAKey.generate_key(2048, kid),
            "ES256": lambda: ECKey.generate_key("P-256", kid),
            "Ed25519": lambda: OKPKey.generate_key("Ed25519", kid),
        }
        self.key = make.get(algorithm, make["Ed25519"])()
        self.published = KeySet([self.key]).as_dict(private=False)

    def claims(self, nonce: str) -> dict[str, Any]:
        """What a right token says."""
        now = int(time.time())
        times = {"iat": now, "nbf": now, "exp": now + 300}
        return {"iss": self.url, "aud": CLIENT, "sub": "248289761001", "preferred_username": "Jane", "nonce": nonce, **times}

    def signed(self, claims: dict[str, Any], **header: str) -> str:
        """A token with the current key."""
        return jwt.encode({"alg": self.algorithm, "kid": self.key.kid, **header}, claims, self.key, algorithms=[self.algorithm])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        status, headers, answer = self._answer(
            scope["path"], scope["query_string"].decode(), dict(parse_qsl(body.decode())), scope
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, path: str, query: str, form: dict[str, str], scope: Any) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return 200, [], json.dumps(self.document).encode()
        if path == "/keys":
            return 200, [], json.dumps(self.published).encode()
        if path == "/authorize":
            given = {name: values[0] for name, values in parse_qs(query).items()}
            code = secrets.token_urlsafe()
            self.codes[code] = given
            back = f"{given['redirect_uri']}?{urlencode({'code': code, 'state': given['state']})}"
            return 302, [(b"location", back.encode())], b""
        return self._token(form, dict(scope["headers"]).get(b"authorization"))

    def _token(self, form: dict[str, str], authorization: bytes | None) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        self.authorization = authorization
        begun = self.codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if begun is None or begun["code_challenge"] != challenge or begun["redirect_uri"] != form["redirect_uri"]:
            return 400, [], b'{"error": "invalid_grant"}'
        claims = self.claims(begun["nonce"])
        token = self.signed(claims) if self.forge is None else self.forge(claims)
        return 200, [], json.dumps({"id_token": token, "token_type": "Bearer", "access_token": "a"}).encode()


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer that runs on a free port of loopback, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listening:  # requests wait here until the server takes them
        provider = Issuer(f"http://127.0.0.1:{listening.getsockname()[1]}")
        server = uvicorn.Server(uvicorn.Config(provider, log_level="critical", lifespan="off"))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield provider
        finally:
            server.should_exit = True
            thread.join()
