"""The typed contract of a notebook: its `parameters` cell as a model that validates values before any kernel starts.

Each line of the cell is `name: type = literal  # help`. Annotations come from a fixed table and nothing is evaluated.
Used by the runner, the flows, the command line and the forms.
"""

from __future__ import annotations

import ast
import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import annotated_types
from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic_core import SchemaError

from workbench.errors import NotebookInvalid, ParametersInvalid, did_you_mean

__all__ = ["Parameters", "parse_parameters", "read_parameters"]

PLAIN: Mapping[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
LIMITS: Mapping[str, tuple[Callable[[Any], object], tuple[type, ...]]] = {
    "Ge": (annotated_types.Ge, (int, float)),
    "Gt": (annotated_types.Gt, (int, float)),
    "Le": (annotated_types.Le, (int, float)),
    "Lt": (annotated_types.Lt, (int, float)),
    "MultipleOf": (annotated_types.MultipleOf, (int, float)),
    "MinLen": (annotated_types.MinLen, (str, list)),
    "MaxLen": (annotated_types.MaxLen, (str, list)),
}
"""Each limit, and the types that it limits."""

IMPORTABLE = ("typing", "annotated_types")
TAG = "parameters"
LINE = "`name: type = literal  # help`"
CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)
UNUSABLE = (
    *(SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError),  # what reading a literal raises
    *(PydanticUserError, SchemaError),  # types and limits that do not go together
)


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
        return self._checked({name: self._meant(name, text) for name, text in texts.items()}, strict=False)

    def defaults(self) -> dict[str, Any]:
        """The default of every parameter."""
        return self.model().model_dump()

    def _meant(self, name: str, text: str) -> object:
        """The text itself where the parameter takes it, else what it says as JSON, such as a list."""
        with suppress(ValueError, RecursionError):
            for value in (text, json.loads(text)):
                with suppress(ValidationError):
                    self.model.model_validate({name: value}, strict=False)
                    return value
        return text

    def _checked(self, values: Mapping[str, object], *, strict: bool) -> dict[str, Any]:
        try:
            checked = self.model.model_validate(dict(values), strict=strict)
        except ValidationError as error:
            details = error.errors()
            count = len({detail["loc"][0] for detail in details})
            raise ParametersInvalid(
                f"{self.notebook}: {count} parameter{'s' if count > 1 else ''} cannot be used",
                problems=[self._problem(detail) for detail in details],
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
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
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
    lines = re.split("\r\n|\r|\n", source)
    where, hint = f"{notebook}, parameters cell", f"Each line is {LINE}."
    try:
        for statement in ast.parse(source).body:
            if isinstance(statement, ast.ImportFrom) and statement.module in IMPORTABLE:
                continue
            if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value):
                raise _refused(statement, f"expected {LINE}")
            name, default = statement.target.id, _literal(statement.value)
            if name in fields or name.startswith("_") or hasattr(BaseModel, name):
                raise _refused(statement, "this name is taken; choose another")
            fields[name] = (_type(statement.annotation), Field(default, description=_help(statement, lines)))
        contract = Parameters(notebook=notebook, model=create_model("Parameters", __config__=CONFIG, **fields))
        contract.model()
    except ValidationError as error:
        problems = [contract._problem(detail) for detail in error.errors()]
        raise NotebookInvalid(f"{where}: a default does not fit its type", problems=problems, hint=hint) from error
    except UNUSABLE as error:
        raise NotebookInvalid(f"{where}: {error}", hint=hint) from error
    return contract


def _help(statement: ast.AnnAssign, lines: list[str]) -> str | None:
    """The comment behind a statement; the parser counts columns in bytes."""
    line = lines[(statement.end_lineno or 1) - 1].encode()
    return line[statement.end_col_offset :].decode().partition("#")[2].strip() or None


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
        if node.value.id == "Literal" and inner:
            return typing.Literal[tuple(_literal(choice) for choice in inner)]
        if node.value.id == "list" and len(inner) == 1:
            return types.GenericAlias(list, (_type(inner[0]),))
        if node.value.id == "Annotated" and len(inner) > 1:
            kind = _type(inner[0])
            return Annotated[(kind, *(_limit(limit, typing.get_origin(kind) or kind) for limit in inner[1:]))]
    raise _refused(node, "this type is not allowed; use int, float, str, bool, list[...], Literal[...] or Annotated[...]")


def _limit(node: ast.expr, kind: object) -> object:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        limit, limited = LIMITS.get(node.func.id, (None, ()))
        bound = _literal(node.args[0])
        if limit is not None and kind in limited and type(bound) in (int, float):
            return limit(bound)
    raise _refused(node, "expected Ge, Gt, Le, Lt or MultipleOf of a number, or MinLen or MaxLen of a text or list")
