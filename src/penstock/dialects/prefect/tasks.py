"""`@task`: Prefect's tasks, as penstock's."""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from penstock.authoring.building import Building, current_building
from penstock.authoring.decorated import check_function
from penstock.authoring.fanout import bound
from penstock.authoring.placing import Fan
from penstock.authoring.ref import Ref, expression_of, is_known, is_open, value_of
from penstock.authoring.source import found_by_name
from penstock.authoring.task import Task as PenstockTask
from penstock.dialects.foreign import made
from penstock.dialects.prefect.caching import Cached, parameters_version
from penstock.dialects.prefect.context import named
from penstock.dialects.prefect.futures import (
    Future,
    FutureList,
    Here,
    is_fanned,
    refs_of,
    state_of,
    unwrapped,
)
from penstock.dialects.prefect.limits import pools_of
from penstock.dialects.prefect.noting import check_known, not_covered, note
from penstock.dialects.prefect.options import TASK_OPTIONS, node_name, task_ignored, task_options
from penstock.dialects.prefect.sessions import Arrival, Session, current_session, in_loop
from penstock.dialects.prefect.states import Returned, return_states, settled
from penstock.errors import DefinitionError
from penstock.model.graph import Ignored
from penstock.model.work import Imported

#: what is asked of a call besides the arguments of the function
_CALL = ("return_state", "wait_for")
#: options that say that results are kept
_CACHING = ("cache_policy", "cache_key_fn", "cache_expiration", "refresh_cache", "persist_result")
#: between the name of a task and what of it is meant, where a worker looks it up
CONDITION = "retry_condition_fn"


class Task(PenstockTask[..., Any]):
    """A task of Prefect: called in a flow, it adds a node; called anywhere else, it is its function."""

    def __init__(self, fn: Callable[..., Any], options: Mapping[str, Any]) -> None:
        #: the user's own function
        self.fn = fn
        self.given_options = dict(options)
        function = Returned(fn) if return_states(fn) else fn
        super().__init__(function, node_name(options.get("name") or fn.__name__))
        self.given = task_options(self, options)
        self.ignored: tuple[Ignored, ...] = task_ignored(self.name, options)
        self.rollbacks: list[Callable[..., Any]] = list(options.get("on_rollback") or ())
        self.commits: list[Callable[..., Any]] = list(options.get("on_commit") or ())
        if function is not fn:
            self.reference = self._reference()
        if self.rollbacks:
            self._keep_out()

    def _keep_out(self) -> None:
        """What can be undone is an effect, so its result alone is not enough to go on, unless the file says that it is."""
        if not any(self.given_options.get(name) is not None for name in _CACHING):
            self.given = {**self.given, "cache": False}

    def _reference(self, part: str = "") -> Imported | None:
        """What a worker finds the task by: the name of its function, where that leads to a task."""
        import sys

        module = sys.modules.get(self.fn.__module__)
        file = getattr(module, "__file__", None)
        name = self.fn.__qualname__
        return (
            None
            if file is None or "<" in name
            else Imported(self.fn.__module__, f"{name}/{part}" if part else name, file, "prefect")
        )

    def condition_reference(self) -> Imported | None:
        """What a worker finds the condition of further attempts by."""
        found = found_by_name(self.fn.__module__, self.fn.__qualname__)
        same = isinstance(found, Task) and found.given_options.get(CONDITION) is self.given_options.get(CONDITION)
        return self._reference(CONDITION) if same else None

    @functools.cached_property
    def pools(self) -> dict[str, int]:
        """The pools that its text takes parts of."""
        return pools_of(self.fn)

    @property
    def retries(self) -> int:
        return self.given_options.get("retries") or 0

    @property
    def tags(self) -> set[str]:
        return set(self.given_options.get("tags") or ())

    def with_options(self, **options: Any) -> Task:
        """The same task under other options."""
        check_known("a task", options, TASK_OPTIONS)
        hooks = {"on_rollback": self.rollbacks, "on_commit": self.commits}
        return Task(self.fn, {**self.given_options, **hooks, **options})

    def on_rollback(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Let a function undo what the task did, where its transaction fails."""
        self.rollbacks.append(fn)
        self._keep_out()
        return fn

    def on_commit(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Let a function follow once the transaction of the task has succeeded."""
        self.commits.append(fn)
        return fn

    def _hook(self, option: str, fn: Callable[..., Any]) -> Callable[..., Any]:
        self.given_options[option] = [*(self.given_options.get(option) or ()), fn]
        self.given = task_options(self, self.given_options)
        if self.rollbacks:
            self._keep_out()
        return fn

    def on_completion(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return self._hook("on_completion", fn)

    def on_failure(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return self._hook("on_failure", fn)

    def on_running(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return self._hook("on_running", fn)

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """In a flow, submit it: what Prefect leaves to a worker of tasks is a part of the run here."""
        if current_session() is None:
            raise not_covered(f"{self.name}.delay()", "Call the task, or submit() it, in a flow.")
        return self.submit(*args, **kwargs)

    def apply_async(
        self,
        args: tuple[Any, ...] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        wait_for: Any = None,
        **_: Any,
    ) -> Any:
        return self.delay(*(args or ()), **(kwargs or {}), wait_for=wait_for)

    def serve(self, *_: Any, **__: Any) -> None:
        """Prefect would wait for calls of it here, which penstock does not."""
        serve_tasks(self)

    aserve = serve

    # Calls.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        session, build = current_session(), current_building()
        asked = _asked(self, kwargs)
        if build is None:
            return self._here(args, kwargs, asked)
        if session is None:
            return super().__call__(*args, **kwargs)
        opens = session.opens()
        after = (*session.latest, *refs_of(asked.get("wait_for")))
        ref = self.placed(session, args, kwargs, after, decides=True)
        if asked.get("return_state"):
            return self._arriving(lambda: state_of(session, ref))
        return self._arriving(lambda: session.arrived(ref, after, open=opens))

    def _arriving(self, take: Callable[[], Any]) -> Any:
        return Arrival(take) if self.asynchronous and in_loop() else take()

    def _here(self, args: tuple[Any, ...], kwargs: dict[str, Any], asked: Mapping[str, Any]) -> Any:
        if asked.get("return_state"):
            return Here(lambda: self.function(*args, **kwargs)).state
        return self.function(*args, **kwargs)

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Call it without waiting for it. Returns a future."""
        asked = _asked(self, kwargs)
        session = current_session()
        if session is None or current_building() is None:
            future: Any = Here(lambda: self._to_end(args, kwargs))
            return future.state if asked.get("return_state") else future
        after = (*session.latest, *refs_of(asked.get("wait_for")))
        ref = self.placed(session, args, kwargs, after, decides=False)
        session.submitted.append(ref)
        return state_of(session, ref) if asked.get("return_state") else Future(ref)

    def _to_end(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from penstock.dialects.prefect.sessions import driven

        found = self.function(*map(unwrapped, args), **{name: unwrapped(each) for name, each in kwargs.items()})
        return settled(driven(found)) if inspect.iscoroutine(found) else found

    def placed(
        self,
        session: Session,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        after: tuple[Ref, ...],
        *,
        decides: bool,
    ) -> Ref:
        """Add a node that calls it. Returns the ref to its result."""
        arguments = bound(self, tuple(map(unwrapped, args)), {name: unwrapped(each) for name, each in kwargs.items()})
        task = self._in(session)._named(arguments)
        placing = task.placing.changed({"after": list(after), "decides": decides})
        ref = session.building.call(task, placing, arguments)
        session.add(self, ref)
        return ref

    def _in(self, session: Session) -> Task:
        """The task with what the blocks around the call add to it."""
        options: dict[str, Any] = {}
        if session.tags:
            options["tags"] = sorted({*self.tags, *session.tags})
        pools = {**self.pools, **session.pools}
        if pools:
            options["pools"] = pools
        if Cached(self.given_options).by_parameters:
            options["version"] = parameters_version(session.building.parameters)
        return cast(Task, self.options(**options)) if options else self

    def _named(self, arguments: Mapping[str, Any]) -> Task:
        """The task under the name of its run, where that is known by now."""
        name = self.given_options.get("task_run_name")
        if name is None:
            return self
        if callable(name):
            known = {key: _known(each) for key, each in arguments.items()}
            try:
                text = named(name, self.name, {key: each for key, each in known.items() if each is not _UNKNOWN})
            except Exception:
                # it asks for what only the run of the task knows
                return self
        else:
            name = str(name)
            wanted = set[str](re.findall(r"\{(\w+)", name))
            known = {key: _known(arguments[key]) for key in wanted & arguments.keys()}
            if wanted - known.keys() or any(each is _UNKNOWN for each in known.values()):
                return self
            text = name.format(**known)
        changed = copy.copy(self)
        changed.name = node_name(str(text))
        return changed

    def options(self, **options: Any) -> Any:
        return super().options(**options)

    def _check_values(self, values: Iterable[tuple[str, Any]]) -> None:
        """Prefect does not hold arguments to annotations."""

    def _call(self, building: Building, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ref:
        return building.call(self, self.placing, bound(self, args, kwargs))

    # Fan-outs.

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Submit it once for every element of the arguments, taken in step. Returns a list of futures."""
        asked = _asked(self, kwargs)
        session, build = current_session(), current_building()
        if session is None and build is not None:
            return cast(Any, super()).map(*args, **kwargs)
        arguments = bound(self, args, kwargs)
        over, fixed = _split(self, arguments)
        if session is None or build is None:
            rows = _rows(self, over)
            futures: Any = FutureList([self.submit(**{**fixed, **row}) for row in rows])
            return [each.state for each in futures] if asked.get("return_state") else futures
        after = (*session.latest, *refs_of(asked.get("wait_for")))
        if asked.get("return_state") or session.sites.one_by_one or not session.opens() or self._is_variadic():
            rows = _rows(self, {name: _elements(each) for name, each in over.items()})
            refs = [self.placed(session, (), {**fixed, **row}, after, decides=False) for row in rows]
            session.submitted.extend(refs)
            futures = FutureList([Future(ref) for ref in refs])
            return [state_of(session, ref) for ref in refs] if asked.get("return_state") else futures
        return self._fanned(session, over, fixed, after)

    def _is_variadic(self) -> bool:
        return any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in self.shape.parameters.values())

    def _fanned(self, session: Session, over: dict[str, Any], fixed: dict[str, Any], after: tuple[Ref, ...]) -> Any:
        lengths = {len(each) for each in over.values() if not isinstance(each, Ref)}
        if len(lengths) > 1:
            raise _uneven(self, over)
        task = self._in(session)
        placing = task.placing.changed({"after": list(after), "decides": False})
        ref = session.building.fan(task, placing, Fan("zip", over, fixed))
        session.submitted.append(ref)
        session.add(self, ref)
        counted = next(
            (each for each in over.values() if isinstance(each, Ref) and is_known(expression_of(each))), None
        )
        return FutureList(ref=ref, length=lengths.pop() if lengths else None, counted=counted)


def serve_tasks(*tasks: Any, **_: Any) -> None:
    """Note that Prefect would wait for calls of tasks."""
    from penstock.dialects.prefect.deployments import noted

    for each in tasks:
        noted(note(f"serve({each.name})", "there are no workers of tasks; a flow that delays one runs it"))


_UNKNOWN = object()


def _known(value: Any) -> Any:
    if not isinstance(value, Ref):
        return _UNKNOWN if is_open(value) else value
    return value_of(value) if is_known(expression_of(value)) else _UNKNOWN


def _asked(task: Task, kwargs: dict[str, Any]) -> dict[str, Any]:
    """What is asked of a call itself, taken from its arguments."""
    return {name: kwargs.pop(name) for name in _CALL if name in kwargs and name not in task.shape.parameters}


def _split(task: Task, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is mapped over, as lists or refs, and what every item gets as it is."""
    over: dict[str, Any] = {}
    fixed: dict[str, Any] = {}
    variadic = {name for name, each in task.shape.parameters.items() if each.kind is each.VAR_KEYWORD}
    spread = {key: value for name in variadic for key, value in arguments.get(name, {}).items()}
    plain = {name: value for name, value in arguments.items() if name not in variadic}
    for name, value in {**plain, **spread}.items():
        found = is_fanned(value)
        if found is None:
            fixed[name] = unwrapped(value)
        else:
            over[name] = found
    if not over:
        raise DefinitionError(
            f"{task.name}.map(...) was given nothing to map over", remedy="Give it at least one list."
        )
    return over, fixed


def _elements(value: Any) -> list[Any]:
    return list(value)


def _rows(task: Task, over: Mapping[str, Any]) -> list[dict[str, Any]]:
    if len({len(each) for each in over.values()}) > 1:
        raise _uneven(task, over)
    return [dict(zip(over, row, strict=True)) for row in zip(*over.values(), strict=True)]


def _uneven(task: Task, over: Mapping[str, Any]) -> DefinitionError:
    told = ", ".join(f"{name} has {len(each)}" for name, each in over.items() if not isinstance(each, Ref))
    return DefinitionError(
        f"{task.name}.map(...) takes its lists in step, and they have different lengths: {told}",
        remedy="Make them equally long, or hold one fixed with unmapped(...).",
    )


def task(fn: Any = None, /, **options: Any) -> Any:
    """Prefect's decorator: make a function a task."""
    check_known("a task", options, TASK_OPTIONS)

    def decorate(function: Callable[..., Any]) -> Task:
        function = getattr(function, "__func__", function)
        check_function(function, "task")
        found = Task(function, options)
        made(found)
        return found

    return decorate if fn is None else decorate(fn)


__all__ = ["CONDITION", "Task", "serve_tasks", "task"]
