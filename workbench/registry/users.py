"""The people of a team's server, as its admin looks after them. Called by `workbench users`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from workbench.errors import BadInput, NotFound, did_you_mean
from workbench.registry.login import acting
from workbench.registry.remote import Sender
from workbench.registry.saved_login import SERVER, Login, current_login

__all__ = ["Users", "users"]

Document = dict[str, Any]


@contextmanager
def users(*, sign_in: Callable[[Login], Login] | None = None) -> Iterator[Users]:
    """The users of the server that `WORKBENCH_SERVER` names.

    Args:
        sign_in: for whatever changes something: asks the person for a login that may, which ends with this.

    Raises:
        BadInput: no server is named, so there is one person only.
        NotAuthenticated: nobody is logged in there.
    """
    kept = current_login()
    if kept is None:
        raise BadInput(
            f"{SERVER} names no server, and without one there is one person, who may do everything",
            hint=f"Name the server: export {SERVER}=https://HOST:8443   Or start one: workbench server",
        )
    with acting(kept, sign_in) as login, Sender(login.url, login.token, verify=login.certificate or True) as sender:
        yield Users(sender)


@dataclass(frozen=True, slots=True)
class Users:
    """Users of one server, named by their names. Each method raises what the server refuses."""

    sender: Sender

    def list(self) -> list[Document]:
        """Every user, with the roles that each has in which project."""
        found: list[Document] = self.sender.ask("GET", "/v1/users")
        return found

    def add(self, name: str, password: str) -> Document:
        """A local user, who may do nothing yet."""
        made: Document = self.sender.ask("POST", "/v1/users", {"name": name, "password": password})
        return made

    def grant(self, name: str, role: str, project: str) -> None:
        """Gives a role in a project, or in all of them (`*`); the user has to log in anew."""
        self.sender.ask("POST", f"{self._path(name)}/grants", {"role": role, "project": project})

    def revoke(self, name: str, role: str, project: str) -> None:
        """Takes a role away; the user has to log in anew."""
        self.sender.ask("DELETE", f"{self._path(name)}/grants", {"role": role, "project": project})

    def disable(self, name: str) -> None:
        """Ends every login of a user, and lets in no other."""
        self.sender.ask("POST", f"{self._path(name)}/disable")

    def change_password(self, old: str, new: str) -> None:
        """Another password for whoever asks; it ends every login of theirs."""
        self.sender.ask("POST", "/v1/password", {"old": old, "new": new})

    def _path(self, name: str) -> str:
        known = {str(user["name"]): str(user["id"]) for user in self.list()}
        if name not in known:
            raise NotFound(f"nobody at {self.sender.url} is called {name!r}", hint=did_you_mean(name, known))
        return f"/v1/users/{quote(known[name], safe='')}"
