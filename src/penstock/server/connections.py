"""Connections that do not wait for ever for a request."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

#: seconds in which the first request of a connection has to begin, with all its headers
_FIRST: Final = 15.0


class Connection(H11Protocol):
    """One that is closed again if nobody asks for anything; the library has no limit for that."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self.loop.call_later(_FIRST, self._close_unused)

    def _close_unused(self) -> None:
        if self.cycle is None and not self.transport.is_closing():  # pyright: ignore[reportUnnecessaryComparison]
            self.transport.close()


__all__ = ["Connection"]
