"""Futures: the handles on what was submitted; and what marks arguments (`unmapped`, `allow_failure`, `quote`)."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast
from uuid import UUID, uuid5

from penstock.authoring.ref import Ref, building_of, expression_of, is_known, length_of, outputs_of, value, value_of
from penstock.dialects.prefect.noting import not_covered
from penstock.dialects.prefect.sessions import Arrival, Session, current_session, failure_of, node_of
from penstock.dialects.prefect.states import Completed, Failed, State
from penstock.model.expression import Parameter

#: what the ids of task runs are made from
_NAMESPACE = UUID("6f7fd5f9-5a4f-4f0e-9c3e-6d5fd1b0a7a3")


class _Awaited:
    """Something that Prefect 2 had awaited in asynchronous flows."""

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from ()
        return self


class Future(_Awaited):
    """What was submitted."""

    def __init__(self, ref: Ref) -> None:
        self.ref = ref

    @property
    def task_run_id(self) -> UUID:
        return uuid5(_NAMESPACE, repr(expression_of(self.ref)))

    @property
    def name(self) -> str:
        return node_of(self.ref)

    @property
    def state(self) -> State:
        """How it ended. Waits for that."""
        return _state(self.ref)

    def get_state(self) -> State:
        return self.state

    def wait(self, timeout: float | None = None) -> State:
        """Wait for its end, however it ends."""
        return self.state

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> Any:
        """What it gives. Raises what the task raised; unless that is not wanted, then it is what this gives."""
        session = _required()
        if session.is_awaited():
            return Arrival(lambda: _result(session, self.ref, raise_on_failure, open=False))
        return _result(session, self.ref, raise_on_failure, open=session.opens())

    def add_done_callback(self, fn: Callable[..., Any]) -> None:
        raise not_covered("add_done_callback() of a future", "Call the function once the future was waited for.")

    def __repr__(self) -> str:
        return f"<future of {node_of(self.ref)}>"


class Here(_Awaited):
    """What was submitted outside of any flow: it has ended."""

    def __init__(self, call: Callable[[], Any]) -> None:
        try:
            self.state: State = Completed(data=call())
        except Exception as error:
            self.state = Failed(message=f"{type(error).__name__}: {error}", data=error)

    def get_state(self) -> State:
        return self.state

    def wait(self, timeout: float | None = None) -> State:
        return self.state

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> Any:
        return self.state.result(raise_on_failure)


class FutureList(_Awaited, Sequence[Any]):
    """The futures of a fan-out: one by one, or of one mapped node as a whole."""

    def __init__(
        self,
        items: Iterable[Any] | None = None,
        *,
        ref: Ref | None = None,
        length: int | None = None,
        counted: Ref | None = None,
    ) -> None:
        self._items = None if items is None else list(items)
        #: of a mapped node: the list of its results
        self.ref = ref
        self._length = length
        #: what has as many elements, and is known already
        self._counted = counted

    def _all(self) -> list[Any]:
        if self._items is None:
            assert self.ref is not None
            self._items = [Future(self.ref[position]) for position in range(len(self))]
        return self._items

    def __len__(self) -> int:
        if self._items is not None:
            return len(self._items)
        if self._length is not None:
            return self._length
        return length_of(cast(Ref, self.ref if self._counted is None else self._counted))

    def __getitem__(self, position: Any) -> Any:
        return self._all()[position]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all())

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> Any:
        """The results, in order."""
        if self.ref is not None and raise_on_failure:
            return Future(self.ref).result(timeout)
        return [each.result(timeout, raise_on_failure) for each in self._all()]

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the end of all, however they end."""
        for each in self._all():
            each.wait(timeout)


def _required() -> Session:
    session = current_session()
    if session is None:
        raise not_covered("using a future of a flow outside of it", "Take its result in the flow.")
    return session


def _result(session: Session, ref: Ref, raise_on_failure: bool, *, open: bool) -> Any:
    if not raise_on_failure:
        error = failure_of(ref)
        return error if error is not None else ref if open else value_of(ref)
    if open and session.lazy and session.decide(ref):
        return session.arrived(ref, (), open=True)
    return session.taken(ref, open=open)


def _state(ref: Ref) -> State:
    error = failure_of(ref)
    if error is None:
        return Completed(data=ref)
    return Failed(message=f"{type(error).__name__}: {error}", data=error)


def state_of(session: Session, ref: Ref) -> State:
    """How a call ended, once it has; whatever came before it has ended then as well."""
    try:
        return _state(ref)
    finally:
        session.latest = ()


class DoneAndNotDoneFutures(NamedTuple):
    """What `wait` gives."""

    done: set[Any]
    not_done: set[Any]


def as_completed(futures: Iterable[Any], timeout: float | None = None) -> Iterator[Any]:
    """The futures, each once it has ended: in the order in which they are given, which is the same every time."""
    for each in list(futures):
        each.wait()
        yield each


def wait(futures: Iterable[Any], timeout: float | None = None) -> DoneAndNotDoneFutures:
    """Wait for the end of futures, however they end."""
    found = list(futures)
    for each in found:
        each.wait()
    return DoneAndNotDoneFutures(set(found), set())


as_completed.one_by_one = True  # type: ignore[attr-defined]
wait.one_by_one = True  # type: ignore[attr-defined]


class _Marked:
    """A value under a mark."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def unwrap(self) -> Any:
        return self.value


class unmapped(_Marked):
    """A value that every item of a fan-out gets as it is."""

    hands_on = True


class quote(_Marked):
    """A value without futures in it."""

    hands_on = True


class allow_failure(_Marked):
    """What may have failed: the task is called with the exception in the place of the result."""

    one_by_one = True


def unwrapped(given: Any) -> Any:
    """A value as tasks take it: refs in the places of futures and states, at any depth of lists, tuples and dicts."""
    match given:
        case Future():
            return given.ref
        case FutureList():
            return given.ref if given.ref is not None else [unwrapped(each) for each in given]
        case Here():
            return given.result()
        case State():
            if not given.is_completed():
                raise given.error()
            return unwrapped(given.data)
        case allow_failure():
            return _tolerant(given.value)
        case _Marked():
            return unwrapped(given.value)
        case _:
            return _inside(given, unwrapped)


def _inside(given: Any, change: Callable[[Any], Any]) -> Any:
    kind = cast("Any", type(given))
    if kind in (list, tuple):
        found = [change(each) for each in given]
        same = all(one is other for one, other in zip(found, given, strict=True))
        return cast("Any", given if same else kind(found))
    if kind is dict:
        changed = keyed({key: change(each) for key, each in given.items()})
        return given if all(changed[key] is given[key] for key in given) else changed
    return given


def keyed(given: dict[Any, Any]) -> dict[Any, Any]:
    """A dict as graphs can hold it: under keys that are no texts there are values, and no refs."""
    return given if all(type(key) is str for key in given) else value(given)


def _tolerant(given: Any) -> Any:
    match given:
        case Future(ref=ref):
            error = failure_of(ref)
            return ref if error is None else error
        case FutureList():
            return [_tolerant(each) for each in given]
        case State() | Here():
            return given.result(raise_on_failure=False)
        case Ref():
            error = failure_of(given)
            return given if error is None else error
        case _:
            return _inside(given, _tolerant)


def refs_of(given: Any) -> tuple[Ref, ...]:
    """The refs of what a call is to wait for."""
    match given:
        case None:
            return ()
        case Ref():
            return () if is_known(expression_of(given)) else (given,)
        case Future(ref=ref):
            return (ref,)
        case FutureList() if given.ref is not None:
            return (given.ref,)
        case State(data=data):
            return refs_of(data) if isinstance(data, Ref) else ()
        case allow_failure():
            _tolerant(given.value)
            return ()
        case _Marked():
            return refs_of(given.value)
        case list() | tuple() | set() | FutureList():
            return tuple(ref for each in cast("Iterable[Any]", given) for ref in refs_of(each))
        case _:
            return ()


def is_fanned(given: Any) -> Any:
    """What a fan-out runs over, as a list or a ref; None for what every item gets as it is."""
    match given:
        case allow_failure():
            return is_fanned(given.value) if isinstance(given.value, Ref) else is_fanned(_tolerant(given.value))
        case _Marked():
            return None
        case Future(ref=ref):
            return _fanned_ref(ref)
        case FutureList():
            return given.ref if given.ref is not None else [each.ref for each in given]
        case Here() | State():
            return is_fanned(given.result())
        case Ref():
            return _fanned_ref(given)
        case str() | bytes() | io.IOBase():
            return None
        case Iterable():
            return [unwrapped(each) for each in cast("Iterable[Any]", given)]
        case _:
            return None


def _fanned_ref(ref: Ref) -> Any:
    expression = expression_of(ref)
    if isinstance(expression, Parameter) and isinstance(_given_for(ref, expression), (list, tuple)):
        # over whatever it is in a run, however long
        return ref
    if is_known(expression):
        return is_fanned(value_of(ref))
    outputs = outputs_of(ref)
    kind = None if outputs is None or outputs.record is not None else outputs.annotation
    origin = getattr(kind, "__origin__", kind)
    if origin in (list, tuple, set, frozenset, range):
        return ref
    if origin in (int, float, bool, str, bytes, type(None)):
        return None
    found = is_fanned(value(ref))
    return None if found is None else ref if isinstance(value(ref), (list, tuple)) else found


def _given_for(ref: Ref, parameter: Parameter) -> Any:
    """The value of a parameter, where its kind alone matters."""
    return building_of(ref).parameters.get(parameter.name)


__all__ = [
    "DoneAndNotDoneFutures",
    "Future",
    "FutureList",
    "Here",
    "allow_failure",
    "as_completed",
    "is_fanned",
    "keyed",
    "quote",
    "refs_of",
    "state_of",
    "unmapped",
    "unwrapped",
    "wait",
]
