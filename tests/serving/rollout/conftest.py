"""A control database with two model versions, on SQLite and PostgreSQL by turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from workbench.records import DatasetVersion
from workbench.store import Control


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty control database."""
    return f"sqlite:///{tmp_path / 'control.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres")


@pytest.fixture
def control(url: str) -> Iterator[Control]:
    """A database in which the records `old`, `new` and `newer` stand for three models."""
    with Control(url) as opened:
        add_models(opened)
        yield opened


def add_models(control: Control) -> None:
    """Three records, for what only needs a model's id."""
    for name in ("old", "new", "newer"):
        facts = {"name": name, "source": "d.csv", "digest": "0", "rows": 1, "columns": {}, "owner": "o", "purpose": "p"}
        control.add(DatasetVersion(id=name, parent=None, actor="ann", zone="local", revision="r1", **facts))


@pytest.fixture
def sql(url: str, control: Control) -> Iterator[Callable[[str], None]]:
    """Runs one statement past the store, as someone with a database shell could."""
    engine = create_engine(url)

    def run(statement: str) -> None:
        with engine.begin() as connection:
            connection.execute(text(statement))

    yield run
    engine.dispose()
