"""A form made from the contract of a notebook's parameters cell; what cannot be used is said beside its field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import ipywidgets

from workbench.errors import ParametersInvalid
from workbench.execution.parameters import Parameters

__all__ = ["ParametersForm"]

WIDE = ipywidgets.Layout(width="420px")
NAMED = {"description_width": "140px"}
RED = {"text_color": "#cf222e"}
STEPS = 200
FARTHEST = 2**53
"""Beyond this a browser's numbers are no longer exact."""


class ParametersForm(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets ships no types
    """One row for each parameter: a slider for a number within bounds, a choice, a box to tick, or a text.

    Args:
        parameters: what `read_parameters` returned.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters, self._defaults = parameters, parameters.defaults()
        fields = parameters.schema().get("properties", {})
        self._controls = {name: _control(fields[name], default) for name, default in self._defaults.items()}
        self._untouched = {name: control.value for name, control in self._controls.items()}
        self._messages = {name: ipywidgets.Label(style=RED) for name in self._controls}
        for name, control in self._controls.items():
            control.description, control.style, control.layout = name, NAMED, WIDE
            control.observe(partial(self._check, name), names="value")
        super().__init__([self._row(name, fields[name].get("description", "")) for name in self._controls])

    @property
    def values(self) -> dict[str, Any]:
        """Every parameter with the value that the form shows, as a run takes them.

        Raises:
            ParametersInvalid: a field cannot be used; each is named.
        """
        values: dict[str, Any] = {}
        problems: list[str] = []
        for name in self._controls:
            try:
                values[name] = self._value(name)
            except ParametersInvalid as error:
                problems += error.problems
        if problems:
            raise ParametersInvalid(f"{self._parameters.notebook}: the form holds what cannot be used", problems=problems)
        return values

    def _row(self, name: str, help_text: str) -> ipywidgets.Widget:
        return ipywidgets.VBox([ipywidgets.HBox([self._controls[name], ipywidgets.Label(help_text)]), self._messages[name]])

    def _value(self, name: str) -> Any:
        shown = self._controls[name].value
        if shown == self._untouched[name]:
            return self._defaults[name]
        checked = self._parameters.parse({name: shown}) if isinstance(shown, str) else self._parameters.validate({name: shown})
        return checked[name]

    def _check(self, name: str, _change: Mapping[str, Any]) -> None:
        try:
            self._value(name)
        except ParametersInvalid as error:
            message = error.problems[0]
            if name in self._parameters.secrets:  # a field's text is saved with the notebook
                self._controls[name].value = self._untouched[name]
        else:
            message = ""
        self._messages[name].value = message


def _control(field: Mapping[str, Any], default: object) -> ipywidgets.Widget:
    """The control for one property of a JSON schema, as pydantic writes it."""
    choices = field.get("enum") or ([field["const"]] if "const" in field else None)
    if choices:
        return ipywidgets.Dropdown(options=[(str(choice), choice) for choice in choices], value=default)
    if field.get("type") == "boolean":
        return ipywidgets.Checkbox(value=default, indent=True)
    low, high = (field.get(kind, field.get(f"exclusive{kind.capitalize()}")) for kind in ("minimum", "maximum"))
    if (
        field.get("type") in ("integer", "number")
        and low is not None
        and high is not None
        and -FARTHEST <= low < high <= FARTHEST
    ):
        return _slider(field, low, high, default)
    text = default if isinstance(default, str) else json.dumps(default, ensure_ascii=False)
    hint = "secret://name" if field.get("format") == "secret-reference" else ""
    return ipywidgets.Text(value=text, placeholder=hint, continuous_update=False)


def _slider(field: Mapping[str, Any], low: float, high: float, default: object) -> ipywidgets.Widget:
    multiple = field.get("multipleOf")
    if field["type"] == "number":
        step, form = multiple or (high - low) / STEPS, ".4g"
        return ipywidgets.FloatSlider(value=default, min=low, max=high, step=step, readout_format=form, continuous_update=False)
    low += "exclusiveMinimum" in field
    high -= "exclusiveMaximum" in field
    low = -(-low // (multiple or 1)) * (multiple or 1)
    return ipywidgets.IntSlider(value=default, min=low, max=high, step=multiple or 1, continuous_update=False)
