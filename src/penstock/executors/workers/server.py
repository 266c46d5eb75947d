"""The fork server as the driver sees it."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from penstock.errors import WorkerLostError
from penstock.executors.watching import scratch
from penstock.executors.watching.deaths import ending
from penstock.executors.watching.page import Page
from penstock.executors.workers.spare import Spare, begun
from penstock.executors.workers.wire import Exited, Fork, Forked, Incoming, Settings, frame
from penstock.model.work import WorkerSettings

_CHUNK = 1 << 16
#: how often in a row it may be gone before it has forked anything
_STILLBORN = 3
#: what to do where there is no more room for processes or what they need
REMEDIES = {
    errno.ENOENT: "Name a folder for temporary files that can be written with TMPDIR.",
    errno.EMFILE: "Allow more open files (ulimit -n 1024), or fewer workers (--workers).",
    errno.ENFILE: "The machine has too many files open: end what holds them.",
    errno.EAGAIN: "There may be no more processes: allow more (ulimit -u), end some, or allow fewer workers (--workers).",
    errno.ENOMEM: "There is too little memory for another process: end some, or allow fewer workers (--workers).",
}


class Ends(NamedTuple):
    """The driver's ends of what it shares with a worker; the sockets do not block."""

    number: int
    link: socket.socket
    recall: socket.socket
    page: Page


class Server:
    """A fork server, for one executor or several: it runs from the first `start` until each has called `close`. It begins
    with a `spare`, if it is given one that nobody has taken.

    When its process is gone, so are its workers: whoever has asked for them is told so, and another one takes its place.
    """

    def __init__(self, settings: WorkerSettings, spare: Spare | None = None) -> None:
        self._settings = settings
        self._spare = spare
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        #: can be read when the process has something to say, whichever of its successors it is by now
        self._channel: selectors.DefaultSelector | None = None
        self._incoming = Incoming(msgspec.msgpack.Decoder(Forked | Exited))
        self._numbers = 0
        #: how many executors use it
        self._users = 0
        #: who is told about each worker that is not gone
        self._told: dict[int, Callable[[Forked | Exited], None]] = {}
        #: the process of each worker that is not gone
        self._workers: dict[int, int] = {}
        #: how often in a row the process was gone before it had forked a worker
        self._stillborn = 0

    def start(self) -> int:
        """Have it run. Returns a descriptor that can be read when there is something to `hear`; it stays the same when
        another process has to take over. Raises WorkerLostError if it cannot be started."""
        channel = self._channel
        if channel is None:
            channel = selectors.DefaultSelector()
            try:
                self._begin(channel)
            except BaseException:
                channel.close()
                raise
            self._channel = channel
        self._users += 1
        return channel.fileno()

    def _begin(self, channel: selectors.DefaultSelector) -> None:
        taken = None if self._spare is None else self._spare.take()
        try:
            self._process, control = taken or begun(self._settings.path)
        except OSError as error:
            raise WorkerLostError(
                f"the process that starts workers cannot be started: {error.strerror or error}",
                remedy=REMEDIES.get(error.errno or 0),
            ) from error
        self._control = control
        channel.register(control, selectors.EVENT_READ)
        self._incoming = Incoming(msgspec.msgpack.Decoder(Forked | Exited))
        self.tell(Settings(self._settings))

    def fork(self, tell: Callable[[Forked | Exited], None], *, shared: bool = False) -> Ends:
        """Ask for a worker, which makes many attempts at once if it is `shared`. It waits for its Settings. What
        becomes of it is told to `tell`, whoever hears it. Raises WorkerLostError where there is no room for one."""
        try:
            return self._asked(tell, shared)
        except OSError as error:
            raise WorkerLostError(
                f"no worker can be started: {error.strerror or error}", remedy=REMEDIES.get(error.errno or 0)
            ) from error

    def _asked(self, tell: Callable[[Forked | Exited], None], shared: bool) -> Ends:
        assert self._control is not None
        link, their_link = socket.socketpair()
        recall, their_recall = socket.socketpair()
        number = self._numbers = self._numbers + 1
        self._told[number] = tell
        with tempfile.TemporaryFile() as file, their_link, their_recall:
            file.truncate(Page.SIZE)
            page = Page(file.fileno())
            descriptors = [their_link.fileno(), their_recall.fileno(), file.fileno()]
            # a server that is gone shows when it is listened to
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(self._control, [frame(Fork(number, shared))], descriptors)
        link.setblocking(False)
        recall.setblocking(False)
        return Ends(number, link, recall, page)

    def tell(self, message: Any) -> None:
        """Send a message."""
        if self._control is None:
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._control.sendall(frame(message))

    def hear(self) -> None:
        """Take in what it has to say of its workers. Raises WorkerLostError if it is gone again and again before it has
        forked any."""
        if not self._heard():
            self._replace()

    def _heard(self) -> bool:
        """Take in what it has to say. Returns whether it is there."""
        assert self._control is not None
        try:
            data = self._control.recv(_CHUNK)
        except ConnectionResetError:
            data = b""
        for message in self._incoming.feed(data):
            if isinstance(message, Forked):
                self._stillborn = 0
                self._workers[message.number] = message.pid
                tell = self._told[message.number]
            else:
                self._workers.pop(message.number, None)
                tell = self._told.pop(message.number)
            tell(message)
        return bool(data)

    def _replace(self) -> None:
        """Have another process take the place of the one that is gone, and tell of its workers that they are."""
        assert self._control is not None and self._process is not None and self._channel is not None
        # once it is waited for, its workers have been killed with it (see `forkserver`); what they have started has not
        status = self._process.wait()
        for pid in self._workers.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        scratch.discard(self._process.pid)
        self._stillborn += 1
        if self._stillborn > _STILLBORN:
            raise WorkerLostError(
                f"the process that starts workers {ending(status)}",
                remedy='Look for its message above, or run with executor="inline".',
            )
        self._channel.unregister(self._control)
        self._control.close()
        self._control = None
        lost, self._told = self._told, {}
        self._workers.clear()
        self._begin(self._channel)
        for number, tell in lost.items():
            tell(Exited(number, signal.SIGKILL))

    def await_exits(self, numbers: Iterable[int], seconds: float) -> None:
        """Let workers leave in their own time, for so long at most."""
        if self._control is None:
            return
        until = time.monotonic() + seconds
        waiting = set(numbers)
        with contextlib.suppress(OSError):
            while waiting & self._told.keys() and (left := until - time.monotonic()) > 0:
                self._control.settimeout(left)
                if not self._heard():
                    break
        self._control.settimeout(None)

    def close(self, patience: float) -> None:
        """No longer use it. With the last who does, it ends, by force if that takes more than `patience` seconds."""
        self._users -= 1
        if self._users or self._process is None:
            return
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._control is not None:
            self._control.close()
            self._control = None
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode:
            scratch.discard(self._process.pid)
        self._process = None
