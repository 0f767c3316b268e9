"""`workbench users`: who belongs to a team, and who may do what; for the admin of its server. Added by `app`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from workbench.cli.output import print_done, print_json, print_next, print_table
from workbench.cli.server import sign_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.registry.saved_login import Login
    from workbench.registry.users import Users

__all__ = ["users_app"]

users_app = typer.Typer(help="Show and change who belongs to a team, and with which roles.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Name = Annotated[str, typer.Argument(help="The user's name at the server.")]
Role = Annotated[
    Literal["viewer", "scientist", "reviewer", "approver", "operator", "auditor", "admin", "service"],
    typer.Argument(help="What the user may do there; the README has a table."),
]
Project = Annotated[str, typer.Option(help="The project; in all of them by default.")]


@users_app.command("list")
def list_users(json: Json = False) -> None:
    """List every user with the roles of each."""
    with _users(None) as users:
        listed = users.list()
    if json:
        print_json(listed)
        return
    rows = [(user["name"], "yes" if user["active"] else "no", _roles(user), user["created"][:10]) for user in listed]
    print_table(("name", "active", "roles", "since"), rows)


@users_app.command("add")
def add(name: Name, json: Json = False) -> None:
    """Add a user, who may do nothing yet. The password, 12 characters or more, is asked for."""
    password = typer.prompt(f"First password of {name}", hide_input=True, confirmation_prompt=True, err=True)
    with _users() as users:
        made = users.add(name, password)
    if json:
        print_json(made)
        return
    print_done(f"{name} can log in, and may do nothing yet")
    print_next(f"workbench users grant {name} scientist --project PROJECT; {name} then runs: workbench users password")


@users_app.command("grant")
def grant(name: Name, role: Role, project: Project = "*", json: Json = False) -> None:
    """Give a user a role, in one project or in all."""
    with _users() as users:
        users.grant(name, role, project)
    _print_changed(json, name, f"{name} is {role} in {_shown(project)}, from the next login on", role=role, project=project)


@users_app.command("revoke")
def revoke(name: Name, role: Role, project: Project = "*", json: Json = False) -> None:
    """Take a role from a user. The server keeps one admin at least."""
    with _users() as users:
        users.revoke(name, role, project)
    _print_changed(json, name, f"{name} is not {role} in {_shown(project)} any more", role=role, project=project)


@users_app.command("disable")
def disable(name: Name, json: Json = False) -> None:
    """End every login of a user, and let in no other. What they did stays on record."""
    with _users() as users:
        users.disable(name)
    _print_changed(json, name, f"{name} is logged out everywhere and cannot log in again", active=False)


@users_app.command("password")
def change_password(json: Json = False) -> None:
    """Change your own password; every login of yours ends."""
    old = typer.prompt("Password that holds now", hide_input=True, err=True)
    new = typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)

    def signed_in(kept: Login) -> Login:
        from workbench.registry.login import enter_by_password

        name = kept.name or typer.prompt("Name", err=True)
        return enter_by_password(kept.url, kept.certificate, name, old, keep=False)

    with _users(signed_in) as users:
        users.change_password(old, new)
    if json:
        print_json({"changed": True})
        return
    print_done("the password is changed, and you are logged out everywhere")
    print_next("workbench login URL")


def _users(signed_in: Callable[[Login], Login] | None = sign_in) -> AbstractContextManager[Users]:
    from workbench.registry.users import users  # loads httpx

    return users(sign_in=signed_in)


def _roles(user: dict[str, list[dict[str, str]]]) -> str:
    return ", ".join(f"{held['role']} in {_shown(held['project'])}" for held in user["grants"]) or "none"


def _shown(project: str) -> str:
    return "every project" if project == "*" else project


def _print_changed(json: bool, name: str, told: str, **now: object) -> None:
    if json:
        print_json({"name": name, **now})
    else:
        print_done(told)
