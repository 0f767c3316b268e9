"""The typed contract of a notebook: its `parameters` cell as a model that validates values before any kernel starts.

Each line of the cell is `name: type = literal  # help`. Annotations come from a fixed table and nothing is evaluated.
Used by the runner, the flows, the command line and the forms.
"""

from __future__ import annotations

import ast
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import annotated_types
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from workbench.errors import NotebookInvalid, ParametersInvalid, did_you_mean

__all__ = ["Parameters", "parse_parameters", "read_parameters"]

PLAIN: Mapping[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
LIMITS: Mapping[str, Callable[[Any], object]] = {
    "Ge": annotated_types.Ge,
    "Gt": annotated_types.Gt,
    "Le": annotated_types.Le,
    "Lt": annotated_types.Lt,
    "MinLen": annotated_types.MinLen,
    "MaxLen": annotated_types.MaxLen,
    "MultipleOf": annotated_types.MultipleOf,
}
IMPORTABLE = ("typing", "annotated_types")
TAG = "parameters"


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one notebook: `model` holds names, types, limits, defaults and help."""

    notebook: str
    model: type[BaseModel]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameter names, in the order of the cell."""
        return tuple(self.model.model_fields)

    def validate(self, values: Mapping[str, object]) -> dict[str, Any]:
        """Checks typed values, as from Python or JSON; returns the given ones, converted.

        Raises:
            ParametersInvalid: a name is unknown, or a value is mistyped or out of range.
        """
        return self._checked(values, strict=True)

    def parse(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Checks values given as text, as on a command line; lists are written as JSON.

        Raises:
            ParametersInvalid: a name is unknown, or a text cannot be read as the parameter's type.
        """
        return self._checked({name: self._unquoted(name, text) for name, text in texts.items()}, strict=False)

    def defaults(self) -> dict[str, Any]:
        """The default of every parameter."""
        return self.model().model_dump()

    def _unquoted(self, name: str, text: str) -> object:
        field = self.model.model_fields.get(name)
        if field is None or not text.strip().startswith(("[", "null")):
            return text
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text

    def _checked(self, values: Mapping[str, object], *, strict: bool) -> dict[str, Any]:
        try:
            checked = self.model.model_validate(dict(values), strict=strict)
        except ValidationError as error:
            problems = [self._problem(detail) for detail in error.errors()]
            raise ParametersInvalid(
                f"{self.notebook}: {len(problems)} parameter{'s' if len(problems) > 1 else ''} cannot be used",
                problems=problems,
                hint="No kernel was started.",
            ) from error
        return {name: getattr(checked, name) for name in values}

    def _problem(self, detail: Any) -> str:
        name = str(detail["loc"][0])
        if detail["type"] == "extra_forbidden":
            return f"{name}: unknown parameter. {did_you_mean(name, self.names)}"
        return f"{name}: given {detail['input']!r}, {detail['msg'][0].lower()}{detail['msg'][1:]}"


def read_parameters(notebook: Path) -> Parameters:
    """The contract of a notebook file; a notebook without a `parameters` cell takes none.

    Raises:
        NotebookInvalid: the file is missing or not a notebook, or its parameters cell breaks the contract.
    """
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
        cells = content["cells"]
        tagged = ["".join(cell["source"]) for cell in cells if TAG in cell.get("metadata", {}).get("tags", ())]
    except FileNotFoundError as error:
        known = [path.name for path in notebook.parent.glob("*.ipynb")]
        raise NotebookInvalid(f"no notebook {notebook}", hint=did_you_mean(notebook.name, known)) from error
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotebookInvalid(
            f"{notebook.name} is not a notebook: {error}", hint="Open it in JupyterLab and save it again."
        ) from error
    if len(tagged) > 1:
        raise NotebookInvalid(f"{notebook.name} has {len(tagged)} cells tagged 'parameters', expected one", hint="Merge them.")
    return parse_parameters(tagged[0] if tagged else "", notebook.name)


def parse_parameters(source: str, notebook: str) -> Parameters:
    """The contract written in the source of a parameters cell.

    Raises:
        NotebookInvalid: a line is not `name: type = literal`, or its type or default is not allowed.
    """
    fields: dict[str, Any] = {}
    lines = source.splitlines()
    try:
        for statement in ast.parse(source).body:
            if isinstance(statement, ast.ImportFrom) and statement.module in IMPORTABLE:
                continue
            if not (
                isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value is not None
            ):
                raise _refused(statement, "expected `name: type = literal  # help`")
            after = lines[(statement.end_lineno or 1) - 1][statement.end_col_offset or 0 :]
            help_text = after.partition("#")[2].strip() or None
            default = _literal(statement.value)
            fields[statement.target.id] = (_type(statement.annotation), Field(default, description=help_text, validate_default=True))
        model = create_model("Parameters", __config__=ConfigDict(extra="forbid", protected_namespaces=()), **fields)
        model()
    except (SyntaxError, ValueError, TypeError) as error:
        raise NotebookInvalid(f"{notebook}, parameters cell: {error}", hint="Each line is `name: type = literal  # help`.") from error
    return Parameters(notebook=notebook, model=model)


def _refused(node: ast.AST, expected: str) -> ValueError:
    return ValueError(f"line {getattr(node, 'lineno', '?')}: {ast.unparse(node)[:80]!r}: {expected}")


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise _refused(node, "expected a literal") from error


def _type(node: ast.expr) -> Any:
    """int, float, str, bool, None, unions of them, list[...], Literal[...] and Annotated[type, limit...]."""
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if isinstance(node, ast.Name) and node.id in PLAIN:
        return PLAIN[node.id]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _type(node.left) | _type(node.right)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if node.value.id == "Literal":
            return typing.Literal[tuple(_literal(choice) for choice in inner)]
        if node.value.id == "list" and len(inner) == 1:
            return types.GenericAlias(list, (_type(inner[0]),))
        if node.value.id == "Annotated" and len(inner) > 1:
            return Annotated[(_type(inner[0]), *(_limit(limit) for limit in inner[1:]))]
    raise _refused(node, "this type is not allowed; use int, float, str, bool, list[...], Literal[...] or Annotated[...]")


def _limit(node: ast.expr) -> object:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in LIMITS and len(node.args) == 1:
        return LIMITS[node.func.id](_literal(node.args[0]))
    raise _refused(node, f"expected one of {', '.join(sorted(LIMITS))}")
