"""Attempts in another Python: a process for each environment, kept for the attempts that follow.

The process is a worker like any other, only that it runs in the environment's interpreter and gets its jobs from here.
Values go to and fro as they are stored; what only a pickle could hold is refused, since the packages that it needs may
be of another version on the other side.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from penstock.errors import OutputError, WorkerLostError
from penstock.executors.environments import Environments, digest_of
from penstock.executors.watching.deaths import ending
from penstock.executors.watching.descendants import end_trees
from penstock.executors.watching.page import Page
from penstock.executors.workers.wire import Batch, Define, Incoming, Reports, Settings, frame, receive
from penstock.executors.workers.worker import run_worker
from penstock.model.action import Environment
from penstock.model.fault import fault_of
from penstock.model.value import Argument
from penstock.model.work import (
    AnyReport,
    Declined,
    Done,
    Erred,
    Imported,
    Job,
    NotYet,
    Told,
    Unstarted,
    Usage,
    Work,
    WorkerSettings,
    Yield,
)
from penstock.values import Values
from penstock.values.parts import artifacts_in

#: makes `import penstock` work, without what else is in the folder that it is in
_START = """
import importlib.util, sys
folder, link, recall, page, scratch = sys.argv[1:]
spec = importlib.util.spec_from_file_location("penstock", folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules["penstock"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from penstock.executors.workers.interpreters import main
main(int(link), int(recall), int(page), scratch)
"""
_PENSTOCK = Path(__file__).parents[2]
#: how long a process may take to leave by itself, in seconds
_PATIENCE = 1.0

End = Done | Erred | Declined | NotYet


class Ear(Protocol):
    """Takes in what an attempt elsewhere has to say."""

    def pass_on(self, report: Told | Yield) -> None: ...


class Interpreters:
    """Makes attempts in the environments of their tasks, one at a time. `scratch` is where their folders are made."""

    def __init__(self, settings: WorkerSettings, values: Values, ear: Ear, scratch: Path | None = None) -> None:
        self._settings = settings
        self._values = values
        self._ear = ear
        self._scratch = scratch
        self._environments = Environments(Path(settings.environments), settings.needs)
        self._running: dict[str, Interpreter] = {}

    def make(self, work: Work, job: Job) -> End:
        """Make one attempt. What goes wrong with the environment, or with a value that cannot go there or come back, is
        a fault of the attempt."""
        assert work.environment is not None
        try:
            _check_code(work)
            for name, argument in (work.inputs | job.inputs).items():
                self._check(argument, f"the input {name!r}", "Hand it over as a file (a Path), or as plain data.")
            end = self._made(work, work.environment, job)
            for port, output in zip(work.outputs, end.outputs if isinstance(end, Done) else (), strict=False):
                self._check(output, f"the output {port.name!r}", "Write it to a file in the task, and return its Path.")
        except Exception as error:
            return Erred(job.work, job.item, job.attempt, fault_of(error), Usage(time.time(), 0.0, worker=os.getpid()))
        return end

    def _made(self, work: Work, environment: Environment, job: Job) -> End:
        while isinstance(end := self._interpreter(environment).make(work, job, self._ear), Unstarted):
            # it was no longer fit for this one
            pass
        return end

    @contextlib.contextmanager
    def entered(self, environment: Environment) -> Generator[None]:
        """Let programs that are started in the block be found in an environment first."""
        programs = self._environments.python(environment).parent
        before = {name: os.environ.get(name) for name in ("PATH", "VIRTUAL_ENV")}
        os.environ["PATH"] = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])
        os.environ["VIRTUAL_ENV"] = str(programs.parent)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def close(self) -> None:
        """Let all processes go."""
        while self._running:
            self._running.popitem()[1].close()

    def _interpreter(self, environment: Environment) -> Interpreter:
        key = digest_of(environment)
        running = self._running.get(key)
        if running is None or not running.alive:
            python = self._environments.python(environment)
            running = self._running[key] = Interpreter(python, self._settings, self._scratch)
        return running

    def _check(self, argument: Argument, subject: str, remedy: str) -> None:
        for artifact in artifacts_in(argument):
            pickled = self._values.pickled(artifact)
            if pickled is None:
                continue
            frames = " With pyarrow installed, frames are stored without one." if pickled.codec == "frame" else ""
            raise OutputError(
                f"{subject} is or holds a {pickled.type}, which is stored as a pickle; what is pickled in one Python "
                "environment is not read in another",
                remedy=remedy + frames,
            )


class Interpreter:
    """A worker process in another Python."""

    def __init__(self, python: Path, settings: WorkerSettings, scratch: Path | None) -> None:
        if scratch is not None:
            scratch.mkdir(mode=0o700, exist_ok=True)
        self._scratch = tempfile.mkdtemp(prefix="penstock-", dir=scratch)
        self._link, link = socket.socketpair()
        self._recall, recall = socket.socketpair()
        with tempfile.TemporaryFile() as page, link, recall:
            page.truncate(Page.SIZE)
            given = [link.fileno(), recall.fileno(), page.fileno()]
            self._process = subprocess.Popen(
                [python, "-c", _START, _PENSTOCK, *map(str, given), self._scratch],
                stdin=subprocess.DEVNULL,
                # stdout belongs to the driver's own output
                stdout=2,
                pass_fds=given,
                process_group=0,
                env={name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")},
            )
        self._incoming = Incoming(msgspec.msgpack.Decoder(Reports))
        self._works: dict[int, Work] = {}
        self._send(Settings(msgspec.structs.replace(settings, path=_own_path(settings.path), modules=())))

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def make(self, work: Work, job: Job, ear: Ear) -> End | Unstarted:
        """Make one attempt. Raises WorkerLostError if the process dies of it."""
        try:
            if self._works.get(work.number) is not work:
                self._works[work.number] = work
                self._send(Define(msgspec.structs.replace(work, environment=None)))
            self._send(Batch([job]))
            end = self._end(ear)
        except BaseException:
            # whoever interrupts it does not wait for what it is at
            self.close(kill=True)
            raise
        if isinstance(end, Unstarted) or (isinstance(end, Erred) and end.fault.cause == "memory"):
            self.close()
        return end

    def _end(self, ear: Ear) -> End | Unstarted:
        for report in self._reports():
            if isinstance(report, (Told, Yield)):
                ear.pass_on(report)
            elif isinstance(report, Erred):
                # the exception's class may not be here, or be another
                return msgspec.structs.replace(report, fault=msgspec.structs.replace(report.fault, pickled=None))
            else:
                return report
        status = self._process.wait()
        raise WorkerLostError(f"the process of the task's environment {ending(status)} in the middle of the task")

    def _reports(self) -> Iterator[AnyReport]:
        while messages := receive(self._link, self._incoming):
            for message in messages:
                yield from message.reports

    def _send(self, message: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._link.sendall(frame(message))

    def close(self, *, kill: bool = False) -> None:
        """End the process: with `kill` at once, else when it has done what it is at."""
        self._link.close()
        self._recall.close()
        if kill:
            end_trees([self._process.pid])
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            end_trees([self._process.pid])
            self._process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)


def main(link: int, recall: int, page: int, scratch: str) -> None:
    """Be the worker process; the sockets and the shared page are given as file descriptors."""
    run_worker(socket.socket(fileno=link), socket.socket(fileno=recall), Page(page), Path(scratch))


def _check_code(work: Work) -> None:
    if not isinstance(work.code, Imported):
        raise OutputError(
            f"the task {work.task!r} cannot be run in an environment of its own: no other Python can import it",
            remedy="Move it to the top level of a module that is not run itself, or run its file with `penstock run`.",
        )


def _own_path(path: tuple[str, ...]) -> tuple[str, ...]:
    """The entries of sys.path with the user's own modules: none of this Python's, whose packages are for it alone."""
    others = {str(Path(entry).resolve()) for entry in sysconfig.get_paths().values()}
    prefixes = {str(Path(prefix).resolve()) for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)}

    def is_own(entry: str) -> bool:
        resolved = Path(entry).resolve()
        if str(resolved) in others or {"site-packages", "dist-packages"} & set(resolved.parts):
            return False
        return not any(resolved.is_relative_to(Path(prefix, "lib")) for prefix in prefixes)

    return tuple(entry for entry in path if is_own(entry))
