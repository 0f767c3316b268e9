"""Checks a prediction request against the manifest and says precisely what is wrong with it; called by the service."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from workbench.errors import RequestInvalid, bounded, did_you_mean
from workbench.serving.scorer.manifest import Feature, Manifest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["Request", "RequestReader", "Row"]

LARGEST = 3.4028234663852886e38
"""The largest float32: a number beyond it would reach the model as infinity."""

Row = dict[str, float | str | None]
"""One row as the model reads it: numbers as float (None is missing), categories as text."""

_Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
_CATEGORY: dict[str, Any] = {
    "string": Annotated[str, Field(strict=True)],
    "float": Annotated[str, Field(strict=True)],
    "integer": Annotated[str, Field(strict=True)] | Annotated[int, Field(strict=True)],
    "boolean": Annotated[str, Field(strict=True)] | Annotated[bool, Field(strict=True)],
}
_JSON_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object", type(None): "null"}
_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request's rows, normalised, and what a reader of the answer should know about them."""

    rows: list[Row]
    warnings: list[str]


class RequestReader:
    """Reads requests for one model: exact columns, finite numbers, text categories, a limited number of rows."""

    def __init__(self, manifest: Manifest) -> None:
        """Compiles the manifest's columns into a checker."""
        self._features = {feature.name: feature for feature in manifest.features}
        self._known = {feature.name: frozenset(feature.categories) for feature in manifest.features if feature.kind == "category"}
        self._missing = manifest.missing
        self._max_rows = manifest.max_rows
        self._example = manifest.example
        # A typed dict and not a model class: column names may be any text, such as "copy" or "_id".
        row = TypedDict("Row", {feature.name: _type_of(feature) for feature in manifest.features})  # type: ignore[misc]
        row.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
        self._rows: TypeAdapter[list[dict[str, Any]]] = TypeAdapter(list[row])  # type: ignore[arg-type]

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a request body, for the OpenAPI page."""
        row = {
            "type": "object",
            "additionalProperties": False,
            "required": list(self._features),
            "properties": {name: _schema_of(feature) for name, feature in self._features.items()},
        }
        return {
            "title": "PredictionRequest",
            "type": "object",
            "additionalProperties": False,
            "required": ["rows"],
            "properties": {"rows": {"type": "array", "minItems": 1, "maxItems": self._max_rows, "items": row}},
            "example": {"rows": [self._example]},
        }

    def read(self, body: Mapping[str, object]) -> Request:
        """The rows of a request body.

        Raises:
            RequestInvalid: each problem names row, field, what was given and what was expected.
        """
        try:
            checked = self._rows.validate_python(self._envelope(body))
        except ValidationError as error:
            raise self._explained(error) from None  # the cause would carry the values of people into logs
        rows = [self._normalised(row) for row in checked]
        return Request(rows=rows, warnings=self._unseen(rows))

    def _envelope(self, body: Mapping[str, object]) -> list[object]:
        """The list under "rows", which is all a request holds."""
        if unknown := sorted(body.keys() - {"rows"}):
            raise self._invalid(f"the body has the unknown key {_bounded(unknown[0])}, expected only 'rows'")
        rows = body.get("rows")
        if not isinstance(rows, list):
            given = "'rows' is missing" if rows is None else f"'rows' is {_shown(rows)}"
            raise self._invalid(f"{given}, expected a list of 1 to {self._max_rows} objects")
        if not 1 <= len(rows) <= self._max_rows:
            raise self._invalid(f"'rows' holds {len(rows)} rows, expected 1 to {self._max_rows}")
        for index, row in enumerate(rows):  # naming each of a hundred thousand unknown fields would take half a second
            if isinstance(row, dict) and len(row) > len(self._features) + _MOST:
                raise self._invalid(f"row {index} holds {len(row)} fields, expected the {len(self._features)} of the model")
        return rows

    def _normalised(self, row: dict[str, Any]) -> Row:
        return {
            name: row[name] if feature.kind == "number" else self._category(row[name]) for name, feature in self._features.items()
        }

    def _category(self, value: str | int | bool | None) -> str:
        """A category as the text that training saw: polars writes booleans in lower case."""
        if isinstance(value, str):
            return value
        if value is None:
            return self._missing
        return str(value).lower() if isinstance(value, bool) else str(value)

    def _unseen(self, rows: list[Row]) -> list[str]:
        """One line per category value that training never saw; it is answered as training handles such values."""
        first: dict[tuple[str, str], int] = {}
        for name, known in self._known.items():
            for index, row in enumerate(rows):
                value = str(row[name])
                if value not in known and value != self._missing:
                    first.setdefault((name, value), index)
        return [
            f"row {index}, field {_bounded(name)}: the category {_bounded(value)} was not seen at training"
            for (name, value), index in list(first.items())[:_MOST]
        ]

    def _explained(self, error: ValidationError) -> RequestInvalid:
        """The library's findings in our words, one per row and field."""
        found = {detail["loc"][:2]: detail for detail in error.errors(include_url=False, include_context=False)}
        problems = [self._problem(detail) for detail in list(found.values())[:_MOST]]
        many = len(found) > 1
        return self._invalid(f"{len(found)} value{'s do' if many else ' does'} not match the model's columns", problems)

    def _problem(self, detail: ErrorDetails) -> str:
        location = detail["loc"]
        if len(location) == 1:
            return f"row {location[0]}: given {_shown(detail['input'])}, expected an object with one value per field"
        row, name = location[0], str(location[1])
        where = f"row {row}, field {_bounded(name)}"
        if detail["type"] == "extra_forbidden":
            return f"{where}: unknown field; {did_you_mean(name, self._features)}"
        expected = _expected(self._features[name])
        given = "missing" if detail["type"] == "missing" else f"given {_shown(detail['input'])}"
        return f"{where}: {given}, expected {expected}"

    def _invalid(self, message: str, problems: list[str] | None = None) -> RequestInvalid:
        return RequestInvalid(
            message, problems=problems or [], hint='Send {"rows": [{field: value, ...}, ...]}; /docs.json describes every field.'
        )


def _type_of(feature: Feature) -> Any:
    kind = _Number if feature.kind == "number" else _CATEGORY[feature.source_type]
    return kind | None if feature.nullable else kind


def _schema_of(feature: Feature) -> dict[str, Any]:
    if feature.kind == "number":
        return {"type": "number", "nullable": feature.nullable}
    described = {"nullable": feature.nullable, "description": "Seen at training: " + bounded(", ".join(feature.categories), 300)}
    if feature.source_type in ("integer", "boolean"):
        return {**described, "oneOf": [{"type": "string"}, {"type": feature.source_type}]}
    return {**described, "type": "string"}


def _expected(feature: Feature) -> str:
    if feature.kind == "number":
        text = "a finite number within ±3.4e38"
    elif feature.source_type in ("integer", "boolean"):
        text = f"a category as text or {feature.source_type}"
    else:
        text = "a category as text"
    return f"{text} or null" if feature.nullable else text


def _shown(value: object) -> str:
    """A JSON value for a message: its type, and its text if that is short."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "null" if value is None else "a number too large for JSON"
    name = _JSON_TYPES.get(type(value), type(value).__name__)
    article = "an" if name[0] in "ao" else "a"
    if isinstance(value, (list, dict)):
        return f"{article} {name}"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    return f"the {name} {_bounded(value)}"


def _bounded(value: object, limit: int = 60) -> str:
    text = repr(value[:limit]) if isinstance(value, str) else str(value)[:limit]
    return f"{text}…" if len(str(value)) > limit else text
