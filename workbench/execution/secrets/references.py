"""`Secret`, the type of a parameter that names a secret; the contract, the session and the forms read it here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args

from workbench.errors import BadInput

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

__all__ = ["EXAMPLE", "LARGEST", "SCHEME", "Secret", "check_length", "holds_secret", "name_of"]

SCHEME = "secret://"
EXAMPLE = "secret://api-token"
LONGEST_NAME = 128
SHORTEST = 4
LARGEST = 65_536
REFERENCE = rf"^{SCHEME}[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}$"
"""A name begins with a letter or digit, so that none is a hidden file or a step up in a folder of secrets."""


@dataclass(frozen=True, slots=True)
class _Reference:
    """Marks an annotation; pydantic asks it for the schema, and is not imported before."""

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.str_schema(pattern=REFERENCE, strict=True)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "format": "secret-reference"}


Secret = Annotated[str, _Reference()]
"""A text of the form `secret://name`: it says which secret is meant, and never is one."""


def holds_secret(annotation: Any) -> bool:
    """Whether a type is `Secret`, or is made of it, as `Secret | None`."""
    marks = getattr(annotation, "__metadata__", ())
    return any(isinstance(mark, _Reference) for mark in marks) or any(map(holds_secret, get_args(annotation)))


def name_of(reference: object) -> str:
    """The name in a reference.

    Raises:
        BadInput: this is no reference. The message does not repeat what was given, which may be a secret itself.
    """
    if isinstance(reference, str) and re.fullmatch(REFERENCE, reference) and not reference.endswith("\n"):
        return reference.removeprefix(SCHEME)
    raise BadInput(
        f"expected a reference to a secret, such as {EXAMPLE}; what was given is not one, and is not shown",
        hint="A name is made of letters, digits, - _ and . only. Never write the secret itself here.",
    )


def check_length(name: str, value: str, where: str) -> None:
    """Refuses a secret that could not be taken out of what a notebook prints.

    Raises:
        BadInput: it has fewer than 4 characters besides white space, or more than 65,536.
    """
    if len(value.strip()) < SHORTEST or len(value) > LARGEST:
        raise BadInput(
            f"{SCHEME}{name} from {where} has {len(value)} characters, expected {SHORTEST} to {LARGEST:,}",
            hint="A shorter text is part of too many words to be taken out of what a notebook prints.",
        )
