"""One attempt: load the inputs, call the function, store the outputs; the one boundary around user code."""

from __future__ import annotations

import functools
import gc
import importlib
import importlib.util
import inspect
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from msgspec import structs

from penstock.errors import OutputError, Retry, Signal, Skip
from penstock.executors.attempts.devices import visible
from penstock.executors.attempts.streams import run_to_end, values_of
from penstock.executors.attempts.variables import secret_variables, variables
from penstock.executors.context import Context, Listener, reset_current, set_current
from penstock.executors.watching.descendants import own_memory
from penstock.executors.watching.limits import Overdue, alarm, want_of_memory
from penstock.model.event import Fault
from penstock.model.fault import fault_of
from penstock.model.value import Argument, Artifact, Collection, Description
from penstock.model.work import (
    NOTICE,
    Code,
    Declined,
    Done,
    Erred,
    Imported,
    Job,
    Line,
    Local,
    NotYet,
    Program,
    Usage,
    Work,
    WorkerSettings,
)
from penstock.secrets import masking
from penstock.values import Values

if TYPE_CHECKING:
    from penstock.executors.workers.interpreters import Interpreters

#: getrusage counts kilobytes on Linux and bytes on macOS
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
#: attempts shorter than this, in seconds, share one measurement of peak memory
_SHORT = 0.001

_loading = threading.RLock()

#: types of constants that cannot be changed by who gets them, so that loading them once is enough
_IMMUTABLE = (int, float, str, bool, bytes, type(None))

#: how an attempt can end
End = Done | Erred | Declined | NotYet

#: characters that are kept of why a wait goes on, which is recorded every time
_LONGEST_WHY = 500
#: the outputs of an attempt, put away, and what can be shown of them
Result = tuple[tuple[Argument, ...], tuple[Description, ...]]


def load_code(code: Code, functions: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    """The function behind a reference. Raises what importing its module raises."""
    if isinstance(code, Local):
        return functions[code.key]
    if isinstance(code, Imported):
        found: Any = load_module(code)
        if code.dialect:
            return _dialects().function_in(found, code)
        for name in code.qualname.split("."):
            found = getattr(found, name)
        return getattr(found, "function", found)
    if isinstance(code, Program):
        from penstock.executors.programs.commands import callable_of

        return callable_of(code.action)
    import cloudpickle

    return cloudpickle.loads(code.data)


def load_module(code: Imported) -> Any:
    """Import a module by its name, or from its file where the name leads elsewhere."""
    # one thread must not find what another one has only begun to load
    with _loading:
        return _loaded_module(code)


def _loaded_module(code: Imported) -> Any:
    known = sys.modules.get(code.module)
    if known is None and not code.dialect:
        try:
            known = importlib.import_module(code.module)
        except ModuleNotFoundError as error:
            if error.name != code.module or code.file is None:
                raise
    if known is not None and (code.file is None or getattr(known, "__file__", None) == code.file):
        return known
    assert code.file is not None
    loader = _dialects().loader_of(code.module, code.file, code.dialect) if code.dialect else None
    spec = importlib.util.spec_from_file_location(code.module, code.file, loader=loader)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {code.file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[code.module] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        # as importing does: the next attempt is to see the same error, not half a module
        del sys.modules[code.module]
        raise
    return module


def _dialects() -> Any:
    """What knows the dialects of other systems, which only files in them need."""
    return importlib.import_module("penstock.dialects.recognition")


class _Known:
    """A piece of work with its function loaded and its constant inputs sorted."""

    __slots__ = ("begin", "call", "changeable", "constants", "function", "unseen", "work")

    def __init__(self, work: Work, values: Values, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.work = work
        self.function = load_code(work.code, functions)
        #: inputs that the function does not take
        self.unseen = frozenset(port.name for port in work.ports if port.kind == "unseen")
        self.constants: dict[str, Any] = {}
        self.changeable: dict[str, Argument] = {}
        for name, argument in work.inputs.items():
            if name in self.unseen:
                continue
            value = values.load(argument) if isinstance(argument, Artifact) and argument.codec == "data" else _LATER
            if isinstance(value, _IMMUTABLE):
                self.constants[name] = value
            else:
                self.changeable[name] = argument
        ordinary = all(port.kind in ("keyword", "unseen") for port in work.ports)
        #: calls the function as it is, which may return a coroutine; `call` waits for what that makes
        self.begin = self._call_by_name if ordinary else self._call_by_kind
        self.call = run_to_end(self.begin) if inspect.iscoroutinefunction(self.function) else self.begin

    def _call_by_name(self, inputs: dict[str, Any]) -> Any:
        return self.function(**inputs)

    def _call_by_kind(self, inputs: dict[str, Any]) -> Any:
        positional: list[Any] = []
        named: dict[str, Any] = {}
        spread = any(port.kind == "args" and port.name in inputs for port in self.work.ports)
        for port in self.work.ports:
            if port.name not in inputs:
                continue
            value = inputs[port.name]
            if port.kind == "args":
                positional += value
            elif port.kind == "kwargs":
                named.update(value)
            elif port.kind == "positional" or (spread and not named and _before_args(self.work, port.name)):
                positional.append(value)
            else:
                named[port.name] = value
        return self.function(*positional, **named)


_LATER = object()


def _has_secrets(work: Work) -> bool:
    return bool(work.secrets) or work.allow_secrets


def _before_args(work: Work, name: str) -> bool:
    names = [port.name for port in work.ports]
    kinds = [port.kind for port in work.ports]
    return names.index(name) < kinds.index("args")


class Attempts:
    """Makes attempts in this process, one at a time. `functions` are those that work refers to as local.

    With `alarms`, an attempt is interrupted when its time is over, as far as that is possible in its own process; else
    that is for others to see to. `settings` are needed for tasks with a Python environment of their own. Where the
    process is `shared`, attempts are made in it by others too: the processor time is that of the thread then, and the
    peak of memory that of the process so far.
    """

    def __init__(
        self,
        values: Values,
        parameters: Mapping[str, Any],
        listener: Listener,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        *,
        scratch: Path | None = None,
        alarms: bool = False,
        settings: WorkerSettings | None = None,
        shared: bool = False,
    ) -> None:
        self.values = values
        self._functions: Mapping[str, Callable[..., Any]] = {} if functions is None else functions
        self.parameters = parameters
        self.listener = listener
        self._scratch = scratch
        self._alarms = alarms
        self._settings = settings
        self._works: dict[int, Work] = {}
        self._known: dict[int, _Known] = {}
        self.worker = os.getpid()
        self._processor = time.thread_time if shared else time.process_time
        self.peak = PeakMemory(forgets=not shared)
        #: whether this process had better make no more attempts
        self.spent = False
        self.made = 0

    def define(self, work: Work) -> None:
        self._works[work.number] = work

    def make(self, job: Job) -> End:
        """Make one attempt. Whatever the user's code raises becomes an Erred, or what a signal asks for."""
        work = self._works[job.work]
        if work.environment is not None and not isinstance(work.code, Program):
            return self._made_elsewhere(work, job)
        with self._bounds(work, job, self._processor) as bounds:
            if job.devices is None and (work.timeout is None or not self._alarms) and not _has_secrets(work):
                bounds.result = self._result(work, job)
            else:
                bounds.result = self._limited_result(work, job)
        return bounds.end()

    def _bounds(self, work: Work, job: Job, processor: Callable[[], float]) -> Bounds:
        node, item = job.cell or (work.node, job.item)
        context = Context(
            work.run_id,
            node,
            item,
            job.attempt,
            self.parameters,
            self.listener,
            scratch=self._scratch,
            memory=job.memory,
            cpu=work.cpu,
            secrets=work.secrets,
        )
        return Bounds(self, work, job, context, processor)

    def _made_elsewhere(self, work: Work, job: Job) -> End:
        """Make one attempt in the Python environment of the task."""
        started_at = time.time()
        try:
            with alarm(work.timeout if self._alarms else None):
                return self._interpreters.make(work, job)
        except BaseException as error:
            usage = Usage(started_at, time.time() - started_at, worker=self.worker)
            return _ended_early(job, self.verdict(work, job, error), usage)

    @functools.cached_property
    def _interpreters(self) -> Interpreters:
        from penstock.executors.workers.interpreters import Interpreters

        assert self._settings is not None
        return Interpreters(self._settings, self.values, self.listener, self._scratch)

    def close(self) -> None:
        """Let go of what is held open, and of the processes that run elsewhere."""
        self.peak.close()
        if "_interpreters" in self.__dict__:
            self._interpreters.close()

    def unfit(self, job: Job) -> bool:
        """Whether earlier attempts have left this process with so much memory that a limit of the job's would be held
        against it. A new process never is."""
        if not self.made or own_memory() <= job.memory // 2:
            return False
        gc.collect()
        return own_memory() > job.memory // 2

    def _limited_result(self, work: Work, job: Job) -> Result:
        with ExitStack() as limits:
            if job.devices is not None:
                limits.enter_context(visible(job.devices))
            if self._alarms:
                limits.enter_context(alarm(work.timeout))
            if work.secrets:
                limits.enter_context(variables(secret_variables(work.secrets)))
            if work.allow_secrets:
                limits.callback(masking.allowed.reset, masking.allowed.set(True))
            return self._result(work, job)

    def _result(self, work: Work, job: Job) -> Result:
        """What the task makes, stored."""
        if work.environment is None:
            value = self._call(work, job)
        else:
            # of a command: its programs are found there
            with self._interpreters.entered(work.environment):
                value = self._call(work, job)
        if work.yields:
            return self._listed(self._yielded(index, each) for index, each in enumerate(values_of(value)))
        return self._stored(work, value)

    def _stored(self, work: Work, value: Any) -> Result:
        """What a function has returned, put away."""
        if work.waits and not value:
            raise Retry
        return self._outputs(work, value)

    def _yielded(self, index: int, value: Any) -> Artifact:
        """What a generator has yielded, put away and told of at once."""
        artifact, description = self.values.store(value, output=True)
        self.listener.yielded(index, artifact, description)
        return artifact

    @staticmethod
    def _listed(outputs: Iterable[Artifact]) -> Result:
        """All that a generator has yielded."""
        return (Collection("list", tuple(outputs)),), ()

    def verdict(self, work: Work, job: Job, error: BaseException) -> Fault | Signal:
        """How an attempt that has raised is to be taken."""
        if isinstance(error, Skip) or (work.waits and isinstance(error, Retry)):
            return error.with_traceback(None)
        if isinstance(error, Overdue):
            return error.fault()
        fault = fault_of(error)
        if fault.pickled is not None and self.values.trust.checks:
            fault = structs.replace(fault, pickled=self.values.sealed(fault.pickled))
        if isinstance(error, MemoryError):
            # what has been torn apart by it may never work again
            self.spent = True
            return structs.replace(fault, message=want_of_memory(fault.message, peak_memory(), job.memory))
        if work.retry_if is None or isinstance(error, Signal):
            return fault
        wanted, after = self._asked(work.retry_if, error)
        return structs.replace(fault, retry=wanted, retry_after=after)

    def _asked(self, code: Code, error: BaseException) -> tuple[bool | None, float | None]:
        """Whether a predicate wants the attempt repeated (None if it cannot tell), and after how many seconds, where it
        says so."""
        try:
            said = load_code(code, self._functions)(error)
            return (True, max(said.total_seconds(), 0.0)) if isinstance(said, timedelta) else (bool(said), None)
        except BaseException as failure:
            text = f"retry_if raised {type(failure).__name__}: {failure}; the number of retries decides"
            self.listener.line(Line(NOTICE, text, time.time()))
            return None, None

    def _call(self, work: Work, job: Job) -> Any:
        known, inputs = self._prepared(work, job)
        return known.call(inputs)

    def _prepared(self, work: Work, job: Job) -> tuple[_Known, dict[str, Any]]:
        """The function of a job, and its inputs, loaded."""
        known = self._known.get(work.number)
        if known is None:
            known = self._known[work.number] = _Known(work, self.values, self._functions)
        load = self.values.load
        inputs = dict(known.constants)
        for name, argument in known.changeable.items():
            inputs[name] = load(argument)
        for name, argument in job.inputs.items():
            if name not in known.unseen:
                inputs[name] = load(argument)
        return known, inputs

    def _outputs(self, work: Work, value: Any) -> Result:
        if work.record is None:
            if value is None and work.outputs[0].required:
                raise OutputError(
                    f"{work.task}() returned None, but declares {work.outputs[0].type}",
                    where=self._place(work),
                    remedy="Is a return missing? If None is meant, declare it: `-> T | None`.",
                )
            artifact, description = self.values.store(value, output=True)
            return (artifact,), () if description is None else (description,)
        stored = [self.values.store(part, output=True) for part in self._parts(work, value)]
        return tuple(one for one, _ in stored), tuple(each for _, each in stored if each is not None)

    def _parts(self, work: Work, value: Any) -> list[Any]:
        try:
            return _parts(work, value)
        except OutputError as error:
            raise OutputError(error.what, where=self._place(work), remedy=error.remedy) from None

    def _place(self, work: Work) -> str | None:
        """Where the function of a task is defined."""
        code = getattr(inspect.unwrap(self._known[work.number].function), "__code__", None)
        if code is None:
            return None
        return f"{code.co_filename.removeprefix(f'{Path.cwd()}{os.sep}')}:{code.co_firstlineno}"


def _parts(work: Work, value: Any) -> list[Any]:
    """The several outputs in a returned value; the value whole where its class can only be stored as it is."""
    names = [port.name for port in work.outputs]
    kind = cast(type[Any], type(value))
    if work.record == "tuple":
        if kind is not tuple or len(value) != len(names):
            raise _mismatch(work, value, f"a tuple of {len(names)} values")
        return list(value)
    if work.record == "dict":
        if not issubclass(kind, dict) or set(value) != set(names):
            raise _mismatch(work, value, f"a dict with the keys {', '.join(names)}")
        return [value[name] for name in names]
    fields = getattr(value, "_fields", None) or tuple(getattr(value, "__dataclass_fields__", ()))
    if tuple(fields)[: len(names)] != tuple(names):
        raise _mismatch(work, value, f"a value with the fields {', '.join(names)}")
    if len(fields) != len(names) or kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
        return [value]
    return [getattr(value, name) for name in names]


def _mismatch(work: Work, value: Any, wanted: str) -> OutputError:
    kind = cast(type[Any], type(value))
    given = f"a tuple of {len(value)} values" if issubclass(kind, tuple) else kind.__qualname__
    if issubclass(kind, dict):
        given = f"a dict with the keys {', '.join(map(str, value)) or '(none)'}"
    return OutputError(
        f"{work.task}() returned {given}, but declares {wanted}",
        remedy="Mend the return statement or the return annotation.",
    )


class Bounds:
    """Around all that is done for one attempt: within, the attempt is the current one and is measured, and whatever is
    raised there becomes its end. `processor` tells the processor time that counts as the attempt's, in seconds.
    """

    __slots__ = (
        "_attempts",
        "_context",
        "_cpu",
        "_job",
        "_processor",
        "_start",
        "_started_at",
        "_token",
        "_usage",
        "_verdict",
        "_work",
        "result",
    )

    def __init__(
        self, attempts: Attempts, work: Work, job: Job, context: Context, processor: Callable[[], float]
    ) -> None:
        self._attempts = attempts
        self._work = work
        self._job = job
        self._context = context
        self._processor = processor
        self._verdict: Fault | Signal | None = None
        #: to be set within
        self.result: Result = ((), ())

    def __enter__(self) -> Self:
        self._token = set_current(self._context)
        self._started_at = time.time()
        self._attempts.peak.begin()
        self._cpu = self._processor()
        self._start = time.perf_counter()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        attempts = self._attempts
        try:
            if error is not None:
                self._verdict = attempts.verdict(self._work, self._job, error)
        finally:
            reset_current(self._token)
            self._context.release()
        for notice in attempts.values.take_notices():
            attempts.listener.line(Line(NOTICE, notice, time.time()))
        attempts.made += 1
        duration = time.perf_counter() - self._start
        cpu = self._processor() - self._cpu
        self._usage = Usage(self._started_at, duration, cpu, attempts.peak.end(duration), attempts.worker)
        return True

    def end(self) -> End:
        """The report of the attempt, when it is over."""
        job = self._job
        if self._verdict is not None:
            return _ended_early(job, self._verdict, self._usage)
        return Done(job.work, job.item, job.attempt, self.result[0], self._usage, self.result[1])


def _ended_early(job: Job, verdict: Fault | Signal, usage: Usage) -> End:
    """The report of an attempt that has made nothing."""
    if isinstance(verdict, Fault):
        return Erred(job.work, job.item, job.attempt, verdict, usage)
    if isinstance(verdict, Retry):
        why = masking.mask(verdict.why)[:_LONGEST_WHY]
        return NotYet(job.work, job.item, job.attempt, usage, verdict.after, why)
    return Declined(job.work, job.item, job.attempt, masking.mask(verdict.why), usage)


def peak_memory() -> int:
    """The most memory that this process held, since that was last forgotten."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT


class PeakMemory:
    """The most memory that this process held during an attempt, in bytes.

    Linux can forget the peak of a process, so that each attempt has its own; short attempts in a row share one. On
    other systems, or where it does not `forget`, it is the peak of the process so far.
    """

    def __init__(self, *, forgets: bool = True) -> None:
        self._reset = -1
        if forgets:
            with suppress(OSError):
                self._reset = os.open("/proc/self/clear_refs", os.O_WRONLY)
        self._stale = True
        self._renewed = False
        self._latest = 0

    def close(self) -> None:
        """From now on it is the peak of the process."""
        if self._reset >= 0:
            os.close(self._reset)
            self._reset = -1

    def begin(self) -> None:
        if self._stale and self._reset >= 0:
            try:
                os.pwrite(self._reset, b"5", 0)
            except OSError:
                self._reset = -1
            self._stale = False
            self._renewed = True

    def end(self, duration: float) -> int:
        # asking costs as much as a short attempt itself
        if duration >= _SHORT or self._renewed or self._latest == 0:
            self._latest = peak_memory()
            self._stale = duration >= _SHORT
            self._renewed = False
        return self._latest
