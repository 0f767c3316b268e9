"""What a variant has answered since a step began, as counts that add up; filled by the controller, read by `judge`.

`msgspec.json.encode` writes these and `msgspec.json.decode(body, type=Counts)` reads them, so that a killed controller goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.errors import BadInput

__all__ = ["Counts", "Evidence", "Tally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Of `trials` answers, `hits` were of some kind.

    Raises:
        BadInput: more hits than trials, or fewer than none.
    """

    hits: int = 0
    trials: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.trials:
            raise BadInput(
                f"{self.hits} of {self.trials} answers cannot be",
                hint="Expected 0 ≤ hits ≤ trials, both counted since one moment.",
            )

    @property
    def rate(self) -> float | None:
        """The share of hits; None where nothing was tried."""
        return self.hits / self.trials if self.trials else None

    def __add__(self, other: Tally) -> Tally:
        return Tally(hits=self.hits + other.hits, trials=self.trials + other.trials)

    def __sub__(self, other: Tally) -> Tally:
        return Tally(hits=self.hits - other.hits, trials=self.trials - other.trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Cumulative counts of one variant in one step.

    Attributes:
        errors: Answers with a status of 500 or more, among all answers; its trials are the step's answers.
        slow: Answers slower than the cut, among those that were timed.
        predictions: By the name of a kind of prediction ("above 0.31", "yes"): how many predictions were of it.
        groups: By sensitive column and group: how many of the group's rows were given the favourable outcome.
        wrong: Predictions that their label contradicts, among those whose label has arrived.
    """

    errors: Tally = Tally()
    slow: Tally = Tally()
    predictions: Mapping[str, Tally] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, Tally]] = field(default_factory=dict)
    wrong: Tally = Tally()

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            errors=self.errors + other.errors,
            slow=self.slow + other.slow,
            predictions=_summed(self.predictions, other.predictions),
            groups={
                column: _summed(self.groups.get(column, {}), other.groups.get(column, {}))
                for column in dict.fromkeys((*self.groups, *other.groups))
            },
            wrong=self.wrong + other.wrong,
        )

    def others(self, column: str, group: str) -> Tally:
        """The rows of every group of a column but one."""
        return sum((tally for name, tally in self.groups.get(column, {}).items() if name != group), Tally())


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a step is judged by.

    Attributes:
        control: The live model's counts since the step began.
        canary: The new model's counts since the same moment.
        before: The live model's counts until that moment, frozen at it. It says which kinds of predictions and which groups are
            compared: others wait for the next step, since the number of comparisons has to be known beforehand. Its rates
            are where the comparison expects both models, which saves answers when it is right and costs some when it is wrong.
    """

    control: Counts
    canary: Counts
    before: Counts = field(default_factory=Counts)


def _summed(first: Mapping[str, Tally], second: Mapping[str, Tally]) -> dict[str, Tally]:
    return {name: first.get(name, Tally()) + second.get(name, Tally()) for name in dict.fromkeys((*first, *second))}
