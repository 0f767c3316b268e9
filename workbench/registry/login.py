"""How a person gets a token from a server: by password, by the organisation's identity provider, or with one in hand.

Called by `workbench login` and `logout`.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import msgspec

from workbench.errors import NotAllowed, NotAuthenticated, WorkbenchError
from workbench.governance.access import KEPT, Principal, rights_of
from workbench.registry.remote import Sender
from workbench.registry.saved_login import Login

__all__ = ["acting", "enter_by_bootstrap", "enter_by_browser", "enter_by_password", "enter_by_token", "leave"]

BROWSER_SECONDS = 300.0
LONGEST_REQUEST = 16_384
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nYou may close this window.\n"


def enter_by_password(url: str, certificate: str | None, name: str, password: str, *, keep: bool) -> Login:
    """A token to keep, which decides nothing; or else one with all rights, for a quarter of an hour, that is kept nowhere.

    Raises:
        NotAuthenticated: name and password do not fit.
    """
    with _sender(url, certificate) as sender:
        token = sender.ask("POST", "/v1/login", {"name": name, "password": password, "keep": keep})["token"]
        return Login(url=sender.url, token=token, certificate=certificate, way="password", name=name)


def enter_by_bootstrap(url: str, certificate: str | None, token: str, name: str, password: str) -> Login:
    """Makes the first admin by the token that the server printed at its first start.

    Raises:
        NotAuthenticated: the token is not that one, or was used.
    """
    with _sender(url, certificate) as sender:
        sender.ask("POST", "/v1/bootstrap", {"token": token, "name": name, "password": password})
    return enter_by_password(url, certificate, name, password, keep=True)


def enter_by_token(url: str, certificate: str | None, token: str) -> Login:
    """A login with a token in hand, to be kept.

    Raises:
        NotAuthenticated: the server does not know the token.
        NotAllowed: it carries rights that must not lie on a disk.
    """
    with _sender(url, certificate, token.strip()) as sender:
        beyond = rights_of(msgspec.convert(sender.ask("GET", "/v1/whoami"), type=Principal)) - KEPT
    if beyond:
        raise NotAllowed(
            f"this token carries {', '.join(sorted(map(str, beyond)))}, which must not lie on a disk where notebooks can read it",
            hint="Give it to one command: WORKBENCH_TOKEN=… workbench …   Or log in with your name.",
        )
    return Login(url=sender.url, token=token.strip(), certificate=certificate, way="token")


def enter_by_browser(url: str, certificate: str | None, *, keep: bool, show: Callable[[str], object]) -> Login:
    """Sends the person to the identity provider, and waits on loopback for the browser to come back (RFC 8252, section 7.3).

    Args:
        url: the server.
        certificate: a file of certificates to trust.
        keep: as for `enter_by_password`.
        show: is given the address to open.

    Raises:
        NotAuthenticated: the person did not log in within five minutes, or the provider refused.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener, _sender(url, certificate) as sender:
        redirect = f"http://127.0.0.1:{listener.getsockname()[1]}/callback"
        started = sender.ask("POST", "/v1/login/start", {"redirect": redirect})
        show(started["url"])
        code = _code(listener, started["state"])
        finished = sender.ask("POST", "/v1/login/finish", {"state": started["state"], "code": code, "keep": keep})
        return Login(url=sender.url, token=finished["token"], certificate=certificate, way="browser")


@contextmanager
def acting(kept: Login, sign_in: Callable[[Login], Login] | None) -> Iterator[Login]:
    """The login to act with: where `sign_in` is given and the kept one decides nothing, the one that it asks the person for.

    That one ends with the block.
    """
    if sign_in is None or kept.way == "given":
        yield kept
        return
    login = sign_in(kept)
    try:
        yield login
    finally:
        leave(login)


def leave(login: Login) -> bool:
    """Revokes a login's token; False when the server cannot be told, or has forgotten it already."""
    try:
        with _sender(login.url, login.certificate, login.token) as sender:
            sender.ask("POST", "/v1/logout")
    except WorkbenchError:
        return False
    return True


def _sender(url: str, certificate: str | None, token: str | None = None) -> Sender:
    return Sender(url, token, verify=certificate or True)


def _code(listener: socket.socket, state: str) -> str:
    """The code that the provider gave to the browser, once it comes with our own state; anybody else's request is ignored."""
    end = time.monotonic() + BROWSER_SECONDS
    while (left := end - time.monotonic()) > 0:
        listener.settimeout(left)
        try:
            visitor, _ = listener.accept()
            with visitor:
                visitor.settimeout(min(left, 10.0))
                target = visitor.recv(LONGEST_REQUEST).split(b" ", 2)[1:2]
                visitor.sendall(ANSWER)
        except OSError:
            continue
        query = parse_qs(urlsplit(b"".join(target).decode("latin-1")).query)
        if not secrets.compare_digest("".join(query.get("state", [])).encode(), state.encode()):
            continue
        if query.get("code"):
            return query["code"][0]
        raise NotAuthenticated(f"the identity provider refused: {''.join(query.get('error', ['no reason given']))}")
    raise NotAuthenticated("nobody logged in within five minutes", hint="Try again: workbench login URL --browser")
