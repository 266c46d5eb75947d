"""`@flow`: Prefect's flows, as compositions of tasks."""

from __future__ import annotations

import functools
import inspect
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, NamedTuple, cast

from msgspec.structs import replace

from penstock.authoring.building import Building, check_depth, current_building, required_building
from penstock.authoring.decorated import check_function
from penstock.authoring.dynamic import Question
from penstock.authoring.options.settings import Settings
from penstock.authoring.pipeline import Composition
from penstock.authoring.placing import Placing
from penstock.authoring.ref import Ref, is_open, value
from penstock.authoring.source import DIALECT, caller, is_own
from penstock.authoring.task import Task as PenstockTask
from penstock.dialects.foreign import made
from penstock.dialects.prefect.deploying import Deployable
from penstock.dialects.prefect.deployments import gathering
from penstock.dialects.prefect.futures import Future, FutureList, Here, keyed, refs_of, unwrapped
from penstock.dialects.prefect.hooks import flow_hooks
from penstock.dialects.prefect.noting import check_known, note
from penstock.dialects.prefect.options import FLOW_OPTIONS, delays_of, flow_ignored, node_name, seconds, whole
from penstock.dialects.prefect.runners import SequentialTaskRunner
from penstock.dialects.prefect.sessions import Arrival, Session, current_session, driven, end_of, in_loop
from penstock.dialects.prefect.sites import Sites, sites_of
from penstock.dialects.prefect.states import Completed, Failed, State
from penstock.errors import DefinitionError, Fail, ParameterError
from penstock.model.expression import Constant
from penstock.model.graph import Ignored
from penstock.model.policy import RunPolicy

_CALL = ("return_state", "wait_for")
#: options of a flow that have no effect where another one calls it, and why
_PART = {
    "timeout_seconds": "it is a part of the flow that calls it; tasks can have timeouts",
    "on_completion": "hooks are called for the flow that is run",
    "on_failure": "hooks are called for the flow that is run",
    "on_running": "hooks are called for the flow that is run",
    "on_cancellation": "hooks are called for the flow that is run",
}


class Called(NamedTuple):
    """A call of a flow at the top level of a file, which Prefect would run there and then."""

    flow: Flow
    parameters: Mapping[str, Any]


class Flow(Deployable, Composition[..., Any]):
    """A flow of Prefect: called in another one, it becomes a part of it."""

    def __init__(self, fn: Callable[..., Any], options: Mapping[str, Any]) -> None:
        #: the user's own function
        self.fn = fn
        self.given_options = dict(options)
        #: the parameters that its deployments give it, by their names
        self.deployed: dict[str, Mapping[str, Any]] = {}

        @functools.wraps(fn)
        def body(**parameters: Any) -> Any:
            return conduct(self, parameters)

        if options.get("description"):
            body.__doc__ = options["description"]
        super().__init__(body, node_name(options.get("name") or fn.__name__.replace("_", "-")))
        self.settings = self._settings()
        self.noted = flow_ignored(self.name, options)

    def _settings(self) -> Settings:
        whole(self.given_options.get("retries") or 0, "retries")
        limit = self.given_options.get("timeout_seconds")
        policy = RunPolicy() if limit is None else replace(RunPolicy(), timeout=seconds(limit, "timeout_seconds"))
        return Settings(policy=policy, hooks=flow_hooks(self, self.given_options))

    @functools.cached_property
    def sites(self) -> Sites:
        """What the text of its function says of its calls."""
        return sites_of(self.fn)

    def native_source(self) -> Any:
        """Its text for penstock (see `rewriting.native_source`)."""
        from penstock.dialects.prefect.rewriting import native_source

        return native_source(self)

    @property
    def is_second(self) -> bool:
        """Whether its file uses what only Prefect 2 has."""
        from penstock.dialects.prefect.deployments import Deployment

        found = getattr(self.fn, "__globals__", {}).values()
        return any(each is Deployment or each is SequentialTaskRunner for each in found)

    @property
    def retries(self) -> int:
        return self.given_options.get("retries") or 0

    @property
    def asynchronous(self) -> bool:
        return inspect.iscoroutinefunction(self.fn)

    def with_options(self, **options: Any) -> Flow:
        """The same flow under other options."""
        check_known("a flow", options, FLOW_OPTIONS)
        return Flow(self.fn, {**self.given_options, **options})

    def _hook(self, option: str, fn: Callable[..., Any]) -> Callable[..., Any]:
        self.given_options[option] = [*(self.given_options.get(option) or ()), fn]
        self.settings = self._settings()
        return fn

    def on_completion(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return self._hook("on_completion", fn)

    def on_failure(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return self._hook("on_failure", fn)

    def on_cancellation(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return self._hook("on_cancellation", fn)

    def on_running(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return self._hook("on_running", fn)

    def on_crashed(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        self.noted += (note(f"the flow {self.name!r}: on_crashed", "a run whose process died is resumed, not ended"),)
        return fn

    # Calls.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        build = current_building()
        asked = {name: kwargs.pop(name) for name in _CALL if name in kwargs and name not in self.shape.parameters}
        if build is None:
            return self._here(args, kwargs, returns_state=bool(asked.get("return_state")))
        session = current_session()
        opens = session is None or session.opens()

        def run() -> Any:
            if session is not None and session.building is build:
                session.latest = (*session.latest, *refs_of(asked.get("wait_for")))
            if not asked.get("return_state"):
                found = self.inline(build, args, kwargs)
                return found if opens else value(found)
            try:
                return Completed(data=self.inline(build, args, kwargs))
            except Exception as error:
                return Failed(message=str(error), data=error)

        return Arrival(run) if self.asynchronous and in_loop() else run()

    def _here(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, returns_state: bool) -> Any:
        """Outside of any run: at the top level of a file it is noted, and elsewhere it is the function."""
        if gathering() or _at_top_level():
            made(Called(self, inspect.signature(self.fn).bind_partial(*args, **kwargs).arguments))
            return None

        def run() -> Any:
            found = self.fn(*args, **kwargs)
            return settled_here(driven(found) if inspect.iscoroutine(found) else found)

        if returns_state:
            return Here(run).state
        return Arrival(run) if self.asynchronous and in_loop() else run()

    def inline(self, build: Building, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function as a part of the flow that is being built, in a group of its own."""
        given = {name: unwrapped(each) for name, each in kwargs.items()}
        arguments = self.bound(tuple(map(unwrapped, args)), given)
        refs = {name: each for name, each in arguments.items() if is_open(each)}
        known = self._validated({name: each for name, each in arguments.items() if name not in refs}, refs)
        check_depth(build, self.name)
        with build.grouped(self.placing.name or node_name(self.given_options.get("name") or self.fn.__name__)):
            return conduct(self, known | refs)

    def _validated(self, known: dict[str, Any], refs: Mapping[str, Any]) -> dict[str, Any]:
        """Values as the annotations want them; a text is read as Prefect does, as what it may spell."""
        where = str(caller())
        try:
            return self.signature.resolve_part(known, refs, where)
        except ParameterError:
            texts = {name: each for name, each in known.items() if isinstance(each, str)}
            if not texts:
                raise
            plain = {name: each for name, each in known.items() if name not in texts}
            return self.signature.resolve(given=plain, texts=texts, where=where, partial=True)


def conduct(flow: Flow, given: Mapping[str, Any]) -> Any:
    """Call the function of a flow, and again as often as it may fail. Returns what it gives, with refs."""
    from penstock.dialects.prefect.reading import check_covered

    check_covered(flow)
    build = required_building(flow.name)
    around = current_session()
    outer = around if around is not None and around.building is build else None
    delays = delays_of(flow.given_options.get("retry_delay_seconds"), flow.retries)
    for attempt in range(flow.retries + 1):
        session = Session(flow, build, given, outer)
        try:
            with session:
                return _called(session, given)
        except Exception as error:
            if attempt == flow.retries:
                if outer is None and not isinstance(error, DefinitionError):
                    _fail_in_run(build, session)
                raise
        if delays:
            _pause(build, delays[min(attempt, len(delays) - 1)])
    raise AssertionError("a flow is called at least once")


def _fail_in_run(build: Building, session: Session) -> None:
    """Let a flow that raises do so in its run, once what it has called before has ended, rather than while it is defined."""
    for ref in session.latest:
        end_of(ref)
    build.listener.ask(Question(Constant(None), "value", caller()))


def _called(session: Session, given: Mapping[str, Any]) -> Any:
    flow = session.flow
    opened = session.sites.parameters
    arguments = {name: each if name in opened else value(each) for name, each in given.items()}
    returned = flow.fn(**arguments)
    if inspect.iscoroutine(returned):
        returned = driven(returned)
    if returned is None and flow.is_second:
        for ref in session.submitted:
            _decided(session, ref)
    return settled(session, returned)


def _pause(build: Building, delay: float) -> None:
    task: PenstockTask[..., Any] = PenstockTask(sleep, "retry_delay", {"cache": False})
    end_of(build.call(task, Placing(), {"seconds": delay}))


def sleep(seconds: float) -> None:
    """Let some time pass."""
    time.sleep(seconds)


def settled(session: Session, returned: Any) -> Any:
    """What a flow gives that returned something: futures and states decide with it whether it has succeeded."""
    match returned:
        case Future(ref=ref):
            return _decided(session, ref)
        case FutureList() if returned.ref is not None:
            return _decided(session, returned.ref)
        case FutureList():
            return [settled(session, each) for each in returned]
        case State():
            if not returned.is_completed():
                raise returned.error()
            return settled(session, returned.data)
        case Here():
            return returned.result()
        case _:
            return _settled_parts(session, returned)


def _settled_parts(session: Session, returned: Any) -> Any:
    kind = cast("Any", type(returned))
    if kind in (list, tuple):
        return _settled_list(session, returned)
    if kind is dict:
        return keyed({key: settled(session, each) for key, each in returned.items()})
    return returned


def _settled_list(session: Session, returned: Any) -> Any:
    failed = [each for each in returned if isinstance(each, State) and not each.is_completed()]
    if failed:
        raise failed[0].error() if len(failed) == 1 else _several(failed, len(returned))
    return type(returned)([settled(session, each) for each in returned])


def _several(failed: list[State], count: int) -> Exception:
    first = failed[0].error()
    return first if isinstance(first, Exception) else Fail(f"{len(failed)} of {count} states are failures")


def _decided(session: Session, ref: Ref) -> Ref:
    """A ref whose failure is one of the flow."""
    if not (session.lazy and session.decide(ref)):
        end_of(ref)
    return ref


def settled_here(returned: Any) -> Any:
    """The same outside of any run."""
    match returned:
        case Here():
            return returned.result()
        case State():
            return returned.result()
        case FutureList():
            return [settled_here(each) for each in returned]
        case _:
            kind = cast("Any", type(returned))
            return cast("Any", kind([settled_here(each) for each in returned]) if kind in (list, tuple) else returned)


def _at_top_level() -> bool:
    """Whether the user's call stands at the top level of a file in the dialect."""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and is_own(frame.f_code.co_filename):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_name == "<module>" and DIALECT in frame.f_globals


def part_ignored(flow: Flow) -> tuple[Ignored, ...]:
    """The options of a flow that have no effect where another one calls it."""
    from penstock.dialects.prefect.noting import ignored

    return (*flow.noted, *ignored(f"the flow {flow.name!r}", flow.given_options, _PART))


def flow(fn: Any = None, /, **options: Any) -> Any:
    """Prefect's decorator: make a function a flow."""
    check_known("a flow", options, FLOW_OPTIONS)

    def decorate(function: Callable[..., Any]) -> Flow:
        function = getattr(function, "__func__", function)
        check_function(function, "task")
        found = Flow(function, options)
        made(found)
        return found

    return decorate if fn is None else decorate(fn)


flow.from_source = flow.afrom_source = Flow.from_source  # type: ignore[attr-defined]


__all__ = ["Called", "Flow", "conduct", "flow", "part_ignored", "settled"]
