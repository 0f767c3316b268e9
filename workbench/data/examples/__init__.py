"""Data sets that ship with the workbench, so that a first project needs no file: each with its origin and licence beside it."""

from workbench.data.examples.catalogue import Example, example

__all__ = ["Example", "example"]
