"""Notebook execution: the typed contract of a notebook's `parameters` cell, one headless run, and the executed notebook as HTML.

A run validates its parameters before a kernel starts, never writes to its source, and leaves the executed notebook behind
also when a cell fails. Import `notebook_run` and `rendering` where they are used: they load papermill and nbconvert.
"""

from workbench.execution.parameters import Parameters, read_parameters
from workbench.execution.step import Step, StepResult

__all__ = ["Parameters", "Step", "StepResult", "read_parameters"]
