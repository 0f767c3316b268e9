"""Metaflow reads this name: the module whose names appear in `metaflow` itself, so that `from metaflow import notebook` works."""

toplevel = "notebook"
