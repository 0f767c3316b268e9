"""The project's memory: one control database for records and runs, and content-addressed objects for bytes."""

from workbench.store.database import Control, Run, Unchanged, append, open_control
from workbench.store.objects import Objects

__all__ = ["Control", "Objects", "Run", "Unchanged", "append", "open_control"]
