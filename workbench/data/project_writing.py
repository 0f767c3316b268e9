"""Writes a project's workbench.toml from a look at its data, each choice with its comment. Called by `workbench init`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit

from workbench.data.inspection import Inspection, inspect
from workbench.data.reading import read_table
from workbench.errors import BadInput, DatasetUnusable, ProjectInvalid, did_you_mean
from workbench.project import Fairness, Gates, Monitoring, Rollout, Serving, Tolerated, Training, read_project
from workbench.settings import PROJECT_FILE
from workbench.store.objects import replace_file

if TYPE_CHECKING:
    from tomlkit.items import Array, Table

__all__ = ["write_project"]

WIDTH = 100


def write_project(  # noqa: PLR0913 - each is one key of the file
    folder: Path,
    *,
    name: str,
    source: str,
    target: str,
    sensitive: Sequence[str] = (),
    entity: str | None = None,
    time: str | None = None,
    owner: str,
    favourable: str | None = None,
) -> Inspection:
    """Looks at the data and writes a workbench.toml with which everything runs unedited.

    Args:
        folder: of the project; its workbench.toml is written whole or not at all.
        name: lower-case letters, digits and hyphens; the served model gets it too.
        source: the data file, as a path from `folder`.
        target: the column to predict.
        sensitive: the columns by which fairness is assessed.
        entity: the column that says whom a row is about.
        time: the column that says when a row was observed.
        owner: who answers for the data.
        favourable: the class that people want to get; by default the positive one.

    Returns:
        What was decided, with a sentence for each decision.

    Raises:
        BadInput: there is a workbench.toml, which may hold a person's edits.
        DataUnreadable: the source is not a readable table.
        DatasetUnusable: it cannot be learned from as asked.
        ProjectInvalid: a name or value does not fit workbench.toml; nothing was written.
    """
    if (folder / PROJECT_FILE).exists():
        raise BadInput(f"{folder / PROJECT_FILE} exists already", hint="Edit it, or choose another folder.")
    sensitive = tuple(dict.fromkeys(sensitive))
    found = inspect(read_table(folder / source), target=target, sensitive=sensitive, entity=entity, time=time)
    if favourable is not None and favourable not in found.classes:
        raise DatasetUnusable(
            f"the favourable outcome {favourable!r} is not a class of {target!r}",
            hint=did_you_mean(favourable, found.classes),
        )
    sections = {
        "dataset": _dataset(found, source, target, sensitive, entity, time, owner),
        "training": _training(),
        "fairness": _fairness(found, favourable or found.favourable),
        "gates": _gates(found.task),
        "serving": _serving(name),
        "rollout": _rollout(),
        "monitoring": _monitoring(),
    }
    _put_in_place(folder / PROJECT_FILE, _rendered(name, sections))
    wanted = favourable or found.favourable
    if wanted is None:
        return found
    assumed = f"Fairness takes {wanted!r} as the outcome that people want; change fairness.favourable if it is not."
    return replace(found, notes=(*found.notes, assumed))


def _rendered(name: str, sections: Mapping[str, Table]) -> str:
    document = tomlkit.document()
    document.add(tomlkit.comment(f"{name}: what is learned from which data, and under which rules."))
    document.add(
        tomlkit.comment("Written by `workbench init` from a look at the data. Yours to edit: every command reads it anew.")
    )
    document.add(tomlkit.nl())
    document.add("name", tomlkit.item(name))
    for title, section in sections.items():
        document.add(tomlkit.nl())
        document.add(title, section)
    return tomlkit.dumps(document)


def _put_in_place(path: Path, text: str) -> None:
    """Writes the file only if it reads back as a valid project."""
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / PROJECT_FILE
        draft.write_text(text, encoding="utf-8")
        try:
            read_project(draft)
        except ProjectInvalid as error:
            raise ProjectInvalid(
                "these values do not make a valid project", problems=error.problems, hint="Choose others; nothing was written."
            ) from error
    replace_file(path, text.encode())


def _section(why: str, entries: Iterable[tuple[str, Any, str]]) -> Table:
    """A table that starts with a comment; entries are key, value and comment, and those without a value are left out."""
    table = tomlkit.table()
    table.add(tomlkit.comment(why))
    for key, value, comment in entries:
        if value is not None:
            entry = tomlkit.item(value)
            if comment:
                entry.comment(comment)
            table.add(key, entry)
    return table


def _dataset(
    found: Inspection, source: str, target: str, sensitive: Sequence[str], entity: str | None, time: str | None, owner: str
) -> Table:
    table = _section(
        "Where the rows come from and what is predicted. `zone` says where they may be kept, `purpose` what they may serve.",
        [
            ("source", source, "a CSV or Parquet file, as a path from this folder"),
            ("owner", owner, "who answers for this data"),
            ("zone", "local", ""),
            ("purpose", "experimentation", ""),
            ("target", target, ""),
            ("task", found.task, "binary, multiclass or regression"),
            ("positive", found.positive, "the class whose probability the model predicts"),
            ("entity", entity, "whom or what a row is about: kept together when rows are set aside for testing"),
            ("time", time, "when a row was observed: the latest rows are set aside for testing"),
            ("sensitive", _array(sensitive), "fairness is assessed by these; they stay features unless ignored below"),
        ],
    )
    table.add(tomlkit.nl())
    table.add("columns", _columns(found))
    return table


def _columns(found: Inspection) -> Table:
    table = _section(
        "Every column of the data is listed once. Move a name to change what its column is to the model.",
        [("number", _array(found.columns.number), ""), ("category", _array(found.columns.category), "")],
    )
    table.add(tomlkit.nl())
    table.add("ignored", _reasons(found.columns.ignored))
    return table


def _reasons(ignored: Mapping[str, str]) -> Table:
    return _section("Not learned from, and why.", [(name, reason, "") for name, reason in ignored.items()])


def _training() -> Table:
    default = Training()
    return _section(
        "Which notebooks compete, and how they are measured.",
        [
            ("candidates", _array(default.candidates), ""),
            ("holdout", default.holdout, "the share of rows kept for the test"),
            ("folds", default.folds, "of the cross-validation on the other rows"),
            ("seed", default.seed, ""),
        ],
    )


def _fairness(found: Inspection, favourable: str | None) -> Table:
    metric = "mean_absolute_error" if found.task == "regression" else "selection_rate"
    default = Fairness.model_validate({"metric": metric})
    return _section(
        "The fairness policy. A group passes when its whole confidence interval clears the limit.",
        [
            ("metric", metric, "compared between groups, as a ratio"),
            ("limit", default.limit, "the worst acceptable ratio; 0.8 is the four-fifths rule"),
            ("confidence", default.confidence, ""),
            ("minimum_group_size", default.minimum_group_size, "smaller groups are reported, but not judged"),
            ("intersections", default.intersections, "also judge combinations of sensitive columns"),
            ("favourable", favourable, "the outcome people want to get: please check"),
        ],
    )


def _gates(task: str) -> Table:
    default = Gates()
    table = _section(
        "What a model must pass before production. Approvals name the digest of this table: a change of it voids them.",
        [
            ("fairness", default.fairness, "PASS, or accepted: a reviewer accepted an INCONCLUSIVE one; any: no gate"),
            ("contract", default.contract, "the rows met the data contract"),
            ("parity", default.parity, "what is served provably predicts the same as what was trained"),
            ("signature", default.signature, "every packaged file is signed; never waived"),
            ("approvals", default.approvals, "how many people must approve exactly these bytes; never waived"),
            ("roles", _array(default.roles), "whose approvals count: approver, reviewer"),
            ("approval_days", default.approval_days, "how long an approval counts"),
        ],
    )
    table.add(tomlkit.comment("oldest_days = 30         how old a package may be"))
    metric, bound = ("rmse", "ceiling = 10.0") if task == "regression" else ("accuracy", "floor = 0.75")
    table.add(tomlkit.comment("[gates.metrics]          the confidence bound on the holdout counts, not the value"))
    table.add(tomlkit.comment(f"{metric} = {{ {bound}, worse_by = 0.01 }}    worse_by: than the model that is live"))
    return table


def _serving(name: str) -> Table:
    fields = Serving.model_fields
    return _section(
        "The served model, and how much one request may ask of it.",
        [
            ("name", name, ""),
            ("host", fields["host"].default, "this machine only; put a proxy in front before opening it to others"),
            ("port", fields["port"].default, ""),
            ("max_rows", fields["max_rows"].default, ""),
            ("max_body_bytes", fields["max_body_bytes"].default, ""),
        ],
    )


def _rollout() -> Table:
    default = Rollout()
    table = _section(
        "How a new model takes over from the live one, and when it is rolled back instead.",
        [
            ("steps", list(default.steps), "percent of the traffic; the new model is judged at each before the next"),
            ("alpha", default.alpha, "the probability that a new model within what is tolerated is ever rolled back"),
            ("minimum_answers", default.minimum_answers, "of the new model, before a step ends well"),
            ("max_hold_seconds", default.max_hold_seconds, "how long a step may last without a decision"),
            ("undecided", default.undecided, "what then: hold, advance or roll back"),
        ],
    )
    table.add(tomlkit.comment("slow_seconds = 0.1        when an answer is slow; else what 95 % of the live model's need"))
    table.add(tomlkit.nl())
    table.add("tolerated", _tolerated())
    return table


def _tolerated() -> Table:
    default = Tolerated()
    return _section(
        "By how much a share may differ between the new and the live model; 0.01 is one point.",
        [
            ("errors", default.errors, "answers with a status of 500 or more"),
            ("latency", default.latency, "slow answers"),
            ("predictions", default.predictions, "predictions of each kind, up or down"),
            ("groups", default.groups, "by which a group falls behind the others"),
            ("labels", default.labels, "wrong predictions, where labels arrive"),
        ],
    )


def _monitoring() -> Table:
    default = Monitoring()
    return _section(
        "When a difference between served and learned rows counts as drift: significant and large enough.",
        [
            ("alpha", default.alpha, "significance after correction for many columns"),
            ("floor", default.floor, "smallest population stability index that matters"),
            ("minimum_rows", default.minimum_rows, "fewer served rows are not judged"),
        ],
    )


def _array(names: Sequence[str]) -> Array:
    """Names side by side, on several lines where one would be too long."""
    array = tomlkit.array()
    lines: list[list[str]] = [[]]
    for name in names:
        if lines[-1] and sum(len(other) + 4 for other in lines[-1]) + len(name) > WIDTH:
            lines.append([])
        lines[-1].append(name)
    if len(lines) == 1:
        array.extend(lines[0])
        return array
    for line in lines:
        array.add_line(*line)
    array.add_line(indent="")
    return array
