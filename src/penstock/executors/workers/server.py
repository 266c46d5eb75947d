"""The fork server as the driver sees it."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from penstock.errors import WorkerLostError
from penstock.executors.watching.deaths import ending
from penstock.executors.watching.page import Page
from penstock.executors.workers.wire import Exited, Fork, Forked, Incoming, Settings, frame
from penstock.model.work import WorkerSettings

_CHUNK = 1 << 16

#: the standard library stays ahead while penstock is imported: a file of the user's may be called random.py. Importing
#: leaves next to no garbage, and looking for it is a fifth of the time: only workers do.
_START = """
import gc, json, sys
gc.disable()
path = json.loads(sys.argv.pop())
sys.path += path
from penstock.executors.workers.forkserver import main
sys.path[:] = path
main(int(sys.argv.pop()))
"""


class Ends(NamedTuple):
    """The driver's ends of what it shares with a worker; the sockets do not block."""

    number: int
    link: socket.socket
    recall: socket.socket
    page: Page


class Server:
    """A fork server, for one executor or several: it runs from the first `start` until each has called `close`."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._incoming = Incoming(msgspec.msgpack.Decoder(Forked | Exited))
        self._numbers = 0
        #: how many executors use it
        self._users = 0
        #: who is told about each worker that is not gone
        self._told: dict[int, Callable[[Forked | Exited], None]] = {}

    def start(self) -> socket.socket:
        """Have it run. Returns the socket that shows when there is something to `hear`."""
        self._users += 1
        return self._control or self._started()

    def _started(self) -> socket.socket:
        control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, str(theirs.fileno()), json.dumps(self._settings.path)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._control = control
        self.tell(Settings(self._settings))
        return control

    def fork(self, tell: Callable[[Forked | Exited], None], *, shared: bool = False) -> Ends:
        """Ask for a worker, which makes many attempts at once if it is `shared`. It waits for its Settings. What
        becomes of it is told to `tell`, whoever hears it."""
        assert self._control is not None
        number = self._numbers = self._numbers + 1
        self._told[number] = tell
        link, their_link = socket.socketpair()
        recall, their_recall = socket.socketpair()
        with tempfile.TemporaryFile() as file, their_link, their_recall:
            file.truncate(Page.SIZE)
            page = Page(file.fileno())
            descriptors = [their_link.fileno(), their_recall.fileno(), file.fileno()]
            # a server that is gone shows when it is listened to
            with contextlib.suppress(BrokenPipeError):
                socket.send_fds(self._control, [frame(Fork(number, shared))], descriptors)
        link.setblocking(False)
        recall.setblocking(False)
        return Ends(number, link, recall, page)

    def tell(self, message: Any) -> None:
        """Send a message."""
        assert self._control is not None
        with contextlib.suppress(BrokenPipeError):
            self._control.sendall(frame(message))

    def hear(self) -> None:
        """Take in what it has to say of its workers. Raises WorkerLostError if it is gone."""
        assert self._control is not None and self._process is not None
        try:
            data = self._control.recv(_CHUNK)
        except ConnectionResetError:
            data = b""
        if not data:
            raise WorkerLostError(
                f"the process that starts workers {ending(self._process.wait())}",
                remedy='Look for its message above, or run with executor="inline".',
            )
        for message in self._incoming.feed(data):
            tell = self._told.pop(message.number) if isinstance(message, Exited) else self._told[message.number]
            tell(message)

    def await_exits(self, numbers: Iterable[int], seconds: float) -> None:
        """Let workers leave in their own time, for so long at most."""
        assert self._control is not None
        until = time.monotonic() + seconds
        waiting = set(numbers)
        with contextlib.suppress(OSError, WorkerLostError):
            while waiting & self._told.keys() and (left := until - time.monotonic()) > 0:
                self._control.settimeout(left)
                self.hear()
        self._control.settimeout(None)

    def close(self, patience: float) -> None:
        """No longer use it. With the last who does, it ends, by force if that takes more than `patience` seconds."""
        self._users -= 1
        if self._users or self._control is None or self._process is None:
            return
        self._control.close()
        self._control = None
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
