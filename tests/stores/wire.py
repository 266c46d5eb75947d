"""The wire between a store and its server, which can be cut at any moment."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager


class Wire:
    """Passes on what a client and a server on this machine say to each other.

    `cut_at` is after how many more times that either has said something the connection breaks, without the other having
    heard of the last of it; None for never.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.port = self._listener.getsockname()[1]
        self.cut_at: int | None = None
        #: how many times it has been cut
        self.cuts = 0
        #: how many times the client has said something after the server had, and so waits for it
        self.exchanges = 0
        self._speaker: object = None
        self._ends = [self._listener]
        self._pumps = [threading.Thread(target=self._serve, daemon=True)]
        self._pumps[0].start()

    def address(self, url: str) -> str:
        """The address of a database, by way of the wire."""
        return url.replace(f":{self._target}/", f":{self.port}/")

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._ends.append(client)
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                _shut(client)
                continue
            self._ends.append(server)
            for ends in ((client, server), (server, client)):
                self._pumps.append(threading.Thread(target=self._pump, args=ends, daemon=True))
                self._pumps[-1].start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (said := source.recv(1 << 16)) and not self._cuts():
                self._note(source)
                target.sendall(said)
        _shut(source, target)

    def _note(self, speaker: socket.socket) -> None:
        with self._lock:
            is_client = speaker.getsockname()[1] == self.port
            self.exchanges += is_client and self._speaker is not speaker
            self._speaker = speaker

    def _cuts(self) -> bool:
        with self._lock:
            if self.cut_at is None:
                return False
            self.cut_at -= 1
            if self.cut_at >= 0:
                return False
            self.cut_at = None
            self.cuts += 1
            return True

    def close(self) -> None:
        _shut(*self._ends)
        for pump in self._pumps:
            pump.join()
        for end in self._ends:
            end.close()


def _shut(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def wired(port: int) -> Generator[Wire]:
    """A wire to a port, for the block."""
    wire = Wire(port)
    try:
        yield wire
    finally:
        wire.close()
