"""The five verbs themselves; `workbench.session` names them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_type_hints

import msgspec

from workbench.errors import BadInput, ParametersInvalid, did_you_mean
from workbench.execution.secrets import holds_secret, resolve, scrubber_of_process
from workbench.project import read_project
from workbench.records import HOPS, Saved, outcome_of
from workbench.session.binding import current_binding
from workbench.session.guarding import refuse_secrets
from workbench.session.outcome import Outcome
from workbench.session.values import plain, read_value, write_value
from workbench.store import Objects

__all__ = ["load", "parameters", "record", "save", "show"]


def load(name: str, *, of: str | None = None) -> Any:
    """What an upstream step saved under `name`.

    Three names belong to the workbench: `project` (the validated workbench.toml), `dataset` (its rows as a polars frame)
    and, after the reviews, `candidates` (what competes in 04_choose). Interactively the newest value is taken: of the
    latest successful run, or a draft that was saved since.

    Args:
        name: the name given to `save`.
        of: interactively, the candidate whose value is wanted (its notebook's name); the winner's by default.

    Raises:
        NotFound: nothing upstream saved it; the message lists what exists.
    """
    binding = current_binding()
    if name == "project":
        return read_project(binding.layout.project_file)
    found = binding.find(name, of)
    return read_value(Objects(binding.layout.objects), found) if isinstance(found, Saved) else found


def save(**values: object) -> None:
    """Keeps values for downstream steps: frames, arrays, fitted models, or anything with a JSON form. Nothing is pickled.

    Raises:
        BadInput: a value cannot be stored or holds a secret, or a name belongs to the workbench; the message names it.
    """
    binding = current_binding()
    objects = Objects(binding.layout.objects)
    for name in values:
        if name in ("project", "dataset", "candidates", *HOPS):
            raise BadInput(f"session.save({name}=…): this name belongs to the workbench", hint="Choose another name.")
    for name, value in values.items():
        refuse_secrets("save", name, value)
    for name, value in values.items():
        binding.saved(write_value(objects, name, value))


def record(**outcome: object) -> Outcome:
    """States the typed outcome of this notebook; displayed at once, and stored as the hop's record when the run succeeds.

    Args:
        outcome: the fields of the hop's record (see `workbench.records`), such as `metrics` and `cross_validation`.

    Raises:
        BadInput: the hop records no such field, its value has another shape than the record's, or it holds a secret.
    """
    binding = current_binding()
    hop = _hop_of(outcome, binding.hop)
    hints = get_type_hints(HOPS[hop])
    checked: dict[str, Any] = {}
    for name, value in outcome.items():
        try:
            checked[name] = plain(msgspec.convert(plain(value), type=hints[name]))
        except (msgspec.ValidationError, TypeError) as error:
            raise BadInput(
                f"session.record({name}=…): {error}", hint=f"Expected {hints[name]}; see the record of {hop!r}."
            ) from error
        refuse_secrets("record", name, checked[name])
    binding.recorded(checked)
    return Outcome(hop, checked)


def show(thing: object, static: Callable[[], object] | None = None) -> None:
    """Displays a figure or a widget: as it is when a person looks, as its static picture when nobody does.

    Args:
        thing: anything Jupyter can display.
        static: for a widget, makes the picture that stands for it in a headless run.
    """
    from IPython.display import display  # only kernels have it loaded

    shown = thing if static is None or current_binding().attended else static()
    figure, by_pyplot = hasattr(shown, "savefig"), "matplotlib.pyplot" in sys.modules
    if figure and not by_pyplot:
        _draw_figures()
    display(shown)
    if figure and by_pyplot:
        sys.modules["matplotlib.pyplot"].close(shown)  # an open figure would be shown again at the end of the cell


def _draw_figures() -> None:
    """Figures become pictures: a kernel learns that with the import of pyplot, which drawing does not need."""
    from IPython.core.getipython import get_ipython
    from IPython.core.pylabtools import select_figure_formats

    shell = get_ipython()
    if shell is not None:
        select_figure_formats(shell, {"png"})


class _Values(SimpleNamespace):
    """Parameters as attributes; printed, a secret shows as its reference."""

    def __repr__(self) -> str:
        return scrubber_of_process().text(super().__repr__())


def parameters() -> SimpleNamespace:
    """The notebook's parameters with their validated values, as attributes; a `Secret` is resolved to the secret itself.

    Raises:
        ParametersInvalid: a value that was set by hand does not fit its declared type or limits.
        NotFound: no place knows the secret that a parameter names.
        BadInput: what a place holds under the name cannot be used as a secret.
    """
    from pydantic import ConfigDict, ValidationError, create_model  # 0.2 s that other verbs do not need

    notebook, names = sys.modules["__main__"], current_binding().parameter_names
    annotated = {name: kind for name, kind in get_type_hints(notebook, include_extras=True).items() if hasattr(notebook, name)}
    declared = {name: kind for name, kind in annotated.items() if names is None or name in names}
    fields: dict[str, Any] = {name: (kind, ...) for name, kind in declared.items()}
    config = ConfigDict(strict=True, arbitrary_types_allowed=True, protected_namespaces=())
    model = create_model("Parameters", __config__=config, **fields)
    try:
        checked = model(**{name: getattr(notebook, name) for name in declared})
    except ValidationError as error:
        problems = list(dict.fromkeys(_problem(detail, declared[str(detail["loc"][0])]) for detail in error.errors()))
    else:
        values = {name: getattr(checked, name) for name in declared}
        secrets = [name for name, kind in declared.items() if holds_secret(kind) and values[name] is not None]
        return _Values(**{**values, **{name: resolve(values[name]) for name in secrets}})
    raise ParametersInvalid("a parameter does not fit its declaration", problems=problems)


def _problem(detail: Any, kind: Any) -> str:
    given = "what is not shown, as it may be a secret" if holds_secret(kind) else repr(detail["input"])
    return f"{detail['loc'][0]}: given {given}, {detail['msg']}"


def _hop_of(outcome: dict[str, object], bound: str | None) -> str:
    """The hop that the kernel is bound to, else the first one that records these fields."""
    kinds = {hop: kind for hop, kind in HOPS.items() if bound in (None, hop)}
    for hop, kind in kinds.items():
        if set(outcome) <= set(outcome_of(kind)):
            return hop
    known = {name for kind in kinds.values() for name in outcome_of(kind)}
    unknown = next((name for name in outcome if name not in known), None)
    refusal = f"{bound} does not record" if bound else "no hop records together"
    raise BadInput(
        f"session.record was given {', '.join(outcome)}, which {refusal}",
        hint=did_you_mean(unknown, known) if unknown else "Record the fields of one hop only.",
    )
