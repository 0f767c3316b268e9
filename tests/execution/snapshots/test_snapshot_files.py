from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import BadInput, NotFound
from workbench.execution.snapshots import Snapshots, baseline, chain, origin, snapshot_key

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

LINK = origin(parameters={}, data={}, environment="here")
KEY = bytes(range(32))


class Armed:
    """Unpickling it is what must not happen."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("was-unpickled",)


@pytest.fixture
def taken(shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a snapshot that makes a folder when it is unpickled."""
    monkeypatch.chdir(tmp_path)
    snapshots, before = Snapshots(tmp_path / "snapshots", KEY), baseline(shell)
    shell.user_ns["armed"] = Armed()
    assert snapshots.take(LINK, shell, before).refused == ()
    del shell.user_ns["armed"]
    return tmp_path / "snapshots" / f"{LINK}.snapshot"


def restore(shell: InteractiveShell, file: Path, *, link: str = LINK, key: bytes = KEY) -> None:
    Snapshots(file.parent, key).restore(link, shell)


def test_an_untouched_snapshot_is_restored(shell: InteractiveShell, taken: Path) -> None:
    restore(shell, taken)
    assert Path("was-unpickled").exists()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_changed_byte_anywhere_is_refused_before_unpickling(
    shell: InteractiveShell, taken: Path, data: st.DataObject
) -> None:
    content = taken.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[place] ^= data.draw(st.integers(1, 255))
    taken.write_bytes(changed)
    Snapshots(taken.parent, KEY).has(LINK)  # reads the header alone, and never raises
    with pytest.raises(BadInput, match="was not written with this project's key, or was changed"):
        restore(shell, taken)
    assert not Path("was-unpickled").exists()
    taken.write_bytes(content)


@pytest.mark.parametrize("kept", [0, 7, 31, 100, -1])
def test_a_snapshot_that_was_cut_off_is_refused(shell: InteractiveShell, taken: Path, kept: int) -> None:
    taken.write_bytes(taken.read_bytes()[:kept])
    Snapshots(taken.parent, KEY).has(LINK)
    with pytest.raises(BadInput, match="nothing in it was read"):
        restore(shell, taken)
    assert not Path("was-unpickled").exists()


def test_a_snapshot_of_another_project_is_refused(shell: InteractiveShell, taken: Path) -> None:
    with pytest.raises(BadInput, match="was not written with this project's key"):
        restore(shell, taken, key=bytes(32))


def test_a_snapshot_under_another_link_is_refused(shell: InteractiveShell, taken: Path) -> None:
    other = chain(LINK, "another cell")
    taken.rename(taken.with_name(f"{other}.snapshot"))
    assert not Snapshots(taken.parent, KEY).has(other)
    with pytest.raises(BadInput, match="no place to continue from"):
        restore(shell, taken, link=other)
    assert not Path("was-unpickled").exists()


def test_an_empty_key_protects_nothing_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has 32 bytes, not 0"):
        Snapshots(tmp_path / "snapshots", b"")


def test_a_missing_snapshot_is_not_found(shell: InteractiveShell, tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "snapshots", KEY)
    assert not snapshots.has(LINK)
    assert snapshots.refused(LINK) == ()
    with pytest.raises(NotFound, match="no snapshot"):
        snapshots.restore(LINK, shell)


def test_a_link_is_never_taken_for_a_path(shell: InteractiveShell, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="64 hexadecimal digits"):
        Snapshots(tmp_path / "snapshots", KEY).restore("../../etc/passwd", shell)


def test_only_the_owner_can_read_snapshots_and_key(taken: Path, tmp_path: Path) -> None:
    snapshot_key(tmp_path / "keys" / "key")
    assert stat.S_IMODE(taken.stat().st_mode) == 0o600
    assert stat.S_IMODE(taken.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "keys" / "key").stat().st_mode) == 0o600


def test_the_key_is_made_once(tmp_path: Path) -> None:
    key = snapshot_key(tmp_path / "key")
    assert len(key) == 32
    assert snapshot_key(tmp_path / "key") == key
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize(("content", "mode"), [(b"short", 0o600), (bytes(32), 0o644)])
def test_a_key_that_is_too_short_or_that_others_can_read_is_refused(tmp_path: Path, content: bytes, mode: int) -> None:
    (tmp_path / "key").write_bytes(content)
    (tmp_path / "key").chmod(mode)
    with pytest.raises(BadInput, match="only its owner can read"):
        snapshot_key(tmp_path / "key")


def test_a_forged_header_is_not_believed(taken: Path) -> None:
    content = taken.read_bytes()
    assert Snapshots(taken.parent, KEY).has(LINK)
    taken.write_bytes(content.replace(b'"refused": []', b'"refused": 0 '))
    assert not Snapshots(taken.parent, KEY).has(LINK)


def test_memory_that_two_arrays_share_is_stored_once(shell: InteractiveShell, tmp_path: Path) -> None:
    import numpy as np

    snapshots, before = Snapshots(tmp_path / "snapshots", KEY), baseline(shell)
    array = np.zeros(1_000_000)
    shell.user_ns.update(array=array, half=array[:500_000], column=array.reshape(1000, 1000)[:, 3])
    assert 8_000_000 < snapshots.take(LINK, shell, before).bytes < 8_300_000


def test_a_value_that_cannot_be_unpickled_here_leaves_the_names_as_they_were(
    shell: InteractiveShell, taken: Path, tmp_path: Path
) -> None:
    (tmp_path / "was-unpickled").mkdir()  # so that making it fails
    names = dict(shell.user_ns)
    with pytest.raises(BadInput, match="cannot be restored here: FileExistsError"):
        restore(shell, taken)
    assert shell.user_ns == names


def test_the_sweep_removes_what_is_old_then_what_was_used_least_recently(shell: InteractiveShell, tmp_path: Path) -> None:
    snapshots, before = Snapshots(tmp_path / "snapshots", KEY), baseline(shell)
    links = [chain(LINK, str(number)) for number in range(4)]
    sizes = [snapshots.take(link, shell, before).bytes for link in links]
    for link, age in zip(links, (9000, 300, 200, 100), strict=True):
        file = tmp_path / "snapshots" / f"{link}.snapshot"
        used = file.stat().st_mtime - age
        os.utime(file, (used, used))
    assert snapshots.sweep(older_than=1000, most_bytes=10**9) == 1
    snapshots.restore(links[1], shell)
    assert snapshots.sweep(older_than=1000, most_bytes=sizes[1] + sizes[3] + 200) == 1
    assert [snapshots.has(link) for link in links] == [False, True, False, True]


def test_the_sweep_removes_what_a_killed_process_left_unfinished(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "snapshots", KEY)
    old, young = (tmp_path / "snapshots" / name for name in (".writing-a", ".writing-b"))
    for path in (old, young):
        path.write_bytes(b"begun")
    os.utime(old, (0, 0))
    snapshots.sweep(older_than=1e9, most_bytes=10**9)
    assert [path.exists() for path in (old, young)] == [False, True]
