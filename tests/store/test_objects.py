from __future__ import annotations

import errno
import hashlib
import os
import time
from pathlib import Path
from typing import IO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import NotFound
from workbench.store import Objects
from workbench.store.objects import digest_of, replace_file


@pytest.fixture
def objects(tmp_path):
    return Objects(tmp_path / "objects")


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=2000))
def test_bytes_come_back_under_their_sha256(objects, content):
    digest, size = objects.write_bytes(content)
    assert digest == hashlib.sha256(content).hexdigest() == digest_of(objects.path(digest))
    assert size == len(content)
    assert objects.path(digest).read_bytes() == content


def test_the_same_bytes_are_kept_once(objects):
    first = objects.write_bytes(b"same")
    modified = objects.path(first[0]).stat().st_mtime_ns
    assert objects.write(lambda path: path.write_text("same")) == first
    assert files(objects.root) == [objects.path(first[0])]
    assert objects.path(first[0]).stat().st_mtime_ns == modified


def test_a_stored_file_is_read_only(objects):
    digest, _ = objects.write_bytes(b"kept")
    assert objects.path(digest).stat().st_mode & 0o222 == 0


def test_a_missing_object_is_named_with_what_to_do(objects):
    with pytest.raises(NotFound, match="no object 0000") as caught:
        objects.path("0" * 64)
    assert "run again" in caught.value.hint


def test_a_writer_that_fails_leaves_nothing(objects):
    def fill(path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("on the way")

    with pytest.raises(RuntimeError):
        objects.write(fill)
    assert files(objects.root) == []


def test_kill_9_of_a_writer_leaves_no_object(objects, child):
    process = child("object", objects.root)
    for _ in range(3):
        assert process.stdout.readline() == "written\n"
    process.kill()
    process.wait()
    assert [path.name[:9] for path in files(objects.root)] == [".writing-"], "only what no digest names"
    digest, _ = objects.write_bytes(b"x")
    assert objects.path(digest).read_bytes() == b"x"


def test_what_a_killed_writer_left_is_removed_a_day_later_by_the_next_one(objects):
    objects.root.mkdir()
    left, young, other = (objects.root / name for name in (".writing-left", ".writing-young", "notes"))
    for path in (left, young, other):
        path.write_bytes(b"x")
    for path in (left, other):
        os.utime(path, (0, time.time() - 25 * 60 * 60))
    objects.write_bytes(b"new")
    assert not left.exists()
    assert young.exists(), "its writer may be at work"
    assert other.exists(), "no writer made it"


def test_a_replaced_file_is_whole_for_its_readers_and_after_kill_9(tmp_path, child):
    target, whole = tmp_path / "file", [letter * (1 << 20) for letter in (b"a", b"b")]
    for _ in range(3):
        process = child("replace", target)
        assert process.stdout.readline() == "replaced\n"
        for _ in range(100):
            assert target.read_bytes() in whole
        process.kill()
        process.wait()
        assert target.read_bytes() in whole


def test_a_stream_is_kept_like_a_file(objects):
    content = os.urandom(3_000_000)
    assert objects.stream(lambda stream: stream.write(content)) == objects.write_bytes(content)
    digest, _ = objects.write_bytes(content)
    assert files(objects.root) == [objects.path(digest)]
    assert objects.path(digest).read_bytes() == content
    assert objects.path(digest).stat().st_mode & 0o777 == 0o400


def test_a_stream_that_fails_leaves_nothing(objects):
    def fill(stream: IO[bytes]) -> None:
        stream.write(bytes(3_000_000))
        raise RuntimeError("on the way")

    with pytest.raises(RuntimeError, match="on the way"):
        objects.stream(fill)
    assert files(objects.root) == []


def test_a_full_disk_leaves_the_old_file_and_no_half_object(small_disk):
    objects, target = Objects(small_disk / "objects"), small_disk / "file"
    replace_file(target, b"old")
    for write in (
        objects.write_bytes,
        lambda content: objects.stream(lambda stream: stream.write(content)),
        lambda content: replace_file(target, content),
    ):
        with pytest.raises(OSError, match="No space") as caught:
            write(b"x" * 2_000_000)
        assert caught.value.errno == errno.ENOSPC
    assert files(small_disk) == [target]
    assert target.read_bytes() == b"old"
    objects.write_bytes(b"there is room for this")
