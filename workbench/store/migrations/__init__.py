"""How a control database by an earlier version becomes one of this version.

Each module of `versions` is one Alembic revision. A revision never changes once it was released, and imports nothing that may
change: it spells out its tables. `workbench.store.schema` runs them, in one transaction with whatever made them necessary.
"""

__all__: list[str] = []
