"""`workbench verify` and `workbench evidence`: parse, call one function, print. Registered by `cli.app`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.output import console, print_done, print_json, print_next, print_table

__all__ = ["evidence", "verify"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def verify(
    subject: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model's, bento's or its record's id or tag; or an evidence folder or zip.")
    ],
    json: Json = False,
) -> None:
    """Recompute every digest and signature of a model, a bento or an evidence folder."""
    if Path(subject).exists():
        _verify_evidence(Path(subject), as_json=json)
    else:
        _verify_model(subject, as_json=json)


def _verify_model(model: str, *, as_json: bool) -> None:
    from workbench.orchestration.verifying import check_model, require_whole
    from workbench.settings import find_project
    from workbench.store import open_control

    layout = find_project()
    with open_control(layout) as control:
        checks = check_model(model, layout, control)
    if not as_json:
        rows = [(check.record, check.what, check.digest[:12], check.problem or "as recorded") for check in checks]
        print_table(("id", "what", "sha256", "result"), rows)
    require_whole(model, checks)
    if as_json:
        listed = [{"what": check.what, "record": check.record, "sha256": check.digest} for check in checks]
        print_json({"model": model, "whole": True, "checks": listed})
    else:
        print_done(f"{model}: {len(checks)} comparisons, nothing differs from what was recorded")


def _verify_evidence(place: Path, *, as_json: bool) -> None:
    from workbench.orchestration.evidence import verify_written

    found = verify_written(place)
    if as_json:
        listed = {"files": found.files, "manifest": found.digest, "key": found.key, "trusted": found.trusted}
        print_json({"evidence": str(place), "whole": True, **listed})
        return
    print_done(f"{place}: {found.files} files are those that its manifest lists, and the manifest is signed")
    console.print(f"  sha256 of the manifest:   {found.digest}", markup=False)
    console.print(f"  sha256 of its public key: {found.key}", markup=False)
    if not found.trusted:
        told = "The key came with the evidence, and anybody can make one: compare one of these with what you were told apart,"
        console.print(f"  {told}\n  or name the key you trust: WORKBENCH_TRUSTED_KEY=FILE workbench verify …", markup=False)


def evidence(
    model: Annotated[str, typer.Argument(help="A packaged model's id; without a server also its bento's tag.")],
    output: Annotated[Path, typer.Option(help="The folder that gets the evidence.")] = Path("evidence"),
    json: Json = False,
) -> None:
    """Write what a reviewer or an auditor needs to see about a model, as a folder and a zip that open offline.

    In a team, the records and decisions are the server's.
    """
    from workbench.orchestration.evidence import write_evidence
    from workbench.settings import find_project
    from workbench.store import open_control

    layout = find_project()
    with open_control(layout) as control:
        written = write_evidence(model, layout, control, output=output)
    if json:
        print_json(
            {"folder": str(written.folder), "zip": str(written.archive), "manifest": written.digest, "files": written.files}
        )
        return
    print_done(f"{written.folder} and {written.archive} hold {written.files} files")
    console.print(f"  sha256 of the manifest: {written.digest}", markup=False)
    print_next(f"open {written.folder / 'index.html'}")
