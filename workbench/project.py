"""The project file `workbench.toml` as one validated object; problems name their line. Read by every interface and notebook."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from workbench.errors import ProjectInvalid, did_you_mean

__all__ = [
    "Columns",
    "Dataset",
    "Fairness",
    "Gates",
    "MetricGate",
    "Monitoring",
    "Project",
    "Rollout",
    "Serving",
    "Task",
    "Tolerated",
    "Training",
    "parse_project",
    "read_project",
]

Task = Literal["binary", "multiclass", "regression"]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Share = Annotated[float, Field(gt=0, lt=1)]
WHOLE = 100


class Section(BaseModel):
    """A table of workbench.toml: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Columns(Section):
    """What each column is. A column listed nowhere breaks the contract; `ignored` says why it is not learned from."""

    number: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    ignored: dict[str, str] = {}

    @property
    def features(self) -> tuple[str, ...]:
        """The columns a model may learn from, numbers first."""
        return self.number + self.category


class Dataset(Section):
    """Where the rows come from, what is predicted, and which columns describe people."""

    source: str
    owner: str
    zone: Identifier = "local"
    purpose: str = "experimentation"
    target: str
    task: Task
    positive: str | None = None
    entity: str | None = None
    time: str | None = None
    sensitive: tuple[str, ...] = ()
    columns: Columns

    @model_validator(mode="after")
    def consistent(self) -> Dataset:
        """The target is not a feature, no column is two things, and a binary task names its positive class."""
        features = self.columns.features
        if self.target in features:
            raise ValueError(f"the target {self.target!r} is also listed as a feature")
        twice = sorted({name for name in features if features.count(name) > 1 or name in self.columns.ignored})
        if twice:
            raise ValueError(f"listed twice under columns: {', '.join(twice)}")
        if not features:
            raise ValueError("no feature columns are left to learn from")
        if self.task == "binary" and self.positive is None:
            raise ValueError("a binary task needs `positive`: the target's value that the model predicts")
        return self


class Training(Section):
    """Which notebooks compete, and how they are measured."""

    candidates: tuple[str, ...] = Field(default=("02_train_linear", "02_train_boosted", "02_train_network"), min_length=1)
    metric: str | None = None
    holdout: Share = 0.2
    folds: int = Field(default=5, ge=2, le=20)
    seed: int = 0


class Fairness(Section):
    """The fairness policy: metric, limit, confidence, smallest group. `favourable` is the outcome people want to get."""

    metric: Literal["selection_rate", "true_positive_rate", "false_positive_rate", "accuracy", "mean_absolute_error"]
    limit: Share = 0.8
    confidence: Share = 0.95
    minimum_group_size: int = Field(default=50, ge=1)
    intersections: bool = True
    favourable: str | None = None


class Serving(Section):
    """The served model's name, where it listens, and how much one request may ask."""

    name: Identifier
    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=0, le=65535)
    max_rows: int = Field(default=1000, ge=1)
    max_body_bytes: int = Field(default=1_000_000, ge=1024)


class Tolerated(Section):
    """By how much a share may differ between the new and the live model before the new one is rolled back; 0.01 is one point."""

    errors: Share = 0.01
    latency: Share = 0.05
    predictions: Share = 0.05
    groups: Share = 0.1
    labels: Share = 0.05


class Rollout(Section):
    """How a new model takes over from the live one: shares of the traffic in percent, and what each step is judged by.

    `alpha` is the probability that a new model within what is `tolerated` is ever rolled back, over all steps and signals.
    `slow_seconds` is the time after which an answer counts as slow; left out, what 95 % of the live model's answers need.
    `undecided` is what happens when a step has lasted `max_hold_seconds` without a decision.
    """

    steps: tuple[int, ...] = (10, 50, 100)
    alpha: Share = 0.01
    minimum_answers: int = Field(default=500, ge=1)
    max_hold_seconds: int = Field(default=86_400, ge=1)
    undecided: Literal["hold", "advance", "roll back"] = "hold"
    slow_seconds: float | None = Field(default=None, gt=0)
    tolerated: Tolerated = Tolerated()

    @property
    def judged(self) -> tuple[int, ...]:
        """The steps at which both models answer, so that one can be judged by the other."""
        return tuple(step for step in self.steps if step < WHOLE)

    @model_validator(mode="after")
    def rising(self) -> Rollout:
        """Traffic only grows, up to all of it."""
        if list(self.steps) != sorted({*self.steps}) or self.steps[:1] < (1,) or self.steps[-1:] != (WHOLE,):
            raise ValueError("`steps` are rising percentages that end with 100, such as [10, 50, 100]")
        return self


class Monitoring(Section):
    """When a difference counts as drift: adjusted p below `alpha` and population stability index above `floor`."""

    alpha: Share = 0.01
    floor: float = Field(default=0.02, ge=0)
    minimum_rows: int = Field(default=200, ge=1)


class MetricGate(Section):
    """What a metric on the holdout must reach; its confidence bound counts, not its point value.

    `floor` and `ceiling` bound it; `worse_by` is by how much it may be worse than that of the live model.
    """

    floor: float | None = None
    ceiling: float | None = None
    worse_by: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def bounded(self) -> MetricGate:
        """A gate without a bound would let everything pass."""
        if (self.floor, self.ceiling, self.worse_by) == (None, None, None):
            raise ValueError("it needs at least one of floor, ceiling and worse_by")
        return self


class Gates(Section):
    """What a model must pass before production. The digest of this table is the policy's, which approvals name.

    `fairness` is the verdict asked for: PASS, or `accepted` for one that a reviewer accepted as well; `any` declares no gate.
    `approvals` counts different people in one of `roles`, each for `approval_days`.
    """

    metrics: dict[str, MetricGate] = {}
    fairness: Literal["PASS", "accepted", "any"] = "accepted"
    contract: bool = True
    parity: bool = True
    signature: bool = True
    oldest_days: int | None = Field(default=None, ge=1)
    approvals: int = Field(default=0, ge=0, le=10)
    roles: tuple[Literal["reviewer", "approver"], ...] = ("approver",)
    approval_days: int = Field(default=90, ge=1, le=3650)

    @model_validator(mode="after")
    def answerable(self) -> Gates:
        """Approvals that nobody may give could never be had."""
        if self.approvals and not self.roles:
            raise ValueError("`approvals` asks for people, and `roles` lets nobody approve")
        return self

    @property
    def digest(self) -> str:
        """The sha256 of the policy's canonical JSON."""
        return hashlib.sha256(
            json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()
        ).hexdigest()


class Project(Section):
    """The whole of workbench.toml."""

    name: Identifier
    dataset: Dataset
    training: Training = Training()
    fairness: Fairness
    gates: Gates = Gates()
    serving: Serving
    rollout: Rollout = Rollout()
    monitoring: Monitoring = Monitoring()


def read_project(path: Path) -> Project:
    """Reads and validates workbench.toml.

    Raises:
        ProjectInvalid: not TOML, or a key is unknown, missing or out of range; each problem names its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectInvalid(f"{path.name} cannot be read: {error}", hint=f"Mend {path}.") from error
    return parse_project(text, path)


def parse_project(text: str, path: Path) -> Project:
    """Validates the text of a workbench.toml; `path` is named in the error.

    Raises:
        ProjectInvalid: as `read_project`.
    """
    try:
        return Project.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProjectInvalid(f"{path.name} cannot be read: {error}", hint=f"Mend {path}.") from error
    except ValidationError as error:
        problems = [_problem(text, detail) for detail in error.errors()]
        raise ProjectInvalid(
            f"{path.name} has {len(problems)} problem{'s' if len(problems) > 1 else ''}",
            problems=problems,
            hint=f"Mend {path}.",
        ) from error


def _problem(text: str, detail: Any) -> str:
    location = tuple(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = f"unknown key; {did_you_mean(location[-1], _siblings(location))}"
    return f"line {_line(text, location)}: {'.'.join(location) or 'project'}: {message}"


def _siblings(location: tuple[str, ...]) -> list[str]:
    """The keys that the table of an unknown key may have; a table of tables by name is passed through."""
    annotation: Any = Project
    for part in location[:-1]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = annotation.model_fields[part].annotation
        else:
            annotation = get_args(annotation)[-1]
    return list(annotation.model_fields)


def _line(text: str, location: tuple[str, ...]) -> int:
    """The line of the deepest part of `location` that the file spells out (tomllib keeps no positions)."""
    table: tuple[str, ...] = ()
    best, depth = 1, -1
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[([^\[\]]+)\]", line)
        key = re.match(r"\s*(?:\"([^\"]+)\"|([\w-]+))\s*=", line)
        if header:
            table = tuple(part.strip().strip('"') for part in header[1].split("."))
            here = table
        elif key:
            here = (*table, key[1] or key[2])
        else:
            continue
        if len(here) > depth and here == location[: len(here)]:
            best, depth = number, len(here)
    return best
