"""Projects as a whole: made from a data file or an example, run, watched, asked for models. Called by the command line."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import BadInput, DatasetUnusable, DataUnreadable, NotFound, did_you_mean
from workbench.governance.audit import witness
from workbench.orchestration.continuing import KEEP, KEEP_SECONDS
from workbench.orchestration.launch import launch
from workbench.orchestration.parameters import parse_texts
from workbench.orchestration.progress import Event
from workbench.project import Project, read_project
from workbench.records import ModelVersion
from workbench.settings import PROJECT_FILE, Layout, actor, revision, templates
from workbench.store import Control, Objects, open_control

__all__ = ["Made", "find_model", "init_example", "init_project", "run_experiment", "run_watch"]

IGNORED = ".workbench/\n.metaflow/\n.ipynb_checkpoints/\n__pycache__/\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new project: its folder, the id of its first dataset version, and what was decided by looking at the data."""

    folder: Path
    dataset: str
    notes: tuple[str, ...]


def init_project(
    folder: Path,
    *,
    data: Path,
    target: str,
    sensitive: Sequence[str] = (),
    entity: str | None = None,
    time: str | None = None,
) -> Made:
    """Makes a project around a data file, which stays where it is.

    Raises:
        BadInput: the folder exists, or its name cannot name a project.
        DataUnreadable: the file is not a table.
        DatasetUnusable: the table cannot be learned from as asked.
    """
    from workbench.data.project_writing import write_project

    if not data.exists():
        raise DataUnreadable(f"{data} does not exist", hint="Check the path; it is read from the folder you are in.")
    source = os.path.relpath(data.resolve(), _placed(folder))

    def fill(draft: Path) -> tuple[str, ...]:
        return write_project(
            draft, name=_slug(folder), source=source, target=target, sensitive=sensitive, entity=entity, time=time, owner=actor()
        ).notes

    return _make(folder, fill)


def init_example(folder: Path, name: str) -> Made:
    """Makes a project around a data set that ships with the workbench, copied into the project.

    Raises:
        BadInput: the folder exists, or its name cannot name a project.
        NotFound: there is no such example.
    """
    from workbench.data.examples import example
    from workbench.data.project_writing import write_project

    chosen = example(name)

    def fill(draft: Path) -> tuple[str, ...]:
        (draft / "data").mkdir()
        for shipped in (chosen.path, chosen.readme):  # the licence asks that the attribution travels with the data
            shutil.copyfile(shipped, draft / "data" / shipped.name)
        return write_project(
            draft,
            name=_slug(folder),
            source=f"data/{chosen.path.name}",
            target=chosen.target,
            sensitive=chosen.sensitive,
            entity=chosen.entity,
            favourable=chosen.favourable,
            owner=actor(),
        ).notes

    return _make(folder, fill)


def _placed(folder: Path) -> Path:
    """The folder without links on the way to it: a relative path out of a linked folder would lead elsewhere."""
    return folder.absolute().parent.resolve() / folder.absolute().name


def _slug(folder: Path) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", folder.absolute().name.lower()).strip("-")[:63]
    if not slug:
        raise BadInput(f"{folder.name!r} cannot name a project", hint="Use letters and digits, such as credit-scoring.")
    return slug


def _make(folder: Path, fill: Callable[[Path], tuple[str, ...]]) -> Made:
    """Builds beside `folder` and renames at the end, so that a crash never leaves half a project."""
    given, folder = folder, _placed(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} exists already", hint="Choose another name, or change into it and go on there.")
    draft = folder.with_name(f".{folder.name}.making")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        notes = fill(draft)
        for name in ("notebooks", "flows"):
            shutil.copytree(templates(name), draft / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        (draft / ".gitignore").write_text(IGNORED)
        dataset = _register(Layout(root=draft))
        _put_in_place(draft, folder)
    except OSError as error:
        raise BadInput(f"{folder} cannot be made: {error.strerror}", hint="Choose a folder you may write to.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Made(folder=given, dataset=dataset, notes=notes)


def _put_in_place(draft: Path, folder: Path) -> None:
    """One rename; into a folder that a person stands in already, piece by piece, with the project file as the last."""
    if not folder.exists():
        draft.rename(folder)
        return
    for piece in sorted(draft.iterdir(), key=lambda piece: piece.name == PROJECT_FILE):
        piece.rename(folder / piece.name)


def _register(layout: Layout) -> str:
    from workbench.data.datasets import register

    project = read_project(layout.project_file)
    control = open_control(layout, witness=witness(layout))
    try:
        objects = Objects(layout.objects)
        return register(project, layout, control, objects, actor=actor(), revision=revision(layout.root)).id
    finally:
        control.close()


def run_experiment(
    layout: Layout,
    texts: Mapping[str, str],
    *,
    workers: int = 2,
    keep_seconds: float = KEEP_SECONDS,
    on_event: Callable[[Event], None] = lambda _event: None,
) -> str:
    """Runs the experiment flow; parameters come as text from a command line. Returns the run's id.

    After a failure, what is needed to continue at once stays in memory for `keep_seconds`.

    Raises:
        ProjectInvalid: workbench.toml does not validate.
        ParametersInvalid: before anything starts.
        DataUnreadable: the dataset's source cannot be read.
        DatasetUnusable: workbench.toml names columns or classes that the data does not have.
        RunFailed: a step failed.
    """
    _require_runnable(read_project(layout.project_file), layout)
    parameters = parse_texts(layout, "experiment", texts)
    variables = {KEEP: str(keep_seconds)}
    return launch(layout, "experiment", parameters=parameters, variables=variables, workers=workers, on_event=on_event)


def run_watch(
    layout: Layout, *, rows: int | None = None, since: str | None = None, on_event: Callable[[Event], None] = lambda _event: None
) -> str:
    """Runs the watch flow on the latest `rows` predictions, or on those from `since` on. Returns the run's id.

    Raises:
        ProjectInvalid: workbench.toml does not validate.
        NotFound: nothing was served in that time.
        BadInput: the window is too small to judge, or `since` is no time.
        RunFailed: a step failed.
    """
    from workbench.orchestration.watching import find_window  # loads polars

    control = open_control(layout, witness=witness(layout))
    try:
        find_window(layout, control, rows=rows, since=since)
    finally:
        control.close()
    options = [f"--rows={rows or 0}", f"--since={since or ''}"]
    return launch(layout, "watch", parameters={}, options=options, on_event=on_event)


def _require_runnable(project: Project, layout: Layout) -> None:
    """Says before anything starts what would fail after minutes."""
    from workbench.data.contract import infer_contract  # these load polars
    from workbench.data.reading import read_table

    for name in project.training.candidates:
        if not (layout.notebooks / f"{name}.ipynb").is_file():
            raise NotFound(
                f"workbench.toml lists the candidate {name!r}, but {layout.notebooks / name}.ipynb does not exist",
                hint="Mend training.candidates, or put the notebook there.",
            )
    if measured := [*filter(None, [project.training.metric]), *project.gates.metrics]:
        from workbench.training.metrics import metric  # loads scikit-learn

        for wanted in measured:
            metric(wanted, project.dataset.task)
    contract = infer_contract(read_table(layout.root / project.dataset.source), project.dataset)
    favourable = project.fairness.favourable
    if favourable is not None and contract.classes and favourable not in contract.classes:
        raise DatasetUnusable(
            f"fairness.favourable is {favourable!r}, which is no class of {contract.target!r}",
            hint=f"Mend workbench.toml. {did_you_mean(favourable, contract.classes)}",
        )


def find_model(model: str | None, control: Control) -> ModelVersion:
    """The model version with this id, or the newest.

    Raises:
        NotFound: there is none.
    """
    if model is None:
        listed = control.all(kind="model")
        if not listed:
            raise NotFound("no model version yet", hint="Make one: workbench run")
        model = listed[-1].id
    found = control.get(model)
    if not isinstance(found, ModelVersion):
        raise NotFound(f"{model} is a {found.kind}, not a model version", hint="List them: workbench models")
    return found
