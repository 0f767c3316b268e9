"""The typed contract of a notebook: its `parameters` cell as a model that validates values before any kernel starts.

Each line of the cell is `name: type = literal  # help`. Annotations come from a fixed table and nothing is evaluated.
Used by the runner, the flows, the command line and the forms.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic_core import SchemaError

from workbench.errors import NotebookInvalid, ParametersInvalid, did_you_mean
from workbench.execution.annotations import literal_of, refused, type_of
from workbench.execution.code_cells import code_cells
from workbench.execution.secrets.references import EXAMPLE, holds_secret

__all__ = ["ParameterRow", "Parameters", "parse_parameters", "read_parameters"]

IMPORTABLE = ("typing", "annotated_types")
SESSION_IMPORT = "from workbench.session import Secret"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
TAG = "parameters"
LINE = "`name: type = literal  # help`"
CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)
UNUSABLE = (
    *(SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError),  # what reading a literal raises
    *(PydanticUserError, SchemaError),  # types and limits that do not go together
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRow:
    """One parameter as a person reads it: its type and default as they are written in the cell, its help or nothing."""

    name: str
    type: str
    default: str
    help: str


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one notebook: `model` holds names, types, limits, defaults and help."""

    notebook: str
    model: type[BaseModel]
    types: Mapping[str, str] = field(default_factory=dict)
    """Each type as it is written in the cell."""

    secrets: tuple[str, ...] = ()
    """The names whose values are references to secrets."""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameter names, in the order of the cell."""
        return tuple(self.model.model_fields)

    def schema(self) -> dict[str, Any]:
        """The contract as JSON Schema, draft 2020-12; a `Secret` has the format `secret-reference`."""
        return {"$schema": DRAFT, **self.model.model_json_schema(), "title": self.notebook}

    def rows(self) -> tuple[ParameterRow, ...]:
        """One row for each parameter, in the order of the cell."""
        return tuple(
            ParameterRow(name=name, type=self.types[name], default=repr(field.default), help=field.description or "")
            for name, field in self.model.model_fields.items()
        )

    def help(self) -> str:
        """What a person may give to this notebook, as lines of text."""
        rows = self.rows()
        if not rows:
            return f"{self.notebook} takes no parameters."
        width = max(len(row.name) for row in rows)
        lines = [
            f"  {row.name:{width}}  {row.type} = {row.default}" + (f"\n  {'':{width}}  {row.help}" * bool(row.help))
            for row in rows
        ]
        return "\n".join([f"{self.notebook} takes:", *lines])

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
        else:
            return {name: getattr(checked, name) for name in values}
        count = len({detail["loc"][0] for detail in details})  # raised without a cause, which would hold what was given
        raise ParametersInvalid(
            f"{self.notebook}: {count} parameter{'s' if count > 1 else ''} cannot be used",
            problems=self._problems(details),
            hint="No kernel was started.",
        )

    def _problems(self, details: Sequence[Any]) -> list[str]:
        return list(dict.fromkeys(self._problem(detail) for detail in details))

    def _problem(self, detail: Any) -> str:
        name = str(detail["loc"][0])
        if detail["type"] == "extra_forbidden":
            return f"{name}: unknown parameter. {did_you_mean(name, self.names)}"
        if name in self.secrets:
            return f"{name}: expected a reference such as {EXAMPLE}; what was given may be a secret itself and is not shown"
        return f"{name}: given {detail['input']!r}, {detail['msg'][0].lower()}{detail['msg'][1:]}"


def read_parameters(notebook: Path) -> Parameters:
    """The contract of a notebook file; a notebook without a `parameters` cell takes none.

    Raises:
        NotebookInvalid: the file is missing or not a notebook, or its parameters cell breaks the contract.
    """
    tagged = [cell.source for cell in code_cells(notebook) if cell.has_tag(TAG)]
    if len(tagged) > 1:
        raise NotebookInvalid(f"{notebook.name} has {len(tagged)} cells tagged 'parameters', expected one", hint="Merge them.")
    return parse_parameters(tagged[0] if tagged else "", notebook.name)


def parse_parameters(source: str, notebook: str) -> Parameters:
    """The contract written in the source of a parameters cell.

    Raises:
        NotebookInvalid: a line is not `name: type = literal`, or its type or default is not allowed.
    """
    fields: dict[str, Any] = {}
    written: dict[str, str] = {}
    lines = re.split("\r\n|\r|\n", source)
    where, hint = f"{notebook}, parameters cell", f"Each line is {LINE}. Without types: papermill --engine workbench"
    try:
        for statement in ast.parse(source).body:
            if isinstance(statement, ast.ImportFrom) and (
                statement.module in IMPORTABLE or ast.unparse(statement) == SESSION_IMPORT
            ):
                continue
            if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value):
                raise refused(statement, f"expected {LINE}")
            name, kind = statement.target.id, type_of(statement.annotation)
            if name in fields or name.startswith("_") or hasattr(BaseModel, name):
                raise refused(statement.target, "this name is taken; choose another")
            default = _reference_of(statement.value) if holds_secret(kind) else literal_of(statement.value)
            fields[name] = (kind, Field(default, description=_help(statement, lines)))
            written[name] = ast.unparse(statement.annotation)
        contract = Parameters(
            notebook=notebook,
            model=create_model("Parameters", __config__=CONFIG, **fields),
            types=written,
            secrets=tuple(name for name, (kind, _) in fields.items() if holds_secret(kind)),
        )
        contract.model()
    except ValidationError as error:
        details = error.errors()
    except UNUSABLE as error:
        raise NotebookInvalid(f"{where}: {error}", hint=hint) from error
    else:
        return contract
    problems = contract._problems(details)
    raise NotebookInvalid(f"{where}: a default does not fit its type", problems=problems, hint=hint)


def _help(statement: ast.AnnAssign, lines: list[str]) -> str | None:
    """The comment behind a statement; the parser counts columns in bytes."""
    line = lines[(statement.end_lineno or 1) - 1].encode()
    return line[statement.end_col_offset :].decode().partition("#")[2].strip() or None


def _reference_of(node: ast.expr) -> object:
    """The literal behind `Secret`; one that is none is not shown, since somebody may have written the secret there."""
    with suppress(ValueError):
        return ast.literal_eval(node)
    raise ValueError(f"line {node.lineno}: expected a reference such as {EXAMPLE!r}; what stands there is not shown")
