"""A process that imports the user's modules once and forks workers off itself.

The driver cannot be forked itself: it may hold threads and locks. This process does nothing but import, so that its
forks are clean and start with everything loaded. When the driver goes, by whatever end, it takes the workers with it.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import gc
import os
import select
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import msgspec

from penstock.executors.attempts.attempt import load_module
from penstock.executors.watching import scratch
from penstock.executors.watching.descendants import children, end_trees, is_spared
from penstock.executors.watching.page import Page
from penstock.executors.workers.wire import Exited, Fork, Forked, Incoming, Kill, Release, Settings, frame
from penstock.executors.workers.worker import be_worker, run_worker
from penstock.model.work import WorkerSettings
from penstock.values import Values

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
#: how long a process may take to stop, or to be gone after it was killed, in seconds
_PATIENCE = 1.0
_PAUSE = 0.001
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


class _Child(NamedTuple):
    """A worker."""

    number: int
    page: Page
    #: where the scratch folders of its attempts are
    scratch: Path


class ForkServer:
    """The loop of the fork server."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        #: by process id
        self._children: dict[int, _Child] = {}
        #: workers that are to leave by themselves
        self._released: set[int] = set()
        #: processes that outlive the worker they come from: the user's modules have started them, or a worker that left
        self._kept: set[int] = set()
        self._values: Values | None = None
        self._scratch = scratch.new()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _noted)

    def serve(self) -> None:
        incoming = Incoming(msgspec.msgpack.Decoder(Settings | Fork | Kill | Release))
        descriptors: list[int] = []
        # not select(), which takes no descriptor above 1023, and whoever has started this may have many
        poll = select.poll()
        for channel in (self._control, self._wake):
            poll.register(channel, select.POLLIN)
        while True:
            # the timeout, in milliseconds, is for user modules that take SIGCHLD for themselves
            readable = {descriptor for descriptor, _ in poll.poll(1000)}
            if self._wake.fileno() in readable:
                self._wake.recv(4096)
            self._reap()
            if self._control.fileno() not in readable:
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
            self._fork(message, taken)
        elif isinstance(message, Kill):
            self._kill(message)
        elif isinstance(message, Release):
            self._released.add(message.number)

    def _preload(self, settings: WorkerSettings) -> None:
        """Import what workers will need. What fails here fails again in the attempt, where it is reported."""
        sys.path[:] = settings.path
        for module in settings.modules:
            with contextlib.suppress(BaseException):
                load_module(module)
        # made here for what it imports, and to clear up after workers
        self._values = settings.make_values()
        _adopt_orphans()
        self._kept = set(children(os.getpid()))
        # else every worker would have a copy of what is still to be written
        sys.stdout.flush()
        sys.stderr.flush()
        # not collected before: what imports have left behind is little, and looking for it takes long
        gc.freeze()

    def _fork(self, message: Fork, descriptors: list[int]) -> None:
        number = message.number
        link, recall, page = descriptors
        child = _Child(number, Page(page), self._scratch.with_name(f"{self._scratch.name}-{number}"))
        os.close(page)
        try:
            pid = os.fork()
        except OSError as error:
            # whoever asked hears that this process is gone, and tries again with another one, a few times
            print(f"penstock: no worker can be started: {error.strerror}", file=sys.stderr, flush=True)
            os._exit(os.EX_OSERR)
        if pid == 0:
            try:
                self._become_worker(child, link, recall, shared=message.shared)
            finally:
                os._exit(1)
        _lead_group(pid)
        os.close(link)
        os.close(recall)
        self._children[pid] = child
        self._tell(Forked(number, pid))

    def _become_worker(self, child: _Child, link: int, recall: int, *, shared: bool) -> None:
        gc.enable()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._control.close()
        _lead_group(0)
        _die_with_parent()
        _adopt_orphans()
        if shared:
            from penstock.executors.workers.loop import LoopWorker

            os.close(recall)
            be_worker(LoopWorker(socket.socket(fileno=link), child.page, child.scratch).serve)
        run_worker(socket.socket(fileno=link), socket.socket(fileno=recall), child.page, child.scratch)

    # Workers end.

    def _kill(self, message: Kill) -> None:
        for pid, child in self._children.items():
            if child.number == message.number and (message.begun is None or _is_at(pid, child.page, message.begun)):
                end_trees([pid])
                _kill_group(pid)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            # a child that is not a worker was started by a user's module, or by a worker that is gone
            child = self._children.pop(pid, None)
            if child is None:
                self._kept.discard(pid)
                continue
            self._bury(pid, child)
            self._tell(Exited(child.number, status))

    def _bury(self, pid: int, child: _Child) -> None:
        """Leave nothing of a worker that is gone: no process that it has started, no file that it was writing."""
        if child.number in self._released:
            self._released.discard(child.number)
            self._kept.update(self._strays())
        else:
            _kill_group(pid)
            self._end_strays()
            if self._values is not None:
                self._values.discard(pid)
        child.page.close()
        shutil.rmtree(child.scratch, ignore_errors=True)

    def _strays(self) -> set[int]:
        """Processes that this one has become the parent of because their own is gone."""
        strays = set(children(os.getpid())) - self._children.keys() - self._kept
        return {pid for pid in strays if not is_spared(pid)}

    def _end_strays(self) -> None:
        until = time.monotonic() + _PATIENCE
        # the end of a stray may bring those to light that it has started
        while (strays := self._strays()) and time.monotonic() < until:
            end_trees(strays)
            for pid in strays:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(_PAUSE)

    def _tell(self, message: Forked | Exited) -> None:
        """Tell the driver; if it is gone, that shows when it is listened to."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._control.sendall(frame(message))

    def _end(self) -> None:
        """The driver is gone: leave no worker behind."""
        end_trees(self._children)
        for pid in self._children:
            _kill_group(pid)
        until = time.monotonic() + _PATIENCE
        while self._children and time.monotonic() < until:
            self._reap()
            time.sleep(_PAUSE)


def _noted(number: int, at: FrameType | None) -> None:
    """A signal need not do more than wake the loop."""


def _lead_group(pid: int) -> None:
    """Make a worker (0: this one) the head of a group, so that the processes its tasks start can be killed with it."""
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _is_at(pid: int, page: Page, begun: int) -> bool:
    """Whether a worker has begun just so many jobs; it is stopped if it has, and goes on if it has not."""
    os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + _PATIENCE
    while os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > until:
            break
        time.sleep(_PAUSE)
    if page.begun() == begun:
        return True
    os.kill(pid, signal.SIGCONT)
    return False


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


def _adopt_orphans() -> None:
    """On Linux, become the parent of descendants whose own parent ends, so that they are still found."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
