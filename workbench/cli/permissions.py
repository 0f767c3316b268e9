"""The one permission that each command asks for, where a team's server is used. Checked by `entry` before any command runs.

The server decides, whatever stands here: this table is what a person may read, and what the tests walk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from typer.core import TyperGroup

from workbench.errors import WorkbenchError

__all__ = ["LOCAL", "PERMISSIONS", "require_declared", "walk"]

LOCAL = "local"
"""Only files and databases that the operating system lets this user have; no server is asked."""

PERMISSIONS: Mapping[str, str] = {
    "approve": "model:approve",
    "attach": LOCAL,
    "audit export": LOCAL,
    "audit list": LOCAL,
    "audit verify": LOCAL,
    "check": LOCAL,
    "demo": "run:create",
    "doctor": LOCAL,
    "erase": "user:erase",
    "evidence": "evidence:export",
    "execute": LOCAL,
    "init": LOCAL,
    "lab": LOCAL,
    "login": LOCAL,
    "logout": "token:revoke",
    "models": LOCAL,
    "models accept": "model:review",
    "models registered": "model:read",
    "models show": "model:read",
    "package": LOCAL,
    "promote": "release:promote",
    "register": "model:create",
    "reject": "model:reject",
    "resume": "run:create",
    "rollback": "release:rollback",
    "run": "run:create",
    "runs": LOCAL,
    "serve": LOCAL,
    "server": LOCAL,
    "server policy": LOCAL,
    "trace": LOCAL,
    "users add": "user:create",
    "users disable": "user:update",
    "users grant": "user:grant",
    "users list": "user:read",
    "users password": "token:create",
    "users revoke": "user:revoke",
    "verify": LOCAL,
    "waive": "model:waive",
    "watch": "run:create",
}


def walk(group: TyperGroup, before: str = "") -> Iterator[str]:
    """The words of every command that can be run."""
    for name, command in group.commands.items():
        words = f"{before} {name}".strip()
        if not isinstance(command, TyperGroup) or command.invoke_without_command:
            yield words
        if isinstance(command, TyperGroup):
            yield from walk(command, words)


def require_declared(group: TyperGroup) -> None:
    """Refuses a command line with a command that is not in the table, or a table with one that is not there.

    Raises:
        WorkbenchError: with the words of the first such command.
    """
    if wrong := sorted(set(walk(group)) ^ PERMISSIONS.keys()):
        raise WorkbenchError(
            f"the command {wrong[0]!r} declares no permission, or is declared and does not exist",
            hint="Say what it asks for, exactly once: workbench/cli/permissions.py",
        )
