"""The registry: which candidate becomes the model. `choose` ranks the reviewed candidates, takes the best one whose fairness
review did not fail, and says in sentences why; what it decides becomes a ModelVersion record.
"""

from workbench.registry.choice import Choice, Entry, choose
from workbench.registry.entries import entries_of

__all__ = ["Choice", "Entry", "choose", "entries_of"]
