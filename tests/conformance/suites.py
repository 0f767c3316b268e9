"""The public test suites of nbclient and papermill, run as they are and with our kernels and engine as the default."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tests.conformance.differences import explanation
from tests.conformance.environment import Environment
from workbench.errors import RunFailed

__all__ = ["SUITES", "Suite", "judge_suite"]

SUITES = {"nbclient": "tests", "papermill": "papermill/tests"}
LONGEST = 600  # seconds that one run of one suite may take; a suite that hangs at its end has written its report
OPTIONS = (
    *("-q", "--tb=short", "-p", "no:cacheprovider", "-p", "no:xdist"),
    *("--timeout=60", "-o", "timeout_func_only=true"),  # also when the plugin flaky runs a test again
    *("-o", "asyncio_default_fixture_loop_scope=function"),  # without it pytest-asyncio warns, which nbclient makes an error
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """How each test ended, by id: `passed`, `failed` or `skipped`; and what proves which kernels our run used."""

    name: str
    stock: dict[str, str]
    ours: dict[str, str]
    kernels: dict[str, int] = field(default_factory=dict)

    def failing(self, outcomes: dict[str, str]) -> set[str]:
        """The ids of the tests that failed."""
        return {test for test, outcome in outcomes.items() if outcome == "failed"}

    @property
    def new(self) -> set[str]:
        """What fails with our kernels and engine, or is not run at all, but passes without."""
        return (self.failing(self.ours) - self.failing(self.stock)) | (self.stock.keys() - self.ours.keys())

    @property
    def unexplained(self) -> set[str]:
        """What of it `differences.toml` does not explain."""
        return {test for test in self.new if explanation(f"{self.name}-suite", test) is None}

    @property
    def mended(self) -> set[str]:
        """What fails without our kernels and engine only."""
        return self.failing(self.stock) - self.failing(self.ours)


def judge_suite(name: str, environment: Environment) -> Suite:
    """Runs a suite twice, each time from freshly unpacked sources.

    Raises:
        RunFailed: pytest could not run the suite at all.
    """
    stock, _ = _run(name, environment)
    ours, kernels = _run(name, environment, "-p", "workbench_by_default")
    return Suite(name=name, stock=stock, ours=ours, kernels=kernels)


def _run(name: str, environment: Environment, *options: str) -> tuple[dict[str, str], dict[str, int]]:
    with tempfile.TemporaryDirectory(prefix="suite-") as folder:
        tests, report = environment.unpack(name, Path(folder)) / SUITES[name], Path(folder) / "report.xml"
        command = [str(environment.python), "-m", "pytest", *OPTIONS, *options, f"--junitxml={report}", str(tests)]
        # not in the root of the sources, where a kernel would find its own libraries in the working folder, and not start warm
        environment.call(command, Path(folder), said := Path(folder) / "said.txt", LONGEST)
        if not report.exists():
            raise RunFailed(f"the suite of {name} did not run: {said.read_text(errors='replace')[-500:]}", hint=" ".join(command))
        return _read(report)


def _read(report: Path) -> tuple[dict[str, str], dict[str, int]]:
    """Outcomes and properties of a JUnit XML report, as pytest writes it."""
    tree = ElementTree.parse(report)  # noqa: S314 - pytest wrote it a moment ago
    outcomes = {
        f"{case.get('classname')}::{case.get('name')}": "failed"
        if case.find("failure") is not None or case.find("error") is not None
        else "skipped"
        if case.find("skipped") is not None
        else "passed"
        for case in tree.iter("testcase")
    }
    return outcomes, {each.get("name", ""): int(each.get("value", "0")) for each in tree.iter("property")}
