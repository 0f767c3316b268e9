"""Which server a person is logged in at, and with which token: kept in the user's own configuration, readable by nobody else.

Read wherever a control plane is chosen; written by `workbench login`.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from workbench.errors import BadInput, NotAuthenticated

__all__ = ["SERVER", "TOKEN", "Login", "current_login", "forget_login", "in_team", "save_login"]

SERVER = "WORKBENCH_SERVER"
TOKEN = "WORKBENCH_TOKEN"  # noqa: S105 - the variable's name
CERTIFICATE = "WORKBENCH_CERTIFICATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A server's address and a token for it; `certificate` names a file of certificates to trust beside none other.

    `way` is how the token was got, and so how to sign in again: by the password of `name`, in a browser, with a token in hand;
    `given` is the token of `WORKBENCH_TOKEN`, which was never kept.
    """

    url: str
    token: str
    certificate: str | None = None
    way: Literal["password", "browser", "token", "given"] = "token"
    name: str | None = None


def _file() -> Path:
    base = os.environ.get("WORKBENCH_CONFIG_DIR")
    return (
        Path(base) if base else Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "workbench"
    ) / "login.json"


def in_team() -> bool:
    """Whether a server is configured, which then decides about releases."""
    return bool(os.environ.get(SERVER))


def current_login() -> Login | None:
    """The login that holds here: that of `WORKBENCH_SERVER`, with `WORKBENCH_TOKEN` or the token saved for this server.

    None where no server is configured, which is a project of one person.

    Raises:
        NotAuthenticated: a server is configured, but there is no token for it.
        BadInput: the file with the token can be read by others.
    """
    url = os.environ.get(SERVER, "").rstrip("/")
    if not url:
        return None
    if token := os.environ.get(TOKEN):
        return Login(url=url, token=token, certificate=os.environ.get(CERTIFICATE), way="given")
    saved = _saved()
    if saved is None or saved.url != url:
        raise NotAuthenticated(f"nobody is logged in at {url}", hint=f"Log in: workbench login {url}")
    return saved


def _saved() -> Login | None:
    file = _file()
    try:
        content = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise BadInput(f"{file} can be read by others, so its token may be known", hint="Log in again: workbench login URL")
    try:
        return Login(**json.loads(content))
    except (ValueError, TypeError) as error:
        raise BadInput(f"{file} is damaged", hint="Log in again: workbench login URL") from error


def save_login(login: Login) -> Path:
    """Keeps a login in the user's configuration; returns the file. Its token must be one that decides nothing: see `KEPT`."""
    from workbench.store.objects import replace_file

    file = _file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(file, json.dumps(asdict(login)).encode())  # which makes files that only their owner reads
    return file


def forget_login() -> Login | None:
    """Removes what `save_login` kept, and returns it; None when there was nothing."""
    try:
        saved = _saved()
    except BadInput:
        saved = None
    _file().unlink(missing_ok=True)
    return saved
