"""What requests carry, validated before anything is done with it. Used by the handlers; the answers are the library's records."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from workbench.governance.access import Role
from workbench.records import Stage

__all__ = [
    "Approve",
    "Bootstrap",
    "Credentials",
    "Digest",
    "Finish",
    "Grant",
    "Login",
    "Name",
    "NewToken",
    "NewUser",
    "Promote",
    "Registration",
    "Reject",
    "Review",
    "Session",
    "Start",
    "UserShown",
    "Waive",
    "Wanted",
]

IDENTIFIER = r"^[a-z0-9][a-z0-9-]{0,62}$"
SHA256 = r"^[0-9a-f]{64}$"
PERMISSION = r"^[a-z]{1,20}:[a-z]{1,20}$"

Name = Annotated[str, Path(pattern=IDENTIFIER)]
"""Whatever stands in a path, but a digest."""

Digest = Annotated[str, Path(pattern=SHA256)]
"""A sha256 in a path, in hexadecimal."""

_Name = Annotated[str, StringConstraints(pattern=IDENTIFIER)]
_Sha256 = Annotated[str, StringConstraints(pattern=SHA256)]
_Secret = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
# Without control characters: PostgreSQL keeps no NUL, and a terminal that shows the text must not obey it.
_Text = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
_File = Annotated[
    str, StringConstraints(max_length=200, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*$")
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Registration(_Body):
    """A packaged model: its chain of records from the dataset version on, and its bento's files by name with their digests."""

    model: _Name
    records: list[dict[str, Any]] = Field(min_length=1, max_length=20)
    files: dict[_File, _Sha256] = Field(min_length=1, max_length=2000)


class Wanted(_Body):
    """Digests of objects that the client could send."""

    digests: list[_Sha256] = Field(max_length=5000)


class Review(_Body):
    """Why a model may be packaged although its fairness review was INCONCLUSIVE."""

    reason: _Text


class Approve(_Body):
    """The digest of the bundle that the person has seen, and in which role the person decides."""

    bundle: _Sha256
    comment: _Text = ""
    role: Literal["reviewer", "approver"] = "approver"


class Reject(_Body):
    """As `Approve`; a rejection says why."""

    bundle: _Sha256
    comment: _Text
    role: Literal["reviewer", "approver"] = "approver"


class Waive(_Body):
    """Which gate may be missed by this bundle, why, and for how many days."""

    gate: Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9_.: -]+$")]
    bundle: _Sha256
    reason: _Text
    days: int = Field(ge=1, le=365)


class Promote(_Body):
    """The stage to move to, and the digest of the bundle that the person has seen."""

    to: Stage
    bundle: _Sha256 | None = None


class Login(_Body):
    """A local user's name and password; `keep` asks for a token that may lie on a disk, which decides nothing."""

    name: _Secret
    password: _Secret
    keep: bool = False


class Bootstrap(_Body):
    """The one-time token that the server printed at its first start, and the first admin's name and password."""

    token: _Secret
    name: _Name
    password: Annotated[str, StringConstraints(min_length=12, max_length=1024)]


class NewUser(_Body):
    """A user of the server; one without a password logs in at the organisation's identity provider."""

    name: _Name
    password: Annotated[str, StringConstraints(min_length=12, max_length=1024)]


class Credentials(_Body):
    """Another password for oneself, with the one that holds now: changing it ends every login."""

    old: _Secret
    new: Annotated[str, StringConstraints(min_length=12, max_length=1024)]


class Grant(_Body):
    """A role in a project, or in all of them (`*`)."""

    role: Role
    project: Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9-]{0,62}|\*)$")]


class NewToken(_Body):
    """A token for programs: what it is narrowed to (null for all rights of its owner), and for how many days."""

    scopes: list[Annotated[str, StringConstraints(pattern=PERMISSION)]] | None = Field(default=None, max_length=50)
    days: int = Field(default=30, ge=1, le=90)


class Start(_Body):
    """Where the browser returns to after the login at the identity provider: the command line's own loopback address."""

    redirect: Annotated[str, StringConstraints(pattern=r"^http://127\.0\.0\.1:[0-9]{1,5}/callback$")]


class Finish(_Body):
    """What the identity provider handed to the browser; `keep` as for `Login`."""

    state: _Secret
    code: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    keep: bool = False


class Session(_Body):
    """A token at its birth, the only time that it is told: its id, its text, and when it ends (ISO 8601)."""

    id: str
    token: str
    expires: str


class UserShown(_Body):
    """What is told of a user: never a password."""

    id: str
    issuer: str
    name: str
    active: bool
    created: str
    grants: list[Grant]
