"""A pytest plugin: in the suite it is given to, our engine is papermill's default and our provisioner is Jupyter's."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from jupyter_client.provisioning.factory import KernelProvisionerFactory

started: Counter[str] = Counter()


class Reasons(logging.Handler):
    """Counts why kernels were not warm, as the provisioner and the engine say it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Counts one reason."""
        message = record.getMessage()
        if "no warm kernel" in message:
            started[f"cold: {message.rpartition(': ')[2]}"] += 1


def pytest_collection_finish() -> None:
    """Takes the places of the defaults, and counts what is started there.

    papermill's tests are a part of it and bring their own copy along; before they are collected, another would be imported.
    """
    from papermill.engines import papermill_engines

    from workbench.execution.engine import WorkbenchEngine

    os.environ[KernelProvisionerFactory.default_provisioner_name_env] = "workbench-provisioner"
    papermill_engines.register(None, _counted_engine(WorkbenchEngine))
    for name in ("traitlets", "papermill"):
        logging.getLogger(name).addHandler(Reasons(logging.WARNING))
    create = KernelProvisionerFactory.create_provisioner_instance

    def counted(factory: Any, *arguments: Any, **named: Any) -> Any:
        provisioner: Any = create(factory, *arguments, **named)
        provisioner.launch_kernel = _counting(provisioner, provisioner.launch_kernel)
        return provisioner

    KernelProvisionerFactory.create_provisioner_instance = counted  # type: ignore[assignment, method-assign]


def pytest_sessionfinish() -> None:
    """A worker process that hangs must not keep the suite from ending: its test has failed already."""
    for worker in multiprocessing.active_children():
        worker.kill()


def _counted_engine(engine: Any) -> Any:
    class Counted(engine):  # type: ignore[misc]
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
            try:
                return super().execute_managed_notebook(nb_man, kernel_name, **options)
            finally:
                kernel = nb_man.nb.metadata.get("workbench", {}).get("kernel", "none")
                started["cold" if kernel == "standard" else kernel] += 1

    return Counted


def _counting(provisioner: Any, launch: Callable[..., Any]) -> Callable[..., Any]:
    """A warm kernel is not a child of the process that asked for it: the warm process forked it."""

    async def launch_kernel(*arguments: Any, **named: Any) -> Any:
        connection = await launch(*arguments, **named)
        warm = provisioner.pid not in {child.pid for child in psutil.Process().children()}
        started["warm" if warm else "cold"] += 1
        return connection

    return launch_kernel


@pytest.fixture(autouse=True, scope="session")
def _counts(record_testsuite_property: Callable[[str, object], None]) -> Iterator[None]:
    """Writes the counts into the XML report."""
    yield
    for kind, count in sorted(started.items()):
        record_testsuite_property(kind, count)
