"""`workbench audit`: who did what, whether the log of it is whole, and signed heads to prove it elsewhere. Added by `app`."""

from __future__ import annotations

import json as json_module
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.output import console, print_done, print_json, print_next, print_table
from workbench.cli.server import DATABASE
from workbench.errors import BadInput, bounded

if TYPE_CHECKING:
    from workbench.governance.audit import Audited
    from workbench.store import Control

__all__ = ["audit_app"]

audit_app = typer.Typer(help="Show who did what, and prove that the log of it is whole.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Heads = Annotated[Path | None, typer.Option(metavar="FILE", help="The file of signed heads; the project's own by default.")]
Server = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="The folder of a team's server, as the user that runs it: its own audit.")
]
Project = Annotated[str | None, typer.Option(help="With --server: the audit of this project there.")]
REMEDIES = {
    "tampered": "keep the database as it is, and compare it with a backup and with heads kept elsewhere: --heads FILE",
    "unverifiable": "sign what there is: workbench audit export; or name what you kept elsewhere: --heads FILE --key FILE",
}
UNTOLD = frozenset({"bundle", "policy", "record", "stage"})
"""Digests, ids, and what the act already says."""

EXIT = {"ok": 0, "tampered": 1, "unverifiable": 2}


@audit_app.command("list")
def list_entries(
    limit: Annotated[int, typer.Option(min=1, help="How many to list.")] = 20,
    json: Json = False,
) -> None:
    """List who did what, newest first. Who was erased is shown by a pseudonym."""
    from workbench.settings import find_project
    from workbench.store import open_control

    with open_control(find_project()) as control:
        entries, people = control.newest_entries(limit), control.people()
    if json:
        print_json([{**asdict(entry), "actor": people.get(entry.actor, entry.actor)} for entry in entries])
    else:
        rows = [(e.sequence, e.at[:19], people.get(e.actor, e.actor), e.action, e.subject, _told(e.detail)) for e in entries]
        print_table(("", "at", "by", "act", "id", "detail"), rows)


def _told(detail: str) -> str:
    """What an entry adds for a person, in words. Digests and records' ids stand in the JSON document."""
    try:
        read = dict(json_module.loads(detail))
    except (TypeError, ValueError):  # somebody changed it, which verify reports
        return "unreadable; see: workbench audit verify"
    return bounded(", ".join(f"{name} {value}" for name, value in read.items() if name not in UNTOLD and value is not None), 80)


@audit_app.command("verify")
def verify(
    heads: Heads = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="The public key that signed the heads.")] = None,
    server: Server = None,
    project: Project = None,
    json: Json = False,
) -> None:
    """Prove that no entry was changed, moved, added, removed or rewritten. Exit code: 0 ok, 1 tampered, 2 cannot verify."""
    from workbench.governance.audit import verify_audit

    place, opened = _audit(server, project)
    found = verify_audit(place, opened, heads=heads, key=key)
    if json:
        print_json(asdict(found))
    elif found.state == "ok":
        print_done(f"{found.entries} entries: {found.reason}")
    else:
        console.print(f"[bold red]{'tampered' if found.state == 'tampered' else 'cannot verify'}[/]", end=" ")
        console.print(found.reason, markup=False)
        print_next(REMEDIES[found.state])
    raise typer.Exit(EXIT[found.state])


@audit_app.command("export")
def export(heads: Heads = None, server: Server = None, project: Project = None, json: Json = False) -> None:
    """Sign the newest entry and append this head to a file, for a place that nobody who writes here can change."""
    from workbench.governance.audit import export_head

    place, opened = _audit(server, project)
    with opened() as control:
        head = export_head(place, control, heads=heads)
    if json:
        print_json(None if head is None else asdict(head))
    elif head is None:
        console.print("nobody has done anything yet: there is no entry to sign")
    else:
        print_done(f"entry {head.sequence} is signed, in {heads or place.heads}")
        print_next("keep a copy elsewhere, with the public key; later: workbench audit verify --heads FILE")


def _audit(server: Path | None, project: str | None) -> tuple[Audited, Callable[[], Control]]:
    """The audit that is meant, and how to open it: that of the project one is in, or one of a server's."""
    if server is not None:
        from workbench.server.state import find_audit

        return find_audit(server, project, os.environ.get(DATABASE))
    if project is not None:
        raise BadInput("--project names a project of a server, and no server was named", hint="Add: --server FOLDER")
    from workbench.settings import find_project
    from workbench.store import open_control

    layout = find_project()
    return layout, lambda: open_control(layout)
