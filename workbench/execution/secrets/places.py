"""Where secrets come from: the environment, folders of files, the keyring. Asked in this order by `resolve` and `look_up`."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from workbench.errors import BadInput, NotFound, WorkbenchError
from workbench.execution.secrets.references import LARGEST, SCHEME, check_length, name_of

__all__ = ["FOLDERS_VARIABLE", "at_hand", "look_up", "resolve", "resolved"]

VARIABLE = "WORKBENCH_SECRET_"
FOLDERS_VARIABLE = "WORKBENCH_SECRETS_DIR"
SERVICE = "workbench"
LONG_ENOUGH_UNASKED = 8

_resolved: dict[str, str] = {}


def resolve(reference: str) -> str:
    """The secret that a reference names; this process remembers it, so that `scrubber_of_process` knows what to look for.

    Raises:
        BadInput: this is no reference, or what a place holds under the name cannot be used as a secret.
        NotFound: no place knows the name; the hint lists the places that were asked.
    """
    value = look_up(reference)
    _resolved[name_of(reference)] = value
    return value


def resolved() -> Mapping[str, str]:
    """What this process has resolved so far, by name."""
    return dict(_resolved)


def look_up(reference: str) -> str:
    """The secret that a reference names, without remembering it.

    The first place that knows the name answers, also when its answer must be refused: the variable `WORKBENCH_SECRET_<NAME>`
    (in capitals, with _ for - and .), then a file of that name in the folders of `WORKBENCH_SECRETS_DIR` (one line end is cut
    off), then the password that `keyring` keeps for the service `workbench`, where that package is installed.

    Raises:
        BadInput: this is no reference, or what a place holds under the name cannot be used as a secret.
        NotFound: no place knows the name.
    """
    name = name_of(reference)
    asked: list[str] = []
    places: tuple[Callable[[str], tuple[str | None, str]], ...] = (_from_environment, _from_folders, _from_keyring)
    for place in places:
        value, where = place(name)
        if value is not None:
            check_length(name, value, where)
            return value
        asked.append(where)
    raise NotFound(f"no place knows the secret {SCHEME}{name}", hint=f"Asked: {'; '.join(asked)}.")


def at_hand() -> dict[str, str]:
    """Every secret of the environment and of the folders, whether a notebook asked for it or not; unusable ones are left out.

    A notebook could print its whole environment, so a run is scrubbed of these as well. Values under 8 characters are left to
    those who ask for them: as a part of other words they would be found everywhere.
    """
    found = {key.removeprefix(VARIABLE).lower(): value for key, value in os.environ.items() if key.startswith(VARIABLE) and value}
    for folder in _folders():
        with suppress(OSError):
            for name in os.listdir(folder):
                with suppress(WorkbenchError):
                    found[name_of(f"{SCHEME}{name}")] = _read(folder / name, name) or ""
    return {name: value for name, value in found.items() if LONG_ENOUGH_UNASKED <= len(value) <= LARGEST}


def _from_environment(name: str) -> tuple[str | None, str]:
    variable = VARIABLE + re.sub("[-.]", "_", name).upper()
    return os.environ.get(variable), f"the variable {variable}"


def _folders() -> Iterator[Path]:
    return (Path(folder) for folder in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if folder)


def _from_folders(name: str) -> tuple[str | None, str]:
    for folder in _folders():
        value = _read(folder / name, name)
        if value is not None:
            return value, f"the file {folder / name}"
    return None, ", ".join(f"the file {folder / name}" for folder in _folders()) or f"no folder, as {FOLDERS_VARIABLE} is not set"


def _read(path: Path, name: str) -> str | None:
    """The content of a secret's file, or None where there is none; what is checked is the file that was opened."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused(name, path, error.strerror or "it cannot be opened") from error
    try:
        read_only = bool(os.fstatvfs(handle).f_flag & os.ST_RDONLY)
        reason = refusal(os.fstat(handle), read_only=read_only, user=os.geteuid())
        content = b"" if reason else os.read(handle, LARGEST + 3)
    finally:
        os.close(handle)
    if reason:
        raise _refused(name, path, reason)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = None  # raised below, where the error in hand, which holds the bytes, is gone
    if text is None:
        raise _refused(name, path, "it is not text in UTF-8")
    return re.sub(r"\r?\n\Z", "", text)


def refusal(status: os.stat_result, *, read_only: bool, user: int) -> str | None:
    """Why a file must not be taken for a secret, or None.

    It must belong to the user or to root, and nobody else may read or write it (modes 0600 and 0400). A container's platform
    mounts secrets readable for all, but as root's and on a read-only file system: there the mount is the protection, so such
    files are accepted (Kubernetes: mode 0644 by default; Docker: 0444).
    """
    if not stat.S_ISREG(status.st_mode):
        return "it is not a file"
    if status.st_uid not in (user, 0):
        return "it belongs to another user"
    if status.st_mode & 0o077 and not (read_only and status.st_uid == 0):
        return f"others may use it (mode {stat.S_IMODE(status.st_mode):04o}, expected 0600 or 0400)"
    return None


def _refused(name: str, path: Path, reason: str) -> BadInput:
    return BadInput(f"{SCHEME}{name} is not read from {path}: {reason}", hint=f"chmod 600 {path}, as the user who runs this.")


def _from_keyring(name: str) -> tuple[str | None, str]:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None, "no keyring, as the package keyring is not installed"
    try:
        return keyring.get_password(SERVICE, name), f"the keyring, service {SERVICE!r}, user {name!r}"
    except KeyringError as error:
        return None, f"the keyring, which did not answer ({type(error).__name__})"
