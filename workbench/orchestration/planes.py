"""The control plane that a project's commands act through: in this process, or a server's. Called by every interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from workbench.errors import NotFound
from workbench.governance.access import embedded
from workbench.governance.audit import witness
from workbench.orchestration.verifying import verify_model
from workbench.project import read_project
from workbench.records import BentoBuild
from workbench.registry.control_plane import ControlPlane
from workbench.registry.embedded import EmbeddedControlPlane
from workbench.registry.saved_login import Login, current_login
from workbench.settings import Layout, actor
from workbench.store import Control, Objects, open_control

__all__ = ["connect", "embedded_plane", "packaged_files"]


@contextmanager
def connect(layout: Layout, *, sign_in: Callable[[Login], Login] | None = None) -> Iterator[ControlPlane]:
    """The control plane of a project: that of `WORKBENCH_SERVER` where it is set, else one in this process for one person.

    Args:
        layout: the project.
        sign_in: for acts that decide, move or administer, of which a kept login is not capable: asks the person for a login
            that is, which ends with this.

    Raises:
        NotAuthenticated: a server is named, and nobody is logged in there.
    """
    login = current_login()
    if login is None:
        with open_control(layout, witness=witness(layout)) as control:
            yield embedded_plane(layout, control)
        return
    from workbench.registry.login import acting  # loads httpx: only where there is a server
    from workbench.registry.remote import RemoteControlPlane

    with acting(login, sign_in) as used, open_control(layout) as control:
        plane = RemoteControlPlane(
            used.url,
            used.token,
            project=read_project(layout.project_file).name,
            control=control,
            files=lambda build: packaged_files(build, layout),
            verify=used.certificate or True,
        )
        with closing(plane):
            yield plane


def packaged_files(build: BentoBuild, layout: Layout) -> dict[str, Path]:
    """Every file of a package: those of the bento and of its model, and the signature over the bento.

    Raises:
        NotFound: its bento or its model was removed.
    """
    from workbench.serving.bento import bento_folder, model_folder  # loads BentoML: only when a model is sent
    from workbench.serving.scorer.signature import BENTO, BENTO_SIGNATURE, MODEL

    files: dict[str, Path] = {}
    for place, folder in ((BENTO, bento_folder(build.tag)), (MODEL, model_folder(build.model_tag))):
        if folder is None:
            raise NotFound(f"the {place} {build.tag} is gone", hint="Package it again: workbench package MODEL")
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        files |= {f"{place}/{path.relative_to(folder).as_posix()}": path for path in paths}
    return files if build.signature is None else {**files, BENTO_SIGNATURE: Objects(layout.objects).path(build.signature)}


def embedded_plane(layout: Layout, control: Control) -> EmbeddedControlPlane:
    """The control plane of whoever works on a project without a server: every role, and own approvals count."""
    project = read_project(layout.project_file)
    return EmbeddedControlPlane(
        project=project.name,
        control=control,
        principal=embedded(actor()),
        policy=lambda: read_project(layout.project_file).gates,
        verify=lambda model: verify_model(model, layout, control),
    )
