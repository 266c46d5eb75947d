"""A process that imports the user's modules once and forks workers off itself.

The driver cannot be forked itself: it may hold threads and locks. This process does nothing but import, so that its
forks are clean and start with everything loaded. When the driver goes, by whatever end, it takes the workers with it.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import gc
import mmap
import os
import select
import signal
import socket
import sys
from types import FrameType
from typing import Any

import msgspec

from penstock.executors.attempt import load_module
from penstock.executors.wire import Exited, Fork, Forked, Incoming, Kill, Settings, frame
from penstock.executors.worker import run_worker
from penstock.model.work import WorkerSettings

_PR_SET_PDEATHSIG = 1
#: descriptors that come with a request for a worker: its link, its recall socket, the shared page
DESCRIPTORS = 3


def main(control: int) -> None:
    """Serve the driver at the other end of a socket, given as a file descriptor."""
    # stdout belongs to the driver's own output; what C code and child processes print goes to stderr
    os.dup2(2, 1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    server = ForkServer(socket.socket(fileno=control))
    server.serve()
    sys.stdout.flush()
    sys.stderr.flush()
    # not the interpreter's own end: what the user's modules have registered for it is for the driver to do, and threads
    # that they have started would hold it up
    os._exit(0)


class ForkServer:
    """The loop of the fork server."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, int] = {}
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _noted)

    def serve(self) -> None:
        incoming = Incoming(msgspec.msgpack.Decoder(Settings | Fork | Kill))
        descriptors: list[int] = []
        while True:
            # the timeout is for user modules that take SIGCHLD for themselves
            readable, _, _ = select.select([self._control, self._wake], [], [], 1.0)
            if self._wake in readable:
                self._wake.recv(4096)
            self._reap()
            if self._control not in readable:
                continue
            data, received = _receive(self._control)
            if not data:
                self._end()
                return
            descriptors += received
            for message in incoming.feed(data):
                self._answer(message, descriptors)

    def _answer(self, message: Any, descriptors: list[int]) -> None:
        if isinstance(message, Settings):
            self._preload(message.settings)
        elif isinstance(message, Fork):
            taken, descriptors[:DESCRIPTORS] = descriptors[:DESCRIPTORS], []
            self._fork(message.number, taken)
        elif isinstance(message, Kill):
            for pid, number in self._children.items():
                if number == message.number:
                    _kill_group(pid)

    def _preload(self, settings: WorkerSettings) -> None:
        """Import what workers will need. What fails here fails again in the attempt, where it is reported."""
        sys.path[:] = settings.path
        for module in settings.modules:
            with contextlib.suppress(BaseException):
                load_module(module)
        # made here only for what it imports
        settings.make_values()
        # else every worker would have a copy of what is still to be written
        sys.stdout.flush()
        sys.stderr.flush()
        gc.collect()
        gc.freeze()

    def _fork(self, number: int, descriptors: list[int]) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                self._become_worker(descriptors)
            finally:
                os._exit(1)
        _lead_group(pid)
        for descriptor in descriptors:
            os.close(descriptor)
        self._children[pid] = number
        self._tell(Forked(number, pid))

    def _become_worker(self, descriptors: list[int]) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._control.close()
        _lead_group(0)
        _die_with_parent()
        link, recall, page = descriptors
        shared = mmap.mmap(page, 8)
        os.close(page)
        run_worker(socket.socket(fileno=link), socket.socket(fileno=recall), shared)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            # a child that is not a worker was started by a user's module
            number = self._children.pop(pid, None)
            if number is None:
                continue
            if status != 0:
                _kill_group(pid)
            self._tell(Exited(number, status))

    def _tell(self, message: Forked | Exited) -> None:
        """Tell the driver; if it is gone, that shows when it is listened to."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._control.sendall(frame(message))

    def _end(self) -> None:
        """The driver is gone: leave no worker behind."""
        for pid in self._children:
            _kill_group(pid)


def _noted(number: int, at: FrameType | None) -> None:
    """A signal need not do more than wake the loop."""


def _lead_group(pid: int) -> None:
    """Make a worker (0: this one) the head of a group, so that the processes its tasks start can be killed with it."""
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    descriptors = array.array("i")
    room = socket.CMSG_SPACE(64 * DESCRIPTORS * descriptors.itemsize)
    try:
        data, ancillary, _, _ = control.recvmsg(1 << 16, room)
    except ConnectionResetError:
        return b"", []
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
    for descriptor in descriptors:
        # processes that tasks start must not hold a worker's sockets open
        os.set_inheritable(descriptor, False)
    return data, list(descriptors)


def _die_with_parent() -> None:
    """On Linux, be killed when the parent dies, even by kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
