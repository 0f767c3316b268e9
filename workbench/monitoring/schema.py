"""Says what is wrong with the shape of a served window before any statistics look at it; called by the watch notebook.

A column that vanished, changed type or stopped varying is an alarm of its own: a drift test would pass over it in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from workbench.errors import bounded
from workbench.monitoring.alignment import absent, converted, misfit
from workbench.monitoring.windows import PREDICTION

if TYPE_CHECKING:
    import polars as pl

    from workbench.data.contract import Column, Contract

__all__ = ["schema_problems"]

CONSTANT_ROWS = 30
CHANCE = 0.001
LONGEST_VALUE = 40


def schema_problems(features: pl.DataFrame, contract: Contract, reference: pl.DataFrame | None = None) -> tuple[str, ...]:
    """One sentence for each way in which the window's columns differ from the contract; none means the schema holds.

    Found are columns that are missing, renamed, unexpected, of another type, empty, stuck at one value, or filled only with
    categories that training never saw.

    Args:
        features: the window's columns, such as `Window.observed(contract)`; `prediction` is not judged.
        contract: what the model was trained on.
        reference: training rows. With them a column counts as stuck only where chance would fill the window with that value
            less than once in a thousand windows; without them, from 30 rows on.
    """
    problems = list(_name_problems(features.columns, contract))
    for column in contract.features:
        if column.name in features.columns:
            values = features.get_column(column.name)
            known = reference.get_column(column.name) if reference is not None and column.name in reference.columns else None
            problem = _value_problem(values, column, known)
            if problem:
                problems.append(f"column {column.name!r} {problem}")
    return tuple(problems)


def _name_problems(names: Sequence[str], contract: Contract) -> Iterator[str]:
    missing = [name for name in contract.names if name not in names]
    known = {*contract.names, *contract.ignored, PREDICTION}
    unexpected = [name for name in names if name not in known]
    for name in missing:
        successor = _successor(name, missing, unexpected)
        if successor is None:
            yield f"column {name!r} is missing"
        else:
            unexpected.remove(successor)
            yield f"column {name!r} is missing and {successor!r} is unexpected: it looks renamed"
    for name in unexpected:
        yield f"column {name!r} is unexpected: the model never saw it"


def _successor(name: str, missing: Sequence[str], unexpected: Sequence[str]) -> str | None:
    """The unexpected column that most likely is a missing one under a new name, if any is likely."""
    if len(missing) == 1 and len(unexpected) == 1:
        return unexpected[0]
    plain = {_plain(candidate): candidate for candidate in reversed(unexpected)}
    close = difflib.get_close_matches(_plain(name), list(plain), n=1, cutoff=0.8)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _value_problem(values: pl.Series, column: Column, known: pl.Series | None) -> str | None:
    if len(values) == 0:
        return None
    if absent(values).all():
        return f"is empty: all {len(values):,} values are missing"
    reason = misfit(values, column.kind)
    if reason:
        return f"changed its type: {reason}; training held {column.source_type}s"
    found = converted(values, column.kind)
    if column.kind == "category" and column.categories and not found.is_in(list(column.categories)).any():
        return f"holds only categories that training never saw, such as {_shown(found)!r}"
    if _varied(column) and found.n_unique() == 1 and _improbable(found, column, known):
        return f"is stuck: all {len(found):,} values are {_shown(found)!r}"
    return None


def _varied(column: Column) -> bool:
    return len(column.categories) > 1 if column.kind == "category" else column.minimum != column.maximum


def _improbable(found: pl.Series, column: Column, known: pl.Series | None) -> bool:
    """Whether a window filled with one value is more than chance."""
    if known is None or misfit(known, column.kind):
        return len(found) >= CONSTANT_ROWS
    share = ((converted(known, column.kind) == found[0]).sum() + 1) / (len(known) + 1)
    return bool(share ** len(found) < CHANCE)


def _shown(values: pl.Series) -> str:
    return bounded(values[0], LONGEST_VALUE)
