"""Frames arrive whole, in order, with their files; what is no frame ends the connection and leaves nothing open."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.execution.warm.wire import ANSWER, HEADER, MESSAGE, ORDER, Wire, pair, readable


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@given(st.lists(st.tuples(st.dictionaries(st.text(), st.integers()), st.lists(st.binary()))))
def test_frames_arrive_as_they_were_sent(frames):
    ours, theirs = pair()
    for content, buffers in frames:
        ours.send(ORDER, content)
        ours.send_raw(MESSAGE, b"{}", buffers)
    ours.close()
    for content, buffers in frames:
        first, second = theirs.receive(), theirs.receive()
        assert (first.kind, first.content()) == (ORDER, content)
        assert (second.kind, second.buffers) == (MESSAGE, buffers)
    with pytest.raises(EOFError):
        theirs.receive()
    theirs.close()


def test_a_frame_larger_than_any_socket_buffer_arrives():
    ours, theirs = pair()
    content = os.urandom(20_000_000)
    sender = threading.Thread(target=ours.send_raw, args=(MESSAGE, b"{}", [content]))
    sender.start()
    assert theirs.receive().buffers == [content]
    sender.join()
    ours.close()
    theirs.close()


def test_threads_that_send_at_the_same_time_do_not_mix_their_frames():
    ours, theirs = pair()
    senders = [threading.Thread(target=ours.send, args=(ANSWER, {"by": number, "text": "x" * 300_000})) for number in range(8)]
    for each in senders:
        each.start()
    assert sorted(theirs.receive().content()["by"] for _ in senders) == list(range(8))
    for each in senders:
        each.join()
    ours.close()
    theirs.close()


def test_files_travel_with_their_frame():
    ours, theirs = pair()
    reading, writing = os.pipe()
    ours.send(ANSWER, {"first": 1})
    ours.send_files(ORDER, b'{"second": 2}', [writing])
    os.close(writing)
    assert theirs.receive().files == []
    frame = theirs.receive()
    os.write(frame.files[0], b"through")
    assert os.read(reading, 10) == b"through"
    for each in (reading, *frame.files):
        os.close(each)
    ours.close()
    theirs.close()


def test_a_deadline_is_kept_also_by_half_a_frame():
    ours, theirs = pair()
    ours.socket.sendall(HEADER.pack(ORDER, 10, 0, 0) + b"half")
    started = time.monotonic()
    assert theirs.receive(started + 0.2) is None
    assert 0.19 < time.monotonic() - started < 5
    ours.close()
    with pytest.raises(EOFError):
        theirs.receive()
    theirs.close()


def test_files_of_a_frame_that_never_came_are_closed_with_the_wire():
    ours, theirs = pair()
    before = descriptors()
    socket.send_fds(ours.socket, [HEADER.pack(ORDER, 10, 0, 1)], [0, 1, 2])
    assert theirs.receive(time.monotonic() + 0.1) is None
    assert descriptors() == before + 3
    theirs.close()
    ours.close()
    assert descriptors() == before - 2


@pytest.mark.parametrize("tail", [b"abc", struct.pack("!I", 100)[:3]])
def test_buffers_that_lie_about_their_length_end_the_connection(tail):
    ours, theirs = pair()
    ours.socket.sendall(HEADER.pack(MESSAGE, 2, len(tail), 0) + b"{}" + tail)
    with pytest.raises(EOFError):
        theirs.receive()
    ours.close()
    theirs.close()


def test_a_frame_beyond_the_limit_is_not_collected_in_memory():
    ours, theirs = pair()
    limited = Wire(theirs.socket, most=1_000_000)
    sender = threading.Thread(target=_send_until_closed, args=(ours,))
    sender.start()
    with pytest.raises(EOFError):
        limited.receive()
    limited.close()
    sender.join()
    ours.close()


def _send_until_closed(wire: Wire) -> None:
    with pytest.raises(OSError):
        wire.socket.sendall(HEADER.pack(ORDER, 2**31, 0, 0) + bytes(50_000_000))


def test_news_elsewhere_ends_the_waiting_once_nothing_more_comes():
    ours, theirs = pair()
    elsewhere, other = pair()
    ours.send(ANSWER, {"last": True})
    other.send(ANSWER, {"exit": 0})
    assert theirs.receive(unless=elsewhere).content() == {"last": True}
    with pytest.raises(EOFError):
        theirs.receive(unless=elsewhere)
    for each in (ours, theirs, elsewhere, other):
        each.close()


def test_descriptors_beyond_those_of_select_can_be_waited_for():
    reading, writing = os.pipe()
    high = os.dup2(reading, 1500)
    assert readable([high], 0) == set()
    os.write(writing, b"x")
    assert readable([high], 1) == {high}
    for each in (reading, writing, high):
        os.close(each)
