"""What the kernels of a run may hold in a team: a token of the run, in the place of the person's own. Called by `launch`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.registry.saved_login import SERVER, TOKEN, current_login

if TYPE_CHECKING:
    from workbench.registry.remote import Sender

__all__ = ["run_variables"]

logger = logging.getLogger(__name__)

RENEWED_SECONDS = 300.0
"""A third of the time that the server lets a run's token live, so that one failure ends nothing."""


@contextmanager
def run_variables(run: str) -> Iterator[Mapping[str, str]]:
    """The environment variables for the processes of a run, which count while this is open; none where there is no server.

    The token has a scientist's rights at most and ends with the run, or a quarter of an hour after whoever started it is gone:
    code in a notebook must not decide on models.

    Raises:
        NotAuthenticated: a server is configured, and nobody is logged in there.
        NotAllowed: who is logged in may not start runs.
    """
    login = current_login()
    if login is None:
        yield {}
        return
    from workbench.registry.remote import Sender  # loads httpx: only where there is a server

    path, ended = f"/v1/runs/{run}/token", Event()
    with Sender(login.url, login.token, verify=login.certificate or True) as sender:
        token = sender.ask("POST", path)["token"]
        renewing = Thread(target=_renew, args=(sender, path, ended), daemon=True)
        renewing.start()
        try:
            yield {SERVER: login.url, TOKEN: token}
        finally:
            ended.set()
            renewing.join()
            _told(sender, "DELETE", path)


def _renew(sender: Sender, path: str, ended: Event) -> None:
    while not ended.wait(RENEWED_SECONDS):
        _told(sender, "PUT", path)


def _told(sender: Sender, verb: str, path: str) -> None:
    """A server that cannot be told does not end the run: the token then ends by itself."""
    try:
        sender.ask(verb, path)
    except WorkbenchError as error:
        logger.warning("the run's token could not be %s: %s", "ended" if verb == "DELETE" else "renewed", error.message)
