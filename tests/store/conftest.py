"""Both databases by turns, a disk that fills up, and children that are killed while they write."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from workbench.records import Acceptance, DatasetVersion, new_id
from workbench.store import Control

WRITER = Path(__file__).with_name("writer.py")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty control database."""
    return f"sqlite:///{tmp_path / 'control.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres")


@pytest.fixture
def control(url: str) -> Iterator[Control]:
    opened = Control(url)
    yield opened
    opened.close()


@pytest.fixture
def sql(url: str) -> Iterator[Callable[[str], list[tuple[object, ...]]]]:
    """Runs one statement past the store, as someone with a database shell could."""
    engine = create_engine(url)

    def run(statement: str) -> list[tuple[object, ...]]:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    yield run
    engine.dispose()


@pytest.fixture
def audited(sql: Callable[[str], list[tuple[object, ...]]]) -> Callable[[], object]:
    """How many audit rows there are."""
    return lambda: sql("SELECT count(*) FROM audit")[0][0]


@pytest.fixture
def dataset() -> DatasetVersion:
    return DatasetVersion(
        id="dataset-1",
        parent=None,
        actor="ann",
        zone="local",
        revision="r1",
        name="people",
        source="people.csv",
        digest="d" * 64,
        rows=3,
        columns={"age": "Float64"},
        owner="ann",
        purpose="test",
    )


@pytest.fixture
def follow() -> Callable[..., Acceptance]:
    """Makes a small record that follows from another."""

    def make(parent: str, **changes: object) -> Acceptance:
        fields = {"id": new_id("acceptance"), "actor": "ann", "zone": "local", "revision": "r1", "reason": "seen"}
        return Acceptance(**{"parent": parent, **fields, **changes})

    return make


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `writer.py` with a verb and arguments; whoever is left at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(WRITER), *map(str, arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place, mount = tmp_path / "small", shutil.which("mount")
    place.mkdir()
    command = [str(mount), "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if sys.platform != "linux" or mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here: that takes Linux and root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)  # also where a test that failed left a file open
