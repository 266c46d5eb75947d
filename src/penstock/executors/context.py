"""What a task can ask and tell while it runs: `penstock.current()`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar, Token
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from penstock.model.run import item_id
from penstock.model.value import Artifact, Description
from penstock.model.work import Line, Metric, Told, Yield

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory


class Listener(Protocol):
    """Takes in what a running attempt has to say."""

    def line(self, line: Line) -> None: ...

    def metric(self, metric: Metric) -> None: ...

    def artifact(self, name: str, value: Any) -> None: ...

    def progress(self, done: float, total: float) -> None: ...

    def pass_on(self, report: Told | Yield) -> None: ...

    def yielded(self, index: int, output: Artifact, description: Description | None) -> None: ...


class Context:
    """The attempt at hand. Outside a run its ids are empty and what is logged goes nowhere."""

    def __init__(
        self,
        run_id: str = "",
        node: str = "",
        item: int = -1,
        attempt: int = 0,
        parameters: Mapping[str, Any] | None = None,
        listener: Listener | None = None,
        scratch: Path | None = None,
        memory: int = 0,
        cpu: float = 1.0,
        secrets: Iterable[str] = (),
    ) -> None:
        self.run_id = run_id
        #: id of the node: `train`
        self.node = node
        #: position in a fan-out, -1 where there is none
        self.item = item
        #: counts from 1; 0 outside a run
        self.attempt = attempt
        #: parameters of the run, in their JSON-able form
        self.parameters = dict(parameters or {})
        #: bytes of memory and cores that the attempt may use; 0 bytes for no limit
        self.memory = memory
        self.cpu = cpu
        #: environment variables that hold secrets
        self.secrets = secrets
        self._listener = listener
        #: where scratch folders are made; None for where the system keeps temporary files
        self._scratch = scratch
        self._folder: TemporaryDirectory[str] | None = None

    @property
    def id(self) -> str:
        """Node and item: `fit[3]`."""
        return item_id(self.node, self.item) if self.node else ""

    @property
    def folder(self) -> Path:
        """A scratch folder of this attempt, removed after it; outside a run, a new one that is left to its maker."""
        import tempfile

        from penstock.executors.watching import scratch

        if self._listener is None:
            return Path(tempfile.mkdtemp(prefix="penstock-"))
        if self._folder is None:
            if self._scratch is not None:
                self._scratch.mkdir(mode=0o700, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(
                prefix=scratch.prefix(), dir=self._scratch, ignore_cleanup_errors=True
            )
        return Path(self._folder.name)

    def log_metric(self, name: str, value: float, *, step: int | None = None) -> None:
        """Record a number under a name, at a step of the task's own counting if there are several."""
        if self._listener is not None:
            self._listener.metric(Metric(str(name), float(value), step, time.time()))

    def log_artifact(self, name: str, value: Any) -> None:
        """Record a value of any storable kind under a name, besides what the task returns."""
        if self._listener is not None:
            self._listener.artifact(str(name), value)

    def progress(self, done: float, total: float) -> None:
        """Say how far the task is."""
        if self._listener is not None:
            self._listener.progress(float(done), float(total))

    def release(self) -> None:
        """Remove the scratch folder."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


_current: ContextVar[Context | None] = ContextVar("penstock_context", default=None)
#: the attempts under way in a worker process, which serves one run only; None in any other process, where attempts of
#: several runs may be under way
_under_way: dict[Context, None] | None = None


def current() -> Context:
    """The attempt that runs here and now; one that does nothing where there is none.

    A thread that a task has started itself finds the attempt too, if it is the only one of its process or the thread
    runs in a copy of the task's context (`contextvars.copy_context().run`).
    """
    return _current.get() or _only() or Context()


def _only() -> Context | None:
    under_way = tuple(_under_way or ())
    return under_way[0] if len(under_way) == 1 else None


def own_process() -> None:
    """From now on, this process is a worker that serves one run only."""
    global _under_way
    _under_way = {}


def set_current(context: Context) -> Token[Context | None]:
    """Make a context the current one. Returns what `reset_current` takes it back with."""
    if _under_way is not None:
        _under_way[context] = None
    return _current.set(context)


def reset_current(token: Token[Context | None]) -> None:
    context = _current.get()
    if _under_way is not None and context is not None:
        _under_way.pop(context, None)
    _current.reset(token)
