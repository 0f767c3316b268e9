"""Ctrl-C ends a run while it waits, and never in the middle of a message."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from workbench.execution.interrupts import Interrupts
from workbench.execution.warm.wire import MESSAGE, pair


@pytest.fixture
def another_thread() -> Iterator[None]:
    """A thread that is busy, as a progress bar's: the system may hand it the process's signals."""
    done = threading.Event()
    busy = threading.Thread(target=lambda: [None for _ in iter(done.is_set, True)])
    busy.start()
    yield
    done.set()
    busy.join()


@pytest.mark.usefixtures("another_thread")
def test_a_message_is_handled_to_its_end_before_an_interrupt_acts() -> None:
    interrupts, handled = Interrupts(), []
    ours, theirs = pair()
    theirs.send(MESSAGE, "first")
    theirs.send(MESSAGE, "second")
    with pytest.raises(KeyboardInterrupt), interrupts.held():
        frame = ours.receive(wait=interrupts.wait)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        handled.append(frame.content() if frame else None)
        handled.append(ours.receive(wait=interrupts.wait).content())  # it had come with the first
        ours.receive(wait=interrupts.wait)
    assert handled == ["first", "second"]
    ours.close()
    theirs.close()


@pytest.mark.usefixtures("another_thread")
def test_an_interrupt_ends_a_wait_at_once() -> None:
    interrupts = Interrupts()
    ours, theirs = pair()
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), interrupts.held():
        ours.receive(time.monotonic() + 30, wait=interrupts.wait)
    assert time.monotonic() - began < 10
    ours.close()
    theirs.close()


def test_an_interrupt_after_the_last_message_acts_at_the_end() -> None:
    before, passed = signal.getsignal(signal.SIGINT), False
    with pytest.raises(KeyboardInterrupt), Interrupts().held():
        os.kill(os.getpid(), signal.SIGINT)
        passed = True
    assert passed
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_that_was_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts().held():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_runner_in_a_thread_leaves_the_handlers_alone() -> None:
    found = []

    def run() -> None:
        with Interrupts().held():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGINT)]
