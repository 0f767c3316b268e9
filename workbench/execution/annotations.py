"""The types that a parameters cell may declare: a fixed table and a few forms, read from its syntax. Called by `parameters`."""

from __future__ import annotations

import ast
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import annotated_types

from workbench.execution.secrets.references import Secret, holds_secret

__all__ = ["literal_of", "refused", "type_of"]

PLAIN: Mapping[str, Any] = {"int": int, "float": float, "str": str, "bool": bool, "Secret": Secret}
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

ALLOWED = "int, float, str, bool, Secret, list[...], Literal[...] or Annotated[...]"


def refused(node: ast.AST, expected: str) -> ValueError:
    """The error for a part of a line, which is shown."""
    return ValueError(f"line {getattr(node, 'lineno', '?')}: {ast.unparse(node)[:80]!r}: {expected}")


def literal_of(node: ast.expr) -> object:
    """The value that a literal stands for.

    Raises:
        ValueError: this is no literal.
    """
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise refused(node, "expected a literal") from error


def type_of(node: ast.expr) -> Any:
    """The type that an annotation declares: any of the plain ones, None, unions, list, Literal, Annotated, `Secret`.

    Raises:
        ValueError: the annotation is none of these, or makes more of `Secret` than `Secret | None`.
    """
    kind = _type_of(node)
    if holds_secret(kind) and kind is not Secret and set(typing.get_args(kind)) != {Secret, types.NoneType}:
        raise refused(node, "a secret is declared as Secret, or as Secret | None")
    return kind


def _type_of(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if isinstance(node, ast.Name) and node.id in PLAIN:
        return PLAIN[node.id]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _type_of(node.left) | _type_of(node.right)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if node.value.id == "Literal" and inner:
            return typing.Literal[tuple(literal_of(choice) for choice in inner)]
        if node.value.id == "list" and len(inner) == 1:
            return types.GenericAlias(list, (_type_of(inner[0]),))
        if node.value.id == "Annotated" and len(inner) > 1:
            kind = _type_of(inner[0])
            return Annotated[(kind, *(_limit_of(limit, typing.get_origin(kind) or kind) for limit in inner[1:]))]
    raise refused(node, f"this type is not allowed; use {ALLOWED}")


def _limit_of(node: ast.expr, kind: object) -> object:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        limit, limited = LIMITS.get(node.func.id, (None, ()))
        bound = literal_of(node.args[0])
        if limit is not None and kind in limited and type(bound) in (int, float):
            return limit(bound)
    raise refused(node, "expected Ge, Gt, Le, Lt or MultipleOf of a number, or MinLen or MaxLen of a text or list")
