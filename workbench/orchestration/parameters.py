"""Parameters for a whole flow: each goes to every notebook that declares it, and one that none declares is refused at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.errors import ParametersInvalid, did_you_mean
from workbench.execution.parameters import Parameters, read_parameters
from workbench.project import read_project
from workbench.settings import Layout

__all__ = ["check_parameters", "notebooks_of", "parse_texts"]


def check_parameters(layout: Layout, flow: str, values: Mapping[str, Any]) -> None:
    """Checks typed values against the notebooks that a flow runs, before anything starts.

    Raises:
        ParametersInvalid: no notebook declares a name, or a value does not fit one that does.
    """
    for contract, names in _declaring(layout, flow, tuple(values)):
        contract.validate({name: values[name] for name in names})


def parse_texts(layout: Layout, flow: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Values given as text on a command line, as the types that the notebooks declare.

    Raises:
        ParametersInvalid: no notebook declares a name, or a text cannot be read as its type.
    """
    values: dict[str, Any] = {}
    for contract, names in _declaring(layout, flow, tuple(texts)):
        values |= contract.parse({name: texts[name] for name in names})
    return values


def notebooks_of(flow: str, layout: Layout) -> tuple[str, ...]:
    """The notebooks that a flow runs, in order."""
    if flow == "watch":
        return ("05_watch",)
    candidates = read_project(layout.project_file).training.candidates
    return ("01_prepare", *candidates, "03_review_fairness", "04_choose")


def _declaring(layout: Layout, flow: str, given: tuple[str, ...]) -> Iterator[tuple[Parameters, list[str]]]:
    if not given:
        return
    contracts = [read_parameters(layout.notebooks / f"{name}.ipynb") for name in notebooks_of(flow, layout)]
    declared = {name for contract in contracts for name in contract.names}
    problems = [f"{name}: no notebook declares it. {did_you_mean(name, declared)}" for name in given if name not in declared]
    if problems:
        raise ParametersInvalid("unknown parameter", problems=problems, hint="Nothing was started.")
    for contract in contracts:
        names = [name for name in given if name in contract.names]
        if names:
            yield contract, names
