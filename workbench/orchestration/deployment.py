"""A bento that answers requests: started, recorded as a deployment, and stopped. Called by `workbench serve` and the demo."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from workbench.data.contract import MISSING, Contract
from workbench.errors import NotFound, RunFailed, did_you_mean
from workbench.governance.audit import witness
from workbench.governance.model_key import TRUSTED_KEY, trusted_key_file
from workbench.orchestration.packaging import ancestor
from workbench.orchestration.verifying import verify_model
from workbench.project import read_project
from workbench.records import BentoBuild, Deployment, ModelVersion, PreparedData, new_id
from workbench.settings import Layout, actor, environment, revision
from workbench.store import Control, Objects, open_control

__all__ = ["Live", "deployed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A running service: its record, its address, the bento's tag, and a request body that it answers."""

    deployment: Deployment
    url: str
    tag: str
    example: str
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Waits until the service ends.

        Raises:
            RunFailed: it ended by itself.
        """
        code = self.process.wait()
        raise RunFailed(f"the service ended by itself with code {code}", hint="Read its log in .workbench/predictions.")


@contextmanager
def deployed(layout: Layout, *, tag: str | None = None, host: str | None = None, port: int | None = None) -> Iterator[Live]:
    """Serves a bento while the block runs; the record is written once the model has answered.

    Args:
        layout: the project.
        tag: the bento's tag; the newest of the project by default.
        host: the address to listen on; the project's by default, loopback only.
        port: the port; the project's by default, 0 for a free one.

    Raises:
        NotFound: the project has no such bento.
        Tampered: a file that the model rests on is not what was recorded.
        BadInput: the address is not a loopback address.
        RunFailed: the service does not become ready; the message holds the end of its log.
    """
    from workbench.serving.server import serving

    project, control = read_project(layout.project_file), open_control(layout, witness=witness(layout))
    try:
        bento = _bento(tag, control)
        verify_model(bento.id, layout, control)
        deployment = new_id("deployment")
        folder = layout.predictions / deployment
        with serving(
            bento.tag,
            host=host or project.serving.host,
            port=(project.serving.port if port is None else port) or _free_port(),
            predictions=folder,
            log=folder / "service.log",
            environment={**environment(layout), TRUSTED_KEY: str(trusted_key_file(layout).resolve())},
        ) as server:
            record = Deployment(
                id=deployment,
                parent=bento.id,
                actor=actor(),
                zone=bento.zone,
                revision=revision(layout.root),
                url=server.url,
                predictions=str(folder.relative_to(layout.root)),
            )
            control.add(record)
            example = _example(bento, control, Objects(layout.objects))
            yield Live(deployment=record, url=server.url, tag=bento.tag, example=example, process=server.process)
    finally:
        control.close()


def _bento(tag: str | None, control: Control) -> BentoBuild:
    bentos = [record for record in control.all(kind="bento") if isinstance(record, BentoBuild)]
    if not bentos:
        models = control.all(kind="model")
        waits = bool(models) and isinstance(models[-1], ModelVersion) and models[-1].state == "waiting"
        accept = f'workbench models accept {models[-1].id} --reason "…", then: workbench package' if waits else ""
        raise NotFound("no bento yet", hint=f"Make one: {accept or 'workbench run, or workbench package'}")
    found = [bento for bento in bentos if tag in (None, bento.tag, bento.id)]
    if not found:
        raise NotFound(f"no bento {tag!r} in this project", hint=did_you_mean(str(tag), [bento.tag for bento in bentos]))
    return found[-1]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _example(bento: BentoBuild, control: Control, objects: Objects) -> str:
    """A request in the middle of what the contract saw."""
    prepared = ancestor(bento, PreparedData, control)
    contract = msgspec.json.decode(objects.path(prepared.saved["contract"].digest).read_bytes(), type=Contract)
    row: dict[str, object] = {}
    for column in contract.features:
        if column.kind == "category":
            row[column.name] = (*column.categories, MISSING)[0]
        else:
            low, high = column.minimum or 0.0, column.maximum or 0.0
            row[column.name] = round((low + high) / 2, 3)
    return json.dumps({"rows": [row]})
