"""How often one address or one name may fail to log in. Asked by the login before a password is looked at."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from workbench.server.refusals import TooManyAttempts

__all__ = ["RateLimit"]

WINDOW = 60.0
MOST_KEYS = 10_000


class RateLimit:
    """Counts attempts in a sliding window of one minute, by any number of keys."""

    def __init__(self, most: int = 10) -> None:
        self._most = most
        self._seen: dict[str, deque[float]] = {}
        self._lock = Lock()

    @contextmanager
    def attempt(self, *keys: str) -> Iterator[None]:
        """Counts an attempt under each key unless the block succeeds: people in one office share an address.

        It counts from the start, so that as many attempts at once are no way around the limit.

        Raises:
            TooManyAttempts: one of the keys had its fill within the last minute.
        """
        self.count(*keys)
        yield
        with self._lock:
            for times in (self._seen.get(key) for key in keys):
                if times:
                    times.pop()

    def count(self, *keys: str) -> None:
        """Notes one attempt under each key.

        Raises:
            TooManyAttempts: one of the keys had its fill within the last minute.
        """
        now = time.monotonic()
        with self._lock:
            if len(self._seen) > MOST_KEYS:  # names are a stranger's to invent: they must not fill the memory
                self._seen = {key: times for key, times in self._seen.items() if times[-1] > now - WINDOW}
            for key in keys:
                times = self._seen.setdefault(key, deque(maxlen=self._most))
                if len(times) == self._most and times[0] > now - WINDOW:
                    raise TooManyAttempts(
                        f"more than {self._most} attempts to log in within a minute", hint="Wait a minute, then try again."
                    )
                times.append(now)
