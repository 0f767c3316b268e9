"""Every error a user can meet, as one tree; the command line and HTTP render the same object.

    WorkbenchError
    ├── BadInput                 what was given cannot be used
    │   ├── ProjectInvalid       workbench.toml does not validate
    │   ├── DataUnreadable       a file is missing, empty or not the table it claims to be
    │   ├── DatasetUnusable      a readable table cannot be learned from as asked
    │   ├── ContractViolated     rows break the data contract
    │   ├── ParametersInvalid    a notebook parameter is unknown, mistyped or out of range
    │   ├── NotebookInvalid      a notebook breaks the template contract
    │   └── RequestInvalid       a prediction request does not match the model's schema
    ├── NotFound                 an id, a project or a saved value does not exist
    ├── NotAllowed               who acts may not do this; the message says who may
    │   └── NotAuthenticated     nobody knows who acts
    ├── WaitsForPerson           a decision only a person may take is still open
    ├── GateFailed               a release does not pass its gates; each problem says by how much
    ├── Outdated                 what was decided upon has changed since; look again
    ├── Tampered                 bytes or the audit log are not what was recorded
    ├── RunFailed                a run ended without success
    │   ├── NotebookFailed       a cell raised, or its kernel died
    │   └── PackagingFailed      no safe format reproduces the model
    └── ComponentMissing         a program or package is not installed

Each error says what was given, what was expected and what to do next.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own takes milliseconds to import, and thin processes load this module
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import ClassVar

__all__ = [
    "BadInput",
    "ComponentMissing",
    "ContractViolated",
    "DataUnreadable",
    "DatasetUnusable",
    "GateFailed",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "NotebookFailed",
    "NotebookInvalid",
    "Outdated",
    "PackagingFailed",
    "ParametersInvalid",
    "ProjectInvalid",
    "RequestInvalid",
    "RunFailed",
    "Tampered",
    "WaitsForPerson",
    "WorkbenchError",
    "bounded",
    "did_you_mean",
]

LONGEST = 600


def bounded(text: object, limit: int = LONGEST) -> str:
    """The text of any object, cut to `limit` characters so that no error floods a terminal or a log."""
    rendered = str(text)
    return rendered if len(rendered) <= limit else f"{rendered[: limit - 1]}…"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """One sentence naming the closest known word, or listing what exists."""
    import difflib

    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {bounded(', '.join(names), 300)}." if names else "None exist yet."


class WorkbenchError(Exception):
    """The root: `message` (given and expected), `hint` (what to do next), process exit code and HTTP status."""

    exit_code: ClassVar[int] = 1
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(message)  # pickling calls this with the message, and restores the attributes by itself
        self.message = bounded(message)
        self.hint = bounded(hint)
        self.problems = tuple(bounded(problem, 300) for problem in problems[:20])
        self.left_out = max(0, len(problems) - 20)

    def __str__(self) -> str:
        lines = [self.message, *(f"  - {problem}" for problem in self.problems)]
        if self.left_out:
            lines.append(f"  … and {self.left_out} more")
        return "\n".join([*lines, self.hint] if self.hint else lines)

    def as_json(self) -> dict[str, object]:
        """The one JSON shape of an error, on the command line and over HTTP."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "problems": list(self.problems),
            "hint": self.hint,
        }


class BadInput(WorkbenchError):
    """What was given cannot be used; nothing was changed."""

    exit_code = 2
    status = 422


class ProjectInvalid(BadInput):
    """workbench.toml does not validate; each problem names its line."""


class DataUnreadable(BadInput):
    """A file is missing, empty, or not the table it claims to be."""


class DatasetUnusable(BadInput):
    """A readable table cannot be learned from as asked, such as a target with one class."""


class ContractViolated(BadInput):
    """Rows break the data contract; each problem names column, check and how many rows."""


class ParametersInvalid(BadInput):
    """A notebook parameter is unknown, mistyped or out of range; no kernel was started."""


class NotebookInvalid(BadInput):
    """A notebook is missing, unreadable, or breaks the template contract."""


class RequestInvalid(BadInput):
    """A prediction request does not match the model's schema."""


class NotFound(WorkbenchError):
    """An id, a project or a saved value does not exist."""

    exit_code = 3
    status = 404


class WaitsForPerson(WorkbenchError):
    """A decision that only a person may take is still open."""

    exit_code = 4
    status = 409


class NotAllowed(WorkbenchError):
    """Who acts may not do this. The message says what was asked and why it is refused, the hint who may do it."""

    exit_code = 7
    status = 403


class NotAuthenticated(NotAllowed):
    """Nobody knows who acts: no token was given, or it is unknown, expired or revoked."""

    status = 401


class GateFailed(WorkbenchError):
    """A release does not pass its gates; each problem names the gate, what it asks for, and by how much it is missed."""

    exit_code = 8
    status = 409


class Outdated(WorkbenchError):
    """What was decided upon has changed since: other bytes, another policy, or somebody else was quicker. Nothing was done."""

    exit_code = 8
    status = 409


class Tampered(WorkbenchError):
    """Bytes or the audit log are not what was recorded; nothing that depends on them is done."""

    exit_code = 9
    status = 409


class RunFailed(WorkbenchError):
    """A run ended without success; its evidence was stored before this was raised."""

    exit_code = 5


class NotebookFailed(RunFailed):
    """A cell raised, or its kernel died; the executed notebook was stored before this was raised."""


class PackagingFailed(RunFailed):
    """No safe format reproduces the model's own predictions."""


class ComponentMissing(WorkbenchError):
    """A program or package that this step needs is not installed."""

    exit_code = 6
    status = 503
