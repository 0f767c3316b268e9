"""The warm process: one per user and environment, deaf to strangers, untroubled by nonsense, gone when it should be."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import stat
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from workbench.execution.warm.asking import Unavailable, ask, ask_cells, state, stop
from workbench.execution.warm.place import socket_path
from workbench.execution.warm.wire import ANSWER, HEADER, ORDER, Wire


def address() -> str:
    return str(socket_path(dict(os.environ)))


def connected() -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address())
    return connection


def kernel():
    """A kernel that is ready."""
    process, wire = ask_cells([], folder=Path.cwd(), environment=dict(os.environ))
    assert "ready" in wire.receive(time.monotonic() + 20).content()
    return process, wire


@pytest.fixture(scope="module")
def server():
    """The process id of the warm process that the tests share."""
    process, wire = kernel()
    wire.close()
    process.close()
    return state(dict(os.environ))["pid"]


def test_many_clients_that_come_first_get_one_server(own_place):
    found: list[int] = []

    def come() -> None:
        process, wire = kernel()
        found.append(psutil.Process(process.pid).parent().ppid())
        wire.close()
        process.close()

    clients = [threading.Thread(target=come) for _ in range(4)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert found == [state(dict(os.environ))["pid"]] * 4
    assert len(list(own_place.glob("*.sock"))) == 1


def test_only_the_owner_can_reach_the_socket(server):
    path = Path(address())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_refused_even_where_the_folder_lets_him_in(own_place):
    process, wire = kernel()
    path = Path(address())
    own_place.chmod(0o711)
    path.chmod(0o666)
    connection = socket.socket(socket.AF_UNIX)
    os.seteuid(65534)  # what SO_PEERCRED tells
    try:
        connection.connect(str(path))
    finally:
        os.seteuid(0)
    stranger = Wire(connection)
    with pytest.raises((EOFError, BrokenPipeError)):
        stranger.send(ORDER, {"kind": "state"})
        stranger.receive(time.monotonic() + 10)
    stranger.close()
    own_place.chmod(0o700)
    assert state(dict(os.environ)) is not None
    wire.close()
    process.close()


NONSENSE = [
    b"",
    b"\x00",
    b"GET / HTTP/1.1\r\n\r\n",
    os.urandom(100_000),
    HEADER.pack(ORDER, 4_000_000_000, 4_000_000_000, 4_000_000_000),
    HEADER.pack(ORDER, 0, 0, 0),
    HEADER.pack(ORDER, 2, 3, 0) + b"{}" + b"abc",
    *(
        HEADER.pack(ORDER, len(content), 0, 0) + content
        for content in (
            b"{}",
            b"[]",
            b"null",
            b"\xff",
            b"[" * 100_000,
            b'{"kind": "unheard of"}',
            b'{"kind": ["cells"]}',
            b'{"kind": "cells"}',
            b'{"kind": "cells", "modules": 3, "environment": {}}',
            b'{"kind": "cells", "modules": [[]], "environment": {}, "cwd": "/"}',
            b'{"kind": "cells", "modules": [], "environment": [], "cwd": "/"}',
            b'{"kind": "job", "entry": "no.such.module:f", "job": {}, "cwd": "/", "environment": {}}',
            b'{"kind": "job", "entry": "os:path", "job": {}, "cwd": "/", "environment": {}}',
        )
    ),
]


@pytest.mark.parametrize("sent", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_troubles_nobody_but_its_sender(server, sent):
    with connected() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
    assert state(dict(os.environ))["pid"] == server


def test_a_client_that_leaves_before_its_answer_troubles_nobody(server):
    order = {"kind": "job", "entry": "time:sleep", "job": {}, "cwd": "/", "environment": dict(os.environ)}
    for kind in ("cells", "job", "jupyter"):
        client = Wire(connected())
        client.send_files(ORDER, json.dumps({**order, "kind": kind, "modules": [], "arguments": []}).encode(), [0, 1, 2, 0])
        client.close()
    process, wire = kernel()
    wire.close()
    process.close()
    assert state(dict(os.environ))["pid"] == server


def test_a_client_that_says_more_than_its_order_ends_only_its_own_kernel(server, gone):
    (one, wire), (other, kept) = kernel(), kernel()
    one.control.socket.sendall(os.urandom(1000) + HEADER.pack(ORDER, 1, 0, 0) + b"{")
    gone(one.pid)
    assert other.poll() is None
    for each in (one, other, wire, kept):
        each.close()
    assert state(dict(os.environ))["pid"] == server


def test_files_of_refused_orders_are_closed(server):
    descriptors = Path(f"/proc/{server}/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(20):
        client = Wire(connected())
        client.send_files(ORDER, b'{"kind": "unheard of"}', [0, 1, 2])
        with pytest.raises(EOFError):
            while client.receive(time.monotonic() + 5):
                pass
        client.close()
        with connected() as half:
            socket.send_fds(half, [HEADER.pack(ORDER, 100, 0, 3)], [0, 1, 2])
    assert state(dict(os.environ))["pid"] == server
    deadline = time.monotonic() + 10  # the answer to `state` itself is closed a moment later
    while len(list(descriptors.iterdir())) > before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_order_that_cannot_be_carried_out_says_why(server):
    with pytest.raises(Unavailable, match="ModuleNotFoundError"):
        ask(
            {"kind": "job", "entry": "no.such.module:f", "job": {}, "cwd": "/", "environment": dict(os.environ)},
            [0],
        )


def test_imports_that_never_end_are_given_up(own_place, tmp_path, monkeypatch, gone):
    (tmp_path / "never_ends.py").write_text("import threading\nthreading.Event().wait()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    waiting = Wire(_first_connection())
    order = {"kind": "cells", "modules": ["never_ends"], "cwd": "/", "environment": dict(os.environ)}
    waiting.send_files(ORDER, json.dumps(order).encode(), [0, 1, 2, 0])
    while not (nests := [nest for nest in state(dict(os.environ))["nests"] if not nest["ready"]]):
        pass
    waiting.close()
    assert stop(dict(os.environ)) is not None
    gone(nests[0]["pid"])


def _first_connection() -> socket.socket:
    process, wire = kernel()
    wire.close()
    process.close()
    return connected()


def test_a_module_that_ends_its_process_at_import_leads_the_standard_way(runs, tmp_path, monkeypatch):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "ends_it.py").write_text(
        "import os\nif 'ipykernel.kernelapp' in __import__('sys').modules: os._exit(3)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib"))
    with pytest.raises(Unavailable, match="ended each time"):
        ask_cells(["ends_it"], folder=tmp_path, environment=dict(os.environ))


def test_when_told_to_stop_it_takes_no_more_orders_and_ends_with_its_last_kernel(own_place, gone):
    environment = dict(os.environ)
    process, wire = kernel()
    server = stop(environment)["pid"]
    assert state(environment) is None
    assert process.poll() is None, "a running kernel is not disturbed"
    again, other = kernel()
    assert state(environment)["pid"] != server
    wire.close()
    process.close()
    gone(process.pid, server)
    other.close()
    again.close()
    stop(environment)


def test_a_change_of_what_it_was_made_of_retires_it(own_place, tmp_path, monkeypatch, gone):
    (tmp_path / "sitecustomize.py").write_text("value = 1\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    environment = dict(os.environ)
    process, wire = kernel()
    first = state(environment)["pid"]
    (tmp_path / "sitecustomize.py").write_text("value = 22\n")
    process2, wire2 = kernel()
    assert state(environment)["pid"] != first
    for each in (wire, process, wire2, process2):
        each.close()
    gone(first)


@pytest.mark.parametrize("victim", ["server", "nest"])
def test_a_crash_takes_its_kernels_along_and_the_next_client_gets_new_ones(own_place, gone, victim):
    process, wire = kernel()
    wire.send(ORDER, {"execute": {"code": "import subprocess; subprocess.Popen(['sleep', '600'])", "silent": False}, "id": "1"})
    while wire.receive(time.monotonic() + 20).kind != ANSWER:
        pass
    (sleeper,) = psutil.Process(process.pid).children()
    found = state(dict(os.environ))
    nest = psutil.Process(process.pid).ppid()
    os.kill(found["pid"] if victim == "server" else nest, signal.SIGKILL)
    with pytest.raises(EOFError):
        while wire.receive(time.monotonic() + 20):
            pass
    assert process.wait(20) == -9
    gone(process.pid, nest, sleeper.pid)
    process.close()
    wire.close()
    again, other = kernel()
    assert (state(dict(os.environ))["pid"] == found["pid"]) == (victim == "nest")
    other.close()
    again.close()


def test_a_socket_left_by_a_crash_is_no_server(own_place):
    left = socket.socket(socket.AF_UNIX)
    left.bind(address())
    left.close()
    assert state(dict(os.environ)) is None
    process, wire = kernel()
    wire.close()
    process.close()


def test_it_can_be_turned_off_and_says_so(monkeypatch):
    with pytest.raises(Unavailable, match="WORKBENCH_WARM turns warm kernels off"):
        ask_cells([], folder=Path.cwd(), environment={**os.environ, "WORKBENCH_WARM": "0"})


def test_a_server_that_cannot_start_names_its_log(own_place, monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'main(sys.argv[1])' in ''.join(sys.orig_argv): raise SystemExit(3)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(Unavailable, match=rf"did not start; its log: {own_place}/\w+\.log"):
        ask_cells([], folder=Path.cwd(), environment=dict(os.environ))


def test_the_state_is_plain_json(server):
    assert json.loads(json.dumps(state(dict(os.environ))))["pid"] == server
    assert sys.platform == "linux"


def test_limits_of_its_first_client_are_not_those_of_the_next(own_place):
    limit = resource.RLIMIT_FSIZE
    soft, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (50_000_000, hard))
    try:
        process, wire = kernel()
        assert resource.prlimit(process.pid, limit) == (50_000_000, hard)
    finally:
        resource.setrlimit(limit, (soft, hard))
    again, other = kernel()
    assert resource.prlimit(again.pid, limit) == (soft, hard)
    assert resource.prlimit(state(dict(os.environ))["pid"], limit) == (hard, hard)
    for each in (wire, process, other, again):
        each.close()


def children_of_nest() -> list[int]:
    (nest,) = state(dict(os.environ))["nests"]
    return [child.pid for child in psutil.Process(nest["pid"]).children()]


def test_a_spare_that_dies_by_itself_is_not_forked_again_until_a_kernel_is_asked_for(own_place):
    process, wire = kernel()
    wire.close()
    process.close()
    deadline = time.monotonic() + 20
    while not (spares := [pid for pid in children_of_nest() if pid != process.pid]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(spares[0], signal.SIGKILL)
    for _ in range(20):  # many times as long as the nest waits before it forks a spare
        time.sleep(0.05)
        assert set(children_of_nest()) <= {spares[0]}
    process, wire = kernel()
    assert process.pid != spares[0]
    wire.close()
    process.close()
