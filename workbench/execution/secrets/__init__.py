"""Secrets: notebooks name them by reference (`secret://name`), each place is asked in turn, and what a run leaves is scrubbed.

A reference is resolved where the value is needed, inside the kernel. The process that runs the notebook resolves it too, so that
its `Scrubber` takes the value, however it is spelt, out of outputs, tracebacks, metadata, logs and errors before they are kept.
"""

from workbench.execution.secrets.places import look_up, resolve
from workbench.execution.secrets.references import Secret, holds_secret, name_of
from workbench.execution.secrets.scrubbing import Scrubber
from workbench.execution.secrets.tracking import scrubber_for, scrubber_of_process, secrets_of

__all__ = [
    "Scrubber",
    "Secret",
    "holds_secret",
    "look_up",
    "name_of",
    "resolve",
    "scrubber_for",
    "scrubber_of_process",
    "secrets_of",
]
