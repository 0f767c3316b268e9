from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.store import sink
from workbench.store.sink import Sink


@settings(max_examples=40, deadline=None)
@given(pieces=st.lists(st.binary(max_size=64), max_size=8), aside=st.integers(1, 64), flushed=st.integers(1, 64))
def test_the_digest_is_that_of_the_file_whatever_the_pieces(tmp_path_factory, pieces, aside, flushed):
    path = tmp_path_factory.mktemp("sink") / "file"
    with pytest.MonkeyPatch.context() as patch, Sink(path) as stream:
        patch.setattr(sink, "ASIDE", aside)
        patch.setattr(sink, "FLUSHED", flushed)
        assert [stream.write(piece) for piece in pieces] == [len(piece) for piece in pieces]
        assert stream.tell() == len(b"".join(pieces))
    assert path.read_bytes() == b"".join(pieces)
    assert stream.digest == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_a_large_piece_may_be_changed_as_soon_as_it_is_written(tmp_path):
    numbers = np.arange(1_000_000.0)
    before = numbers.tobytes()
    with Sink(tmp_path / "file") as stream:
        stream.write(numbers.data)
        numbers[:] = 0
    assert stream.digest == hashlib.sha256(before).hexdigest()
    assert (tmp_path / "file").read_bytes() == before


def test_what_is_longer_than_one_flush_is_written_whole(tmp_path):
    content = bytes(range(256)) * 400_000
    with Sink(tmp_path / "file") as stream:
        stream.write(content[:1000])
        stream.write(content[1000:])
    assert (tmp_path / "file").read_bytes() == content
    assert stream.digest == hashlib.sha256(content).hexdigest()


def test_nobody_can_write_past_the_digest(tmp_path):
    with Sink(tmp_path / "file") as stream:
        assert stream.writable()
        assert not stream.seekable()
        with pytest.raises(io.UnsupportedOperation):
            stream.fileno()
    with pytest.raises(ValueError, match="closed"):
        stream.write(b"more")
