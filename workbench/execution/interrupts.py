"""Ctrl-C and SIGTERM reach a running cell only while its runner waits for the kernel. Used by `client`.

Anywhere else they could cut a message short, and what the cell had said would be lost with it.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.execution.warm.wire import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

    from workbench.execution.warm.wire import Readable

__all__ = ["Interrupts"]


class Interrupts:
    """The handlers of one process, which the runner of a notebook holds back. Not by a mask: that holds for one thread only."""

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._noted: list[int] = []
        self._waits = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Signals that arrive meanwhile act in the next `wait`, or at the end. Ignored ones and other threads are left alone."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self._handlers = {number: handler for number, handler in found.items() if callable(handler)}
        for number in self._handlers:
            signal.signal(number, self._arrived)
        try:
            yield
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._act()

    def wait(self, sources: Iterable[int | Readable], seconds: float | None) -> set[int]:
        """`wire.readable`; a signal ends it by whatever its handler raises."""
        self._waits = True
        try:
            self._act()
            return readable(sources, seconds)
        finally:
            self._waits = False

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self._waits:
            self._handlers[number](number, frame)
        else:
            self._noted.append(number)

    def _act(self) -> None:
        while self._noted:
            signal.raise_signal(self._noted.pop(0))
