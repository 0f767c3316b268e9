"""Runs notebooks by papermill's default engine, by it again, and by ours, and compares what came out, cell by cell."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.conformance.comparing import Compared, Difference, compare
from tests.conformance.differences import Explanation, explanation
from tests.conformance.environment import PROJECTS, Environment
from workbench.errors import RunFailed

__all__ = ["ENGINES", "Corpus", "Judged", "judge_corpus"]

NOTEBOOKS = Path(__file__).parent / "notebooks"
ENGINES = {"stock": "nbclient", "again": "nbclient", "ours": "workbench"}
LONGEST = 1800  # seconds that one run of the corpus may take
CELL_SECONDS = 60

# How the suites' own tests run these notebooks.
OPTIONS: dict[str, dict[str, Any]] = {
    "nbclient/Interrupt": {"engine": {"execution_timeout": 2, "interrupt_on_timeout": True, "allow_errors": True}},
    "nbclient/Skip Exceptions": {"engine": {"allow_errors": True}},
    "papermill/keyboard_interrupt": {"engine": {"execution_timeout": 2}},
    "papermill/report_mode_test": {"report_mode": True, "parameters": {"a": 0}},
    "papermill/simple_execute": {"parameters": {"msg": "Hello"}},
    "papermill/complex_parameters": {"parameters": {"msg": "Hello", "a": 1.5}},
    "papermill/nb_version_4.4": {"parameters": {"var": 2}},
    "papermill/no_parameters": {"parameters": {"msg": "Hello"}},
}
TOGETHER = ("nbclient/Parallel Execute A", "nbclient/Parallel Execute B")
"""Two notebooks that wait for each other."""

NOT_CELLS = frozenset({"error", "notebook", "metadata", "cells"})
"""Places of differences that are not cells."""

Job = dict[str, Any]
"""What `executing` is to run: name, notebook, executed, folder, kernel, parameters, report_mode, engine (its options)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One notebook: ours against the default engine, the default engine against itself, and which kernel ours used."""

    ours: Compared
    again: Compared
    kernel: str
    said: tuple[str, ...]
    seconds: dict[str, float]

    @property
    def name(self) -> str:
        """The group and the notebook."""
        return self.ours.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """All judged notebooks, with the differences that are explained and those that are not."""

    notebooks: tuple[Judged, ...]
    explained: tuple[tuple[str, Difference, Explanation], ...]
    unexplained: tuple[tuple[str, Difference], ...]

    @property
    def cells(self) -> int:
        """How many code cells were compared."""
        return sum(each.ours.cells for each in self.notebooks)

    @property
    def equal(self) -> int:
        """How many of them are equal."""
        return sum(each.ours.equal for each in self.notebooks)

    def intended(self, name: str) -> int:
        """How many code cells of a notebook differ in nothing but what our engine is meant to do otherwise."""
        ours = {difference.place for found, difference, why in self.explained if found == name and why.intended}
        others = {difference.place for found, difference, why in self.explained if found == name and not why.intended}
        return len(ours - others - {difference.place for found, difference in self.unexplained if found == name} - NOT_CELLS)


def judge_corpus(environment: Environment, only: Sequence[str] = ("*",)) -> Corpus:
    """Runs the notebooks whose names match one of the patterns in `only`, three times, in the same folder each time."""
    results: dict[str, dict[str, dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
        for run, engine in ENGINES.items():
            work = Path(folder) / "work"
            jobs = _jobs(_sources(environment, work), work, only)
            results[run] = _run(environment, jobs, engine, Path(folder))
            shutil.rmtree(work)
    names = list(results["stock"])
    return _judged([_judge(name, {run: found[name] for run, found in results.items()}) for name in names])


def _judged(notebooks: Sequence[Judged]) -> Corpus:
    explained, unexplained = [], []
    for each in notebooks:
        unstable = {difference.place for difference in each.again.differences} - NOT_CELLS
        for difference in each.ours.differences:
            why = explanation(each.name, difference.place)
            if why is None and difference.place in unstable:
                why = Explanation(where=(), why="The default engine's own two runs differ here.")
            if why is None:
                unexplained.append((each.name, difference))
            else:
                explained.append((each.name, difference, why))
    return Corpus(notebooks=tuple(notebooks), explained=tuple(explained), unexplained=tuple(unexplained))


def _sources(environment: Environment, work: Path) -> list[tuple[str, Path]]:
    """Every notebook in a fresh copy of where it lives: the suites' sources whole, each of ours in a folder of its own."""
    found = []
    for project in PROJECTS:
        root = environment.unpack(project, work)
        found += [(f"{project}/{path.stem}", path) for path in sorted(root.rglob("*.ipynb"))]
    for path in sorted(NOTEBOOKS.rglob("*.ipynb")):
        folder = work / "features" / path.stem
        folder.mkdir(parents=True)
        group = "features" if path.parent == NOTEBOOKS else path.parent.name
        found.append((f"{group}/{path.stem}", Path(shutil.copy(path, folder))))
    return found


def _jobs(sources: Iterable[tuple[str, Path]], work: Path, only: Sequence[str]) -> list[list[Job]]:
    jobs: list[Job] = []
    for name, path in sources:
        if not any(fnmatchcase(name, pattern) for pattern in only):
            continue
        executed = work / "executed" / f"{name}.ipynb"
        executed.parent.mkdir(parents=True, exist_ok=True)
        metadata = _metadata(path)
        options = OPTIONS.get(name) or metadata.get("conformance", {})
        jobs.append(
            {
                "name": name,
                "notebook": str(path),
                "executed": str(executed),
                "folder": str(path.parent),
                "kernel": None if metadata.get("kernelspec", {}).get("name") else "python3",
                "parameters": options.get("parameters", {}),
                "report_mode": options.get("report_mode", False),
                "engine": {"execution_timeout": CELL_SECONDS, **options.get("engine", {})},
            }
        )
    together = [job for job in jobs if job["name"] in TOGETHER]
    return [[job] for job in jobs if job not in together] + ([together] if together else [])


def _metadata(path: Path) -> dict[str, Any]:
    """A notebook's metadata; empty for the one of papermill's that is broken on purpose."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["metadata"])
    except (ValueError, KeyError):
        return {}


def _run(environment: Environment, jobs: Sequence[list[Job]], engine: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Executes all jobs, in one process as long as it lives; the group at which it dies is reported so, and the rest goes on.

    Raises:
        RunFailed: the process of the default engine died, so that there is nothing to compare with.
    """
    ended: dict[str, dict[str, Any]] = {}
    waiting = list(jobs)
    while waiting:
        found, errors = _execute(environment, waiting, engine, folder)
        ended |= found
        waiting = [group for group in waiting if group[0]["name"] not in ended]
        if waiting:
            if engine == ENGINES["stock"]:
                raise RunFailed(f"papermill's default engine died at {waiting[0][0]['name']}: {errors}")
            died = {"error": {"type": "none", "message": f"the runner died: {errors}"}, "seconds": 0.0, "log": []}
            ended |= {job["name"]: died for job in waiting.pop(0)}
    return {job["name"]: {**ended[job["name"]], "notebook": _read(Path(job["executed"]))} for group in jobs for job in group}


def _execute(
    environment: Environment, jobs: Sequence[list[Job]], engine: str, folder: Path
) -> tuple[dict[str, dict[str, Any]], str]:
    """One process: what it found by notebook, and the end of what it said."""
    described, results = folder / "jobs.json", folder / "results.jsonl"
    described.write_text(json.dumps(jobs), encoding="utf-8")
    results.write_text("", encoding="utf-8")
    command = [str(environment.python), str(Path(__file__).with_name("executing.py")), str(described), str(results), engine]
    environment.call(command, folder, said := folder / "said.txt", LONGEST)
    found = {each["name"]: each for each in map(json.loads, results.read_text(encoding="utf-8").splitlines())}
    return found, said.read_text(encoding="utf-8", errors="replace")[-300:]


def _read(executed: Path) -> dict[str, Any] | None:
    return json.loads(executed.read_text(encoding="utf-8")) if executed.exists() else None


def _judge(name: str, runs: dict[str, dict[str, Any]]) -> Judged:
    executed = runs["ours"]["notebook"] or {"metadata": {}}
    return Judged(
        ours=compare(name, runs["stock"], runs["ours"]),
        again=compare(name, runs["stock"], runs["again"]),
        kernel=executed["metadata"].get("workbench", {}).get("kernel", "none"),
        said=tuple(message for message in runs["ours"]["log"] if "no warm kernel" in message),
        seconds={run: round(found["seconds"], 3) for run, found in runs.items()},
    )
