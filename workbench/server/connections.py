"""Connections that wait for no one for ever: who connects and does not say what they want is hung up on. Used by `running`.

HTTP is read by h11, which takes nothing that two readers could understand differently (RFC 9112, sections 6 and 11.2).
"""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["Impatient"]

HEADER_SECONDS = 10.0


class Impatient(H11Protocol):
    """One connection. The head of each request has to be whole within ten seconds of its first byte, or of connecting."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to wait for a request."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._late = self.loop.call_later(HEADER_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        """Takes what arrives, and waits no more once the head of a request is whole."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._late is None:
            self._late = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
