"""One attempt: load the inputs, call the function, store the outputs; the one boundary around user code."""

from __future__ import annotations

import importlib
import importlib.util
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from penstock.errors import OutputError
from penstock.executors.context import Context, Listener, reset_current, set_current
from penstock.model.fault import fault_of
from penstock.model.value import Argument, Artifact, Description
from penstock.model.work import NOTICE, Code, Done, Erred, Imported, Job, Line, Local, Usage, Work
from penstock.values import Values

#: getrusage counts kilobytes on Linux and bytes on macOS
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
#: attempts shorter than this, in seconds, share one measurement of peak memory
_SHORT = 0.001

#: types of constants that cannot be changed by who gets them, so that loading them once is enough
_IMMUTABLE = (int, float, str, bool, bytes, type(None))


def load_code(code: Code, functions: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    """The function behind a reference. Raises what importing its module raises."""
    if isinstance(code, Local):
        return functions[code.key]
    if isinstance(code, Imported):
        found: Any = load_module(code)
        for name in code.qualname.split("."):
            found = getattr(found, name)
        return getattr(found, "function", found)
    import cloudpickle

    return cloudpickle.loads(code.data)


def load_module(code: Imported) -> Any:
    """Import a module by its name, or from its file where the name leads elsewhere."""
    known = sys.modules.get(code.module)
    if known is None:
        try:
            known = importlib.import_module(code.module)
        except ModuleNotFoundError as error:
            if error.name != code.module or code.file is None:
                raise
    if known is not None and (code.file is None or getattr(known, "__file__", None) == code.file):
        return known
    assert code.file is not None
    spec = importlib.util.spec_from_file_location(code.module, code.file)
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


class _Known:
    """A piece of work with its function loaded and its constant inputs sorted."""

    __slots__ = ("call", "changeable", "constants", "function", "work")

    def __init__(self, work: Work, values: Values, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.work = work
        self.function = load_code(work.code, functions)
        self.constants: dict[str, Any] = {}
        self.changeable: dict[str, Argument] = {}
        for name, argument in work.inputs.items():
            value = values.load(argument) if isinstance(argument, Artifact) and argument.codec == "data" else _LATER
            if isinstance(value, _IMMUTABLE):
                self.constants[name] = value
            else:
                self.changeable[name] = argument
        ordinary = all(port.kind == "keyword" for port in work.ports)
        self.call = self._call_by_name if ordinary else self._call_by_kind

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


def _before_args(work: Work, name: str) -> bool:
    names = [port.name for port in work.ports]
    kinds = [port.kind for port in work.ports]
    return names.index(name) < kinds.index("args")


class Attempts:
    """Makes attempts in this process, one at a time. `functions` are those that work refers to as local."""

    def __init__(
        self,
        values: Values,
        parameters: Mapping[str, Any],
        listener: Listener,
        functions: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.values = values
        self._functions = functions or {}
        self.parameters = parameters
        self.listener = listener
        self._works: dict[int, Work] = {}
        self._known: dict[int, _Known] = {}
        self._worker = os.getpid()
        self._peak = PeakMemory()

    def define(self, work: Work) -> None:
        self._works[work.number] = work

    def make(self, job: Job) -> Done | Erred:
        """Make one attempt. Whatever the user's code raises becomes an Erred."""
        work = self._works[job.work]
        context = Context(work.run_id, work.node, job.item, job.attempt, self.parameters, self.listener)
        token = set_current(context)
        started_at = time.time()
        self._peak.begin()
        cpu = time.process_time()
        start = time.perf_counter()
        descriptions: tuple[Description, ...] = ()
        outputs: tuple[Artifact, ...] = ()
        fault = None
        try:
            outputs, descriptions = self._outputs(work, self._call(work, job))
        except BaseException as error:
            fault = fault_of(error)
        finally:
            reset_current(token)
            context.release()
        for notice in self.values.take_notices():
            self.listener.line(Line(NOTICE, notice, time.time()))
        duration = time.perf_counter() - start
        usage = Usage(started_at, duration, time.process_time() - cpu, self._peak.end(duration), self._worker)
        if fault is not None:
            return Erred(job.work, job.item, job.attempt, fault, usage)
        return Done(job.work, job.item, job.attempt, outputs, usage, descriptions)

    def _call(self, work: Work, job: Job) -> Any:
        known = self._known.get(work.number)
        if known is None:
            known = self._known[work.number] = _Known(work, self.values, self._functions)
        load = self.values.load
        inputs = dict(known.constants)
        for name, argument in known.changeable.items():
            inputs[name] = load(argument)
        for name, argument in job.inputs.items():
            inputs[name] = load(argument)
        return known.call(inputs)

    def _outputs(self, work: Work, value: Any) -> tuple[tuple[Artifact, ...], tuple[Description, ...]]:
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
        code = getattr(self._known[work.number].function, "__code__", None)
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


class PeakMemory:
    """The most memory that this process held during an attempt, in bytes.

    Linux can forget the peak of a process, so that each attempt has its own; short attempts in a row share one. On
    other systems it is the peak of the process so far.
    """

    def __init__(self) -> None:
        try:
            self._reset = os.open("/proc/self/clear_refs", os.O_WRONLY)
        except OSError:
            self._reset = -1
        self._stale = True
        self._renewed = False
        self._latest = 0

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
            self._latest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT
            self._stale = duration >= _SHORT
            self._renewed = False
        return self._latest
