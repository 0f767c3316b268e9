"""The five verbs by which a notebook talks to the workbench, the same interactively, under papermill and in a flow.

`load` gives what an upstream step saved, `save` keeps a value for downstream steps, `record` states the typed outcome,
`show` displays a figure or widget, and `parameters` returns the validated parameters. `Secret` is the type of a parameter that
names a secret.
"""

from workbench.execution.secrets import Secret
from workbench.session.verbs import load, parameters, record, save, show

__all__ = ["Secret", "load", "parameters", "record", "save", "show"]
