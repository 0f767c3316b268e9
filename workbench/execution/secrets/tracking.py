"""Which secrets a process must keep to itself: those of a notebook about to run, and those this process has resolved.

Called by the engine before a run, and by the session in the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from workbench.execution.secrets.places import at_hand, look_up, resolved
from workbench.execution.secrets.references import name_of
from workbench.execution.secrets.scrubbing import Scrubber

if TYPE_CHECKING:
    from workbench.execution.parameters import Parameters

__all__ = ["scrubber_for", "scrubber_of_process", "secrets_of"]


def secrets_of(parameters: Parameters, values: Mapping[str, object]) -> dict[str, str]:
    """The secrets that a run of a notebook will resolve, by name: for each `Secret` parameter its given or default reference.

    Args:
        parameters: the contract of the notebook.
        values: the parameters that were given, as `Parameters.validate` returned them.

    Raises:
        BadInput: what was given is no reference, or what it names cannot be used as a secret.
        NotFound: no place knows the secret that a reference names.
    """
    meant = {**parameters.defaults(), **values}
    references = (meant[name] for name in parameters.secrets)
    return {name_of(reference): look_up(str(reference)) for reference in references if reference is not None}


def scrubber_for(parameters: Parameters, values: Mapping[str, object]) -> Scrubber:
    """What the runner of a notebook scrubs with: the secrets the notebook asks for, and those its environment holds anyway.

    Raises:
        BadInput: what was given is no reference, or what it names cannot be used as a secret. No kernel was started.
        NotFound: no place knows the secret that a reference names. No kernel was started.
    """
    return _scrubber(_together(secrets_of(parameters, values)))


def scrubber_of_process() -> Scrubber:
    """What the session scrubs and refuses with: the secrets that this process resolved, and those its environment holds."""
    return _scrubber(_together(resolved()))


def _together(asked: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    unasked = {name: value for name, value in at_hand().items() if value not in asked.values() and name not in asked}
    return tuple(sorted({**asked, **unasked}.items()))


@lru_cache(maxsize=4)
def _scrubber(secrets: tuple[tuple[str, str], ...]) -> Scrubber:
    return Scrubber(dict(secrets))
