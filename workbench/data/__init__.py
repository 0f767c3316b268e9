"""From a stranger's file to rows a model may learn from.

A table is read (`read_table`) and looked at (`inspect`), and what was decided is written to workbench.toml
(`write_project`). Its exact rows are kept as a dataset version (`register`). At prepare, the contract of the
listed columns is inferred (`infer_contract`) and checked (`check`), rows are set aside for the test (`split`), and both
sides take the shape every model sees (`normalise`): numbers as Float64, categories and classes as text.
"""

from workbench.data.checking import ContractReport, Failure, check
from workbench.data.contract import MISSING, Column, Contract, infer_contract
from workbench.data.datasets import register
from workbench.data.examples import Example, example
from workbench.data.inspection import Inspection, inspect
from workbench.data.normalising import normalise
from workbench.data.project_writing import write_project
from workbench.data.reading import read_table
from workbench.data.splits import Split, split

__all__ = [
    "MISSING",
    "Column",
    "Contract",
    "ContractReport",
    "Example",
    "Failure",
    "Inspection",
    "Split",
    "check",
    "example",
    "infer_contract",
    "inspect",
    "normalise",
    "read_table",
    "register",
    "split",
    "write_project",
]
