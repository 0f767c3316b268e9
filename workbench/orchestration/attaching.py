"""Opens the kernel that a run left, or a copy of a running one, in JupyterLab. Called by `workbench attach`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import ComponentMissing, NotFound, RunFailed
from workbench.execution.saving import with_finished_cells
from workbench.execution.step import read_step
from workbench.execution.warm.asking import Unavailable, ask
from workbench.execution.warm.kept import Kept, connect, kept
from workbench.execution.warm.place import attached_folder
from workbench.settings import Layout
from workbench.store.objects import replace_file

__all__ = ["Attached", "attach_to", "attachable", "take_over_edits"]

FOLDER = "attached"
"""Where copies of executed notebooks go for a person to edit; the run's own stay as evidence."""

OPEN_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A kernel that a person may use: where, with which notebook, and until when it waits for a cell."""

    url: str
    notebook: Path
    minutes: float


def attachable(layout: Layout) -> Iterator[tuple[str, Kept]]:
    """The runs of this project that can be attached to, each with its process."""
    for entry in kept():
        folder = Path(entry.step)
        if entry.step and layout.runs in folder.parents:
            yield folder.parent.name, entry


def attach_to(layout: Layout, run: str | None, *, minutes: float) -> Attached:
    """Gives the project's JupyterLab a kernel with the variables that the run had, and opens its notebook with it.

    Args:
        layout: the project.
        run: the run's id; the latest that can be attached to when None.
        minutes: how long the kernel waits for a cell before it ends.

    Raises:
        NotFound: no process of the run was kept.
        ComponentMissing: JupyterLab does not run for this project.
        RunFailed: the kernel did not come up.
    """
    server = _lab(layout)
    found = [entry for name, entry in attachable(layout) if run in (None, name)]
    if not found:
        raise NotFound(
            f"no kernel was kept of {run or 'any run'}",
            hint="Fork points of failed runs stay a while: workbench run --keep MINUTES. Notebooks that use polars have none.",
        )
    _sweep()
    entry = max(found, key=lambda each: each.until)
    notebook = _copy_for_person(layout, Path(entry.step))
    before = {each["id"] for each in _ask(server, "GET", "kernels")}
    _open(entry, minutes)
    kernel = _new_kernel(server, before)
    path = notebook.relative_to(layout.root).as_posix()
    _bind(server, path, kernel)
    return Attached(url=f"{server['url']}lab/tree/{path}?token={server['token']}", notebook=notebook, minutes=minutes)


def take_over_edits(layout: Layout, run: str) -> list[str]:
    """Writes the cells that a person edited in the attached copies of a run's notebooks into the project's notebooks.

    Cells that were added to try things stay in the copy.

    Returns:
        The edited cells, as `notebook: cell`.

    Raises:
        NotFound: nobody attached to this run.
    """
    copies = sorted((layout.root / FOLDER).glob(f"{run}-*.ipynb"))
    if not copies:
        raise NotFound(f"nobody attached to {run}", hint=f"Attach first: workbench attach {run}")
    taken = []
    for copy in copies:
        target = layout.notebooks / copy.name.removeprefix(f"{run}-")
        edited = {cell.get("id"): cell["source"] for cell in json.loads(copy.read_bytes())["cells"]}
        notebook = json.loads(target.read_bytes())
        for cell in notebook["cells"]:
            source = edited.get(cell.get("id"), cell["source"])
            if "".join(source) != "".join(cell["source"]):
                cell["source"] = source
                taken.append(f"{target.stem}: {cell['id']}")
        replace_file(target, json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n")
    return taken


def _lab(layout: Layout) -> dict[str, Any]:
    from jupyter_server.serverapp import list_running_servers

    for server in list_running_servers():
        if Path(server["root_dir"]).resolve() == layout.root.resolve():
            found: dict[str, Any] = server
            return found
    raise ComponentMissing("JupyterLab does not run for this project", hint="Start it in another terminal: workbench lab")


def _copy_for_person(layout: Layout, step: Path) -> Path:
    source = step / Path(read_step(step).notebook).name
    target = layout.root / FOLDER / f"{step.parent.name}-{source.name}"
    if not target.exists():  # what a person has edited already stays
        target.parent.mkdir(exist_ok=True)
        replace_file(target, with_finished_cells(source))
    return target


def _sweep() -> None:
    """Kernels that were killed could not take their files away, and JupyterLab would try to talk to them."""
    for path in attached_folder().glob("*.json"):
        with suppress(OSError, ValueError, KeyError):
            if not Path(f"/proc/{json.loads(path.read_bytes())['pid']}").exists():
                for leftover in path.parent.glob(f"{path.stem}*"):
                    leftover.unlink(missing_ok=True)


def _open(entry: Kept, minutes: float) -> None:
    connection_file = attached_folder() / f"{entry.pid}-{time.time_ns()}.json"
    order = {"kind": "attach", "connection_file": str(connection_file), "seconds": 60 * minutes, "environment": dict(os.environ)}
    try:
        with open(os.devnull, "r+b") as null:  # the kernel outlives this command, and must not hold its terminal or pipe
            ask(order, [], standard=[null.fileno()] * 3, connect_to=lambda: connect(entry)).release()
    except Unavailable as error:
        raise RunFailed(f"the kernel cannot be opened: {error}", hint="Continue the run instead: workbench resume") from error
    deadline = time.monotonic() + OPEN_SECONDS
    while not connection_file.exists():
        if time.monotonic() > deadline:
            raise RunFailed("the kernel did not open its channels", hint="Continue the run instead: workbench resume")
        time.sleep(0.05)


def _new_kernel(server: dict[str, Any], before: set[str]) -> str:
    deadline = time.monotonic() + OPEN_SECONDS
    while time.monotonic() < deadline:
        new = [each["id"] for each in _ask(server, "GET", "kernels") if each["id"] not in before]
        if new:
            return str(new[0])
        time.sleep(0.1)
    raise RunFailed("JupyterLab did not find the kernel", hint="It must have been started by: workbench lab")


def _bind(server: dict[str, Any], path: str, kernel: str) -> None:
    """Opens the notebook with the kernel, also where it was open with another one before."""
    content = {"path": path, "name": Path(path).name, "type": "notebook", "kernel": {"id": kernel}}
    open_already = [each["id"] for each in _ask(server, "GET", "sessions") if each["path"] == path]
    if open_already:
        _ask(server, "PATCH", f"sessions/{open_already[0]}", content)
    else:
        _ask(server, "POST", "sessions", content)


def _ask(server: dict[str, Any], verb: str, path: str, content: object = None) -> Any:
    import httpx

    headers = {"Authorization": f"token {server['token']}"}
    answer = httpx.request(
        verb, f"{server['url']}api/{path}", headers=headers, content=None if content is None else json.dumps(content), timeout=30
    )
    if answer.is_error:
        raise RunFailed(
            f"JupyterLab answered {answer.status_code} to {verb} {path}: {answer.text[:200]}", hint="Restart: workbench lab"
        )
    return answer.json()
