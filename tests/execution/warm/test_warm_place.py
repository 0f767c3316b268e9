"""Sockets lie where only their owner can reach them, and processes that must not share a warm process do not."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.errors import ComponentMissing
from workbench.execution.warm.asking import Unavailable, ask_cells
from workbench.execution.warm.inherited import traits
from workbench.execution.warm.place import import_environment, runtime_folder, socket_path, starting_environment


def test_the_folder_is_made_for_its_owner_alone(own_place, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNTIME_DIR", str(own_place / "new"))
    assert stat.S_IMODE(os.stat(runtime_folder()).st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_folder_that_others_can_enter_is_refused_and_the_run_goes_the_standard_way(own_place, mode):
    own_place.chmod(mode)
    with pytest.raises(ComponentMissing, match="only its owner can enter") as caught:
        runtime_folder()
    assert f"chmod 700 {own_place}" in caught.value.hint
    with pytest.raises(Unavailable, match="only its owner can enter"):
        ask_cells([], folder=own_place, environment=dict(os.environ))
    own_place.chmod(0o700)


def test_a_link_in_place_of_the_folder_is_refused(own_place, monkeypatch):
    (own_place / "real").mkdir(mode=0o700)
    (own_place / "link").symlink_to("real")
    monkeypatch.setenv("WORKBENCH_RUNTIME_DIR", str(own_place / "link"))
    with pytest.raises(ComponentMissing):
        runtime_folder()


def test_a_folder_too_long_for_a_socket_is_named(own_place, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNTIME_DIR", str(own_place / ("x" * 90)))
    with pytest.raises(ComponentMissing, match="too long"):
        runtime_folder()


def test_what_the_interpreter_reads_once_decides_on_the_warm_process(own_place):
    plain = {"PATH": "/bin", "HOME": "one"}
    assert socket_path(plain) == socket_path({**plain, "WORKBENCH_STEP": "/x", "HOME": "another"})
    for name in ("PYTHONHASHSEED", "LD_LIBRARY_PATH", "LANG", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        assert socket_path(plain) != socket_path({**plain, name: "1"}), name


def test_what_libraries_read_at_import_decides_on_the_imports_that_are_shared():
    plain = import_environment({"PATH": "/bin", "WORKBENCH_STEP": "/x"})
    for name in ("CUDA_VISIBLE_DEVICES", "MPLBACKEND", "HOME", "NUMBA_NUM_THREADS", "TORCH_LOGS"):
        assert import_environment({"PATH": "/usr/bin", name: "1"}) != plain, name


def test_a_relative_search_path_is_taken_from_the_notebooks_folder(tmp_path):
    given = {"PYTHONPATH": f"src:{tmp_path / 'lib'}:"}
    absolute = starting_environment(given, tmp_path)["PYTHONPATH"].split(":")
    assert [Path(each) for each in absolute] == [tmp_path / "src", tmp_path / "lib", tmp_path]
    assert starting_environment({"PYTHONPATH": ""}, tmp_path) == {"PYTHONPATH": ""}


def test_another_hard_limit_is_another_warm_process(own_place):
    program = "import os\nfrom workbench.execution.warm.place import socket_path\nprint(socket_path(os.environ))"

    def found(soft: int, hard: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (soft, hard)),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most == 0:
        pytest.skip("core dumps are off for good here")
    assert found(0, most) == found(0, most) != found(0, 0)


def test_the_umask_is_read_without_changing_it():
    before = os.umask(0o027)
    try:
        assert traits()["umask"] == 0o027
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
