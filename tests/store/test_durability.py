"""What is acknowledged is kept: many writers, kill -9, a full disk."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys

import pytest
from sqlalchemy.exc import DatabaseError

from workbench.errors import BadInput
from workbench.records import Acceptance
from workbench.settings import Layout
from workbench.store import Control, open_control


def counts(sql):
    return sql("SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM audit)")[0]


def test_processes_that_open_an_empty_database_at_once_make_it_once(url, child, sql, dataset):
    assert [process.wait() for process in [child("open", url) for _ in range(4)]] == [0] * 4
    assert counts(sql) == (0, 0)
    with Control(url) as control:
        control.add(dataset)
    with pytest.raises(DatabaseError, match="append-only"):
        sql("DELETE FROM audit")


def test_what_several_processes_add_at_once_is_all_there(url, control, dataset, child, audited):
    control.add(dataset)
    writers = [child("add", url, 40) for _ in range(4)]
    acknowledged = {line.strip() for writer in writers for line in writer.communicate()[0].splitlines()}
    assert [writer.returncode for writer in writers] == [0] * 4
    added = control.all(kind="acceptance")
    assert {record.id for record in added} == acknowledged
    assert len(added) == 160
    assert audited() == 161


def test_kill_9_while_adding_leaves_whole_records_with_their_audit_rows(url, control, dataset, child, sql):
    control.add(dataset)
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    acknowledged: set[str] = set()
    writers = [child("add", url, 0)]
    for _ in range(10):
        writers.append(child("add", url, 0))  # so that another one goes on writing
        lines = [writers[-2].stdout.readline() for _ in range(chance.randrange(1, 25))]
        writers[-2].kill()
        lines += writers[-2].stdout.readlines()
        acknowledged |= {line.strip() for line in lines if line.endswith("\n")}
        added, audited = counts(sql)
        assert added == audited
    writers[-1].kill()
    writers[-1].wait()
    reopened = Control(url)
    kept = reopened.all(kind="acceptance")
    assert {record.id for record in kept} >= acknowledged, "what was acknowledged is kept"
    assert all(isinstance(record, Acceptance) and record.reason == "because " * 50 for record in kept)
    reopened.add(Acceptance(id="acceptance-1", parent=dataset.id, actor="ann", zone="local", revision="r1", reason="goes on"))
    reopened.close()


def test_a_run_whose_process_was_killed_is_shown_as_interrupted(url, control, child):
    process = child("run", url)
    assert process.stdout.readline() == "started\n"
    assert control.runs()[0].state == "running"
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, but its parent has not asked yet
    assert control.runs()[0].state == "interrupted"
    process.wait()
    run = control.runs()[0]
    assert (run.state, run.reason, run.finished) == ("interrupted", "its process ended without saying how", None)


def test_a_number_that_another_process_got_later_is_not_the_runs_process(control, sql):
    control.start_run(run="experiment-1", flow="experiment", actor="ann", process=os.getpid())
    sql("UPDATE runs SET process_started = '12345.00'")
    assert control.runs()[0].state == "interrupted"


def test_a_run_of_another_host_is_not_judged_by_the_processes_of_this_one(url, control, child, sql):
    process = child("run", url)
    assert process.stdout.readline() == "started\n"
    process.kill()
    process.wait()
    assert sql("SELECT host FROM runs") == [(socket.gethostname(),)]
    sql("UPDATE runs SET host = 'elsewhere'")
    assert control.runs()[0].state == "running"


@pytest.mark.parametrize("whose", ["the process that adopts orphans", "a process that is gone"])
def test_a_step_whose_launcher_was_killed_shows_its_run_as_interrupted(control, child, tmp_path, whose):
    gone = child("open", f"sqlite:///{tmp_path / 'other.db'}")
    gone.wait()
    process = 1 if whose.endswith("orphans") else gone.pid
    control.start_run(run="experiment-1", flow="experiment", actor="ann", process=process)
    assert control.runs()[0].state == "interrupted"


def test_who_only_reads_waits_for_no_writer(url, control, dataset):
    control.add(dataset)
    with control.write(actor="ann", action="look", subject="nothing"), Control(url) as reader:
        assert reader.all() == [dataset]
        assert reader.runs() == []


def test_leaving_the_block_closes_every_connection(url, sql):
    with Control(url) as control:
        control.runs()
        pool = control._engine.pool
    assert pool is not control._engine.pool, "a pool that was closed is replaced"
    assert pool.checkedin() == pool.checkedout() == 0


@pytest.mark.parametrize("url", ["garbage", "", "mysql://host/name", "oracle://", "postgresql://host:port/name"])
def test_what_is_no_url_of_ours_is_refused_with_the_way_to_write_one(url):
    with pytest.raises(BadInput, match="URL cannot be used") as caught:
        Control(url)
    assert "postgresql://USER:PASSWORD@HOST/DATABASE" in caught.value.hint


def test_a_server_that_does_not_answer_is_told_without_the_password():
    with pytest.raises(BadInput, match="cannot be read") as caught:
        Control("postgresql://ann:secret@127.0.0.1:1/control?connect_timeout=5")
    assert "secret" not in str(caught.value)


def test_a_missing_driver_is_named_with_what_to_install():
    check = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from workbench.errors import ComponentMissing\n"
        "from workbench.store import Control\n"
        "try: Control('postgresql://host/name')\n"
        "except ComponentMissing as error: print(error.message, error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert "psycopg" in done.stdout
    assert "pip install 'workbench[postgres]'" in done.stdout


def test_a_database_of_another_version_is_refused_and_left_as_it_is(url, sql):
    sql("CREATE TABLE runs (id TEXT PRIMARY KEY, flow TEXT)")
    with pytest.raises(BadInput, match="runs has no column actor, finished, host"):
        Control(url)
    with pytest.raises(DatabaseError):
        sql("SELECT * FROM audit")


def test_sqlite_keeps_what_was_acknowledged_through_a_power_cut(tmp_path):
    control = Control(f"sqlite:///{tmp_path / 'control.db'}")
    with control.write(actor="ann", action="look", subject="pragmas") as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "journal_mode", "foreign_keys")
        }
    control.close()
    assert found == {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1}


def test_a_project_in_a_folder_with_an_odd_name_keeps_its_database_there(tmp_path):
    layout = Layout(root=tmp_path / "a b%20c?d=1#é")
    open_control(layout).close()
    assert (layout.state / "control.db").is_file()
    assert layout.state.stat().st_mode & 0o077 == 0, "for its owner only"
    assert [path.name for path in tmp_path.iterdir()] == [layout.root.name]


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path):
    file = tmp_path / "control.db"
    file.write_text("my shopping list, " * 500)
    with pytest.raises(BadInput, match="file is not a database") as caught:
        Control(f"sqlite:///{file}")
    assert caught.value.hint
    assert file.read_text() == "my shopping list, " * 500


def test_a_full_disk_is_told_and_loses_nothing(small_disk, dataset, follow):
    ballast = small_disk / "ballast"
    with Control(f"sqlite:///{small_disk / 'control.db'}") as control:
        control.add(dataset)
        ballast.write_bytes(b"x" * 600_000)
        acknowledged = [dataset]
        with pytest.raises(BadInput, match="cannot be written: database or disk is full") as caught:
            while True:
                control.add(record := follow(dataset.id, reason="x" * 2000))
                acknowledged.append(record)
        assert "free disk space" in caught.value.hint
        assert control.all() == acknowledged
        assert [entry.subject for entry in control.entries()] == [record.id for record in acknowledged], "no half act"
        ballast.unlink()
        control.add(last := follow(dataset.id))
        assert [entry.subject for entry in control.entries()] == [record.id for record in [*acknowledged, last]]
        with control.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_opening_the_store_loads_no_framework():
    check = (
        "import sys, workbench.store; print([m for m in ('numpy', 'polars', 'pandas', 'pydantic', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
