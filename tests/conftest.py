"""What holds for every test: nothing leaves the machine, nothing is written outside a temporary folder, plots need no screen."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from workbench.governance.model_key import model_key, public_key_of
from workbench.serving.signing import Key
from workbench.settings import TELEMETRY_OFF, Layout

ROOT = Path(__file__).parents[1]
HOMES = ("BENTOML_HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "METAFLOW_HOME", "MPLCONFIGDIR")

RUNTIME = "WORKBENCH_RUNTIME_DIR"

scratch = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Sets the environment before any test module is collected, since frameworks read theirs when they are imported."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would their children
    config.stash[scratch] = tempfile.TemporaryDirectory(prefix="workbench-tests-", ignore_cleanup_errors=True)
    folder = Path(config.stash[scratch].name)
    os.environ.update(TELEMETRY_OFF)
    os.environ.update({name: str(folder / name.lower()) for name in HOMES})
    os.environ[RUNTIME] = str(folder / "run")
    os.environ.update(WORKBENCH_ACTOR="tester", METAFLOW_USER="tester", MPLBACKEND="Agg", PYDEVD_DISABLE_FILE_VALIDATION="1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads make parallel tests many times slower
    os.environ.pop("WORKBENCH_DATABASE_URL", None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the warm processes, and removes what the frameworks wrote."""
    end_warm_processes(f"{config.stash[scratch].name}/run")
    config.stash[scratch].cleanup()


def end_warm_processes(folder: str) -> None:
    """Kills what was started with this runtime folder, and what that forked: it leads sessions of its own."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(RUNTIME) == folder and os.getsid(process.pid) != os.getsid(0):
                process.kill()


@pytest.fixture(scope="session", name="end_warm_processes")
def _end_warm_processes() -> Callable[[str], None]:
    """For tests with a runtime folder of their own."""
    return end_warm_processes


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    """A key to sign models with."""
    private = model_key(Layout(root=tmp_path_factory.mktemp("key")))
    return Key(private=private, public=public_key_of(private))


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's programs: Debian keeps one for each version, elsewhere they are on the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    found = shutil.which("initdb", path=os.pathsep.join([*map(str, reversed(debian)), os.environ.get("PATH", "")]))
    return Path(found).parent if found else None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL of this session's own: one folder, one socket in it, no port, gone at the end.

    `WORKBENCH_TEST_POSTGRES_URL` names another one, in which these tests may create schemas.
    """
    if given := os.environ.get("WORKBENCH_TEST_POSTGRES_URL"):
        yield given
        return
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql, or WORKBENCH_TEST_POSTGRES_URL")
    names = {entry.pw_name for entry in pwd.getpwall()}
    account = None if os.getuid() else next(name for name in ("postgres", "nobody") if name in names)  # it refuses to run as root
    with tempfile.TemporaryDirectory(prefix="workbench-pg-") as folder:  # a socket's path has to be short
        if account:
            shutil.chown(folder, account)

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), f"--pgdata={folder}/data", *arguments]
            group = pwd.getpwnam(account).pw_gid if account else None
            groups = [] if account else None
            with Path(folder, "output").open("ab") as output:
                done = subprocess.run(
                    command, user=account, group=group, extra_groups=groups, cwd=folder, stdout=output, stderr=output, check=False
                )
            assert done.returncode == 0, Path(folder, "output").read_text()

        run("initdb", "--username=workbench", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        # what it writes need not survive a power cut of the machine that tests, only the death of its clients
        run("pg_ctl", "start", "--wait", f"--options=-k {folder} -c listen_addresses= -c fsync=off -c max_connections=60")
        try:
            yield f"postgresql://workbench@/postgres?host={folder}"
        finally:
            run("pg_ctl", "stop", "--wait", "--mode=immediate")


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database on PostgreSQL, a schema of this test's own."""
    from sqlalchemy import DDL, create_engine, make_url

    schema = f"workbench_{uuid.uuid4().hex}"
    engine = create_engine(postgres_server)
    with engine.begin() as connection:
        connection.execute(DDL(f"CREATE SCHEMA {schema}"))
    yield (
        make_url(postgres_server).update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    )
    with engine.begin() as connection:
        connection.execute(DDL(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()
