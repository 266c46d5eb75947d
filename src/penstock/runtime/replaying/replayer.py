"""Makes a task of a past run again: here, with its inputs of that run, and without recording anything."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from penstock.authoring.pipeline import Definition
from penstock.errors import CancelledError, DefinitionError
from penstock.model.action import CommandAction, ContainerAction
from penstock.model.event import Fault
from penstock.model.run import FRUITFUL, AttemptRecord, RunRecord
from penstock.model.value import Argument
from penstock.model.work import (
    AnyReport,
    Declined,
    Done,
    Erred,
    Imported,
    Job,
    Local,
    NotYet,
    Program,
    Told,
    Work,
)
from penstock.ports import Executor, Store
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.reading.failures import exception_for
from penstock.runtime.reading.past import Past
from penstock.runtime.replaying.choosing import Choice, Chosen, Origin
from penstock.runtime.replaying.comparing import agreed, by_name, compared, noun_of, recorded_attempt
from penstock.runtime.replaying.debugging import Stop, Watch, interrupts_restored
from penstock.runtime.replaying.inputs import check_loadable, inputs_of, notes_on
from penstock.runtime.replaying.outcome import ComparedOutput, Replay
from penstock.runtime.replaying.refusals import check
from penstock.values import Values

#: the key of the function in what the executor is given
_FUNCTION = "replayed"

End = Done | Erred | Declined | NotYet


class Bench(NamedTuple):
    """What attempts are made with that belong to no run."""

    #: of the project
    folder: Path
    #: opens the store for as long as it is needed
    open_store: Callable[[], AbstractContextManager[Store]]
    #: values that leave the project's own as they are; given a folder for files, and whether pickling is allowed
    values: Callable[[Path, bool], Values]
    #: makes attempts in this thread; given values, parameters of the run, and functions by key
    executor: Callable[[Values, Mapping[str, Any], Mapping[str, Callable[..., Any]]], Executor]
    has_engine: Callable[[], bool]
    #: for the engine of all containers
    container_arguments: Sequence[str] = ()


class Replayer:
    """Makes tasks of past runs again. `define` gives the pipeline as it is today, where that can be had; it is asked for
    what cannot be found by its name, or where it is preferred, for everything."""

    def __init__(
        self, bench: Bench, define: Callable[[], Definition] | None = None, *, prefers_defined: bool = False
    ) -> None:
        self._bench = bench
        self._define = define
        self._prefers_defined = prefers_defined

    def replay(
        self,
        run: RunRecord,
        name: str,
        code: Origin | None = None,
        stop: Stop | Literal["auto"] | None = None,
        *,
        compare: bool = True,
    ) -> Replay:
        """Make the node or the item `name` of a run again.

        With `code` None, today's code is taken if it does the same as that of the run, which is taken otherwise. `stop`
        says where to enter a debugger: `auto` is at the exception for what failed in the run, else at the first line.
        Raises NotFoundError, and DefinitionError for what cannot be replayed: neither is anything that the task raises.
        """
        if code not in (None, "stored", "today") or stop not in (None, "auto", "start", "error"):
            wrong = f"code={code!r}" if code not in (None, "stored", "today") else f"pdb={stop!r}"
            raise DefinitionError(
                f"a replay has no {wrong}", remedy='code is "stored" or "today", pdb is "start" or "error", or a bool.'
            )
        bench = self._bench
        # files among the outputs are for the caller, who may use them until the process ends
        folder = tempfile.mkdtemp(prefix="penstock-replay-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        with bench.open_store() as store:
            allowed = store.provenance(run.run_id).configuration.get("pickle", True)
            past = Past(store, bench.values(Path(folder), allowed), run)
            cell = past.find(name)
            recorded = recorded_attempt(past, cell)
            if stop == "auto":
                stop = "start" if recorded is None or recorded.fault is None else "error"
            check(past, cell, stop, has_engine=bench.has_engine())
            key = past.progress_of(cell).node.task
            choice = Choice(
                past,
                key,
                past.name(cell),
                bench.folder,
                self._define,
                prefers=self._prefers_defined,
                noun=noun_of(past, cell, recorded),
            )
            with choice.made(code) as chosen:
                attempt = _Attempt(bench, past, cell, chosen, stop, recorded)
                return attempt.told(attempt.make(), compare=compare)


class _Attempt:
    """One attempt, outside of its run."""

    def __init__(
        self, bench: Bench, past: Past, cell: Cell, chosen: Chosen, stop: Stop | None, recorded: AttemptRecord | None
    ) -> None:
        self._bench = bench
        self._past = past
        self._cell = cell
        self._name = past.name(cell)
        #: as it stood in the graph of the run
        self._task = past.progress.tasks[past.progress_of(cell).node.task]
        self._chosen = chosen
        self._recorded = recorded
        self._inputs = inputs_of(past, cell)
        self._watch = None if chosen.function is None else Watch(chosen.function, stop)
        self._stop = stop
        self._metrics: dict[str, float] = {}

    def make(self) -> End:
        """Make it. Raises DefinitionError for an input that cannot be loaded, CancelledError where the debugger was
        left, and KeyboardInterrupt."""
        past, watch = self._past, self._watch
        functions = {} if watch is None else {_FUNCTION: watch.watched()}
        executor = self._bench.executor(past.values, past.run.parameters, functions)
        try:
            work = self._work()
            number = 1 if self._recorded is None else max(1, self._recorded.attempt)
            executor.define(work)
            executor.submit([Job(work.number, self._cell[1], number, {}, cell=self._cell)])
            with interrupts_restored():
                end = self._end(executor.poll(None))
        finally:
            executor.close()
        if watch is not None and watch.left:
            raise CancelledError(f"the replay of {self._name} was left in the debugger")
        if isinstance(end, Erred) and end.fault.type == KeyboardInterrupt.__name__:
            raise KeyboardInterrupt
        if isinstance(end, Erred) and work.environment is None and (watch is None or not watch.entered):
            check_loadable(past, self._cell, self._inputs, today=self._chosen.origin == "today")
        return end

    def _work(self) -> Work:
        """What the executor is given: that of the run, with the code that was chosen."""
        past, noun, cell = self._past, self._chosen.noun, self._cell
        work = past.nodes.template(past.progress_of(cell)).work
        assert work is not None
        return msgspec.structs.replace(
            work,
            code=self._code(work),
            ports=noun.inputs,
            outputs=noun.outputs,
            record=noun.record,
            yields=noun.yields,
            inputs=self._inputs,
            # who looks around takes their time
            timeout=None if self._stop is not None else work.timeout,
        )

    def _code(self, work: Work) -> Imported | Local | Program:
        chosen, action = self._chosen, self._chosen.noun.action
        if isinstance(action, ContainerAction):
            arguments = (*self._bench.container_arguments, *action.arguments)
            return Program(msgspec.structs.replace(action, arguments=arguments))
        if isinstance(action, CommandAction):
            return Program(action)
        if work.environment is None or chosen.home is None:
            return Local(_FUNCTION)
        file = None if chosen.stored is not None else getattr(sys.modules.get(chosen.home.module), "__file__", None)
        return Imported(chosen.home.module, chosen.home.qualname, file)

    def _end(self, reports: Sequence[AnyReport]) -> End:
        end: End | None = None
        for report in reports:
            if isinstance(report, Told):
                self._metrics.update((metric.name, metric.value) for metric in report.metrics)
                self._pass_on(report)
            elif isinstance(report, (Done, Erred, Declined, NotYet)):
                end = report
        assert end is not None
        return end

    def _pass_on(self, told: Told) -> None:
        """Print what was said in another process; what was said in this one has been heard."""
        if self._task.environment is None:
            return
        for line in told.lines:
            print(line.text, file=sys.stdout if line.stream == "stdout" else sys.stderr)

    # What has come of it.

    def told(self, end: End, *, compare: bool) -> Replay:
        """The result."""
        past, values, recorded = self._past, self._past.values, self._recorded
        ports = [port.name for port in self._chosen.noun.outputs]
        made = by_name(end.outputs, ports) if isinstance(end, Done) else {}
        error = self._error(end.fault) if isinstance(end, Erred) else None
        before = self._recorded_outputs() if compare else None
        outputs = compared(self._name, made, before, values, past.store) if error is None else ()
        document = {
            "run_id": past.run.run_id,
            "id": self._name,
            "task": self._chosen.noun.name,
            "code": self._chosen.origin,
            "state": _state(end),
            "duration_s": round(end.usage.duration, 6),
            "error": f"{end.fault.type}: {end.fault.message}" if isinstance(end, Erred) else None,
            "traceback": end.fault.traceback if isinstance(end, Erred) else "",
            "reason": end.why if isinstance(end, NotYet) else end.reason if isinstance(end, Declined) else "",
            "recorded": _recorded_document(recorded),
            "outputs": msgspec.to_builtins(outputs, enc_hook=str),
            "metrics": self._metrics,
            "same": self._same(end, outputs) if compare else None,
            "notes": self._notes(),
        }
        return Replay(document, made, values, error)

    def _recorded_outputs(self) -> dict[str, Argument] | None:
        recorded = self._recorded
        if recorded is None or recorded.state not in FRUITFUL:
            return None
        return by_name(recorded.outputs, [port.name for port in self._task.outputs])

    def _same(self, end: End, outputs: Sequence[ComparedOutput]) -> bool | None:
        """Whether it did what is recorded."""
        recorded = self._recorded
        if recorded is None:
            return None
        if recorded.fault is not None:
            return isinstance(end, Erred) and _kind(end.fault) == _kind(recorded.fault)
        if recorded.state not in FRUITFUL:
            return None
        return agreed(outputs) if isinstance(end, Done) else False

    def _error(self, fault: Fault) -> BaseException:
        """What the task raised, with the user's own lines as a note: those of the traceback may be of other code by the
        time that it is shown."""
        own = None if self._watch is None else self._watch.error
        if not isinstance(own, Exception):
            return exception_for(self._name, fault, self._past.run.run_id, self._past.values.trust)
        own.__traceback__ = None
        own.add_note(f"\nIn the task:\n{fault.traceback.rstrip()}")
        return own

    def _notes(self) -> list[str]:
        stored = self._chosen.stored
        borrowed = [] if stored is None else stored.borrowed
        told = [f"{', '.join(borrowed)} is not kept with the run, and was taken as it is today"] if borrowed else []
        return [*self._chosen.notes, *notes_on(self._past, self._cell, self._inputs), *told]


def _kind(fault: Fault) -> tuple[str, ...]:
    """What has to be the same of two failures. How much time or memory it was, and in which process, does not count."""
    return (fault.type, fault.message) if fault.cause == "error" else (fault.type, fault.cause)


def _state(end: End) -> str:
    return {Done: "succeeded", Erred: "failed", Declined: "skipped", NotYet: "waiting"}[type(end)]


def _recorded_document(recorded: AttemptRecord | None) -> dict[str, Any] | None:
    """How the task ended in the run."""
    if recorded is None:
        return None
    fault = recorded.fault
    return {
        "state": recorded.state.value,
        "attempt": recorded.attempt,
        "duration_s": round(recorded.duration, 6),
        "error": None if fault is None else f"{fault.type}: {fault.message}",
    }


__all__ = ["Bench", "Replayer"]
