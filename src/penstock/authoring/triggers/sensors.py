"""`@sensor`: a function that is asked again and again whether runs are to be started."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import GeneratorType
from typing import Any, ParamSpec, TypeVar, Unpack, cast

import msgspec

from penstock.authoring.decorated import Decorated
from penstock.authoring.kinds.conversion import shortened
from penstock.authoring.options.policy import Seconds
from penstock.authoring.options.reading import Refused, duration, option, texts
from penstock.authoring.pipeline import Composition
from penstock.authoring.source import caller, location_of
from penstock.authoring.triggers.events import is_data
from penstock.authoring.triggers.options import SENSOR_OPTIONS, TriggerOptions, data_of, trigger_fields
from penstock.authoring.triggers.trigger import Target, Trigger, takes_argument, target_of
from penstock.errors import DefinitionError, Skip
from penstock.model.trigger import SensorSource
from penstock.model.trigger import Trigger as TriggerNoun

P = ParamSpec("P")
R = TypeVar("R")


class RunRequest(msgspec.Struct, frozen=True):
    """A run that a sensor asks for. One key makes one run, however often it is asked for."""

    key: str
    #: of the pipeline; they go before those of the trigger
    parameters: Mapping[str, Any] = {}
    tags: Iterable[str] = ()
    #: what `partition()` is in the run
    partition: str | None = None
    #: what `logical_time()` is in the run, and the data interval of it: aware moments
    logical_time: datetime | None = None
    interval: tuple[datetime, datetime] | None = None


class SensorResult(msgspec.Struct, frozen=True):
    """What a sensor found: runs to start, and the cursor that the next time goes on from. Both are recorded together, or
    neither."""

    requests: Iterable[RunRequest] = ()
    #: what JSON can hold; left out, it stays as it was
    cursor: Any = msgspec.UNSET
    #: why there is nothing to do, for people
    skipped: str = ""
    #: when to ask again, if that is sooner than it would be: an aware moment
    again: datetime | None = None


class Sensor(Trigger, Decorated[P, R]):
    """A function that is asked again and again whether runs are to be started. Called, it is the function."""

    role = "sensor"

    def __init__(
        self,
        function: Callable[P, R],
        noun: TriggerNoun,
        composition: Composition[..., Any] | None,
        functions: Mapping[str, Callable[..., Any]],
    ) -> None:
        Decorated.__init__(self, function, noun.name)  # pyright: ignore[reportUnknownMemberType]
        Trigger.__init__(self, noun, composition, functions)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def evaluate(self, cursor: Any = None) -> SensorResult:
        """Ask it once, and hold what it returns to the contract: its requests as a tuple with parameters as data, and the
        cursor as it is from then on.

        Raises what the function raises, and DefinitionError for an answer that is none: another type, a request without a
        key or with parameters that the pipeline does not take, a key that is asked for twice, a cursor that JSON cannot hold.
        """
        function = cast(Callable[..., Any], self.function)
        try:
            answer = function(cursor) if takes_argument(function) else function()
            if isinstance(answer, GeneratorType):
                answer = list(cast(Iterable[Any], answer))
        except Skip as skip:
            answer = skip
        result = self._result(answer)
        after = cursor if result.cursor is msgspec.UNSET else result.cursor
        if not is_data(after):
            raise self._wrong(f"its cursor is {shortened(repr(after))}, which JSON cannot hold as it is")
        requests = tuple(self._request(each) for each in result.requests)
        keys = [each.key for each in requests]
        twice = next((key for key in keys if keys.count(key) > 1), None) if len(set(keys)) < len(keys) else None
        if twice is not None:
            raise self._wrong(f"it asks for two runs with the key {twice!r}")
        if result.again is not None and not _is_aware(result.again):
            raise self._wrong(f"it is to be asked again at {shortened(repr(result.again))}, which is no aware moment")
        return SensorResult(requests, after, result.skipped, result.again)

    def coming(self, cursor: Any, after: datetime) -> Iterator[RunRequest]:
        """The runs that it will ask for by the clock after a moment; their keys begin with their times in ISO 8601. Raises
        DefinitionError: only those can tell that follow the clock (`ClockSource`)."""
        raise self._unforeseen()

    def between(self, begin: datetime, end: datetime) -> Iterator[RunRequest]:
        """The runs that it would have asked for by the clock from a moment up to another and with it, had it been there. Raises
        DefinitionError as `coming` does."""
        raise self._unforeseen()

    def _unforeseen(self) -> DefinitionError:
        return DefinitionError(
            f"the sensor {self.noun.name} does not know before it is asked what it will ask for",
            where=str(location_of(self.function)),
        )

    def _result(self, answer: Any) -> SensorResult:
        match answer:
            case None:
                return SensorResult()
            case Skip():
                return SensorResult(skipped=answer.why or "skipped")
            case RunRequest():
                return SensorResult((answer,))
            case SensorResult():
                requests = cast(Any, answer.requests)
                found = (requests,) if isinstance(requests, RunRequest) else requests
                if not isinstance(found, Iterable):
                    raise self._wrong(f"its requests are {shortened(repr(found))}")
                return msgspec.structs.replace(answer, requests=tuple(cast(Iterable[Any], found)))
            case list() | tuple():
                return SensorResult(tuple(cast(Iterable[Any], answer)))
            case _:
                raise self._wrong(f"it returned {shortened(repr(answer))}")

    def _request(self, request: Any) -> RunRequest:
        if not isinstance(request, RunRequest):
            raise self._wrong(f"among its requests is {shortened(repr(request))}")
        key = cast(Any, request.key)
        if not isinstance(key, str) or not key:
            raise self._wrong(f"the key of a request is {key!r}, and has to be a text")
        partition = cast(Any, request.partition)
        if partition is not None and (not isinstance(partition, str) or not partition):
            raise self._wrong(f"the partition of the request {key!r} is {partition!r}, and has to be a text")
        times: Any = (request.logical_time, *(request.interval or ()))
        if not all(each is None or _is_aware(each) for each in times) or len(times) not in (1, 3):
            raise self._wrong(f"the request {key!r} is about {shortened(repr(times))}, which are no aware moments")
        try:
            parameters, tags = data_of(request.parameters), texts(request.tags)
        except Refused as refusal:
            raise self._wrong(f"the parameters and tags of the request {key!r} have to be {refusal}") from None
        if self.composition is not None:
            self.composition.signature.resolve(
                given=dict(request.parameters), where=str(location_of(self.function)), partial=True
            )
        return RunRequest(key, parameters, tags, partition, request.logical_time, request.interval)

    def _wrong(self, what: str) -> DefinitionError:
        return DefinitionError(
            f"the sensor {self.noun.name} gave no answer that penstock knows: {what}",
            where=str(location_of(self.function)),
            remedy='Return None, Skip("why"), RunRequest("key", {...}), a list of them, or SensorResult(requests, cursor).',
        )


def sensor(
    target: Target,
    /,
    *,
    every: Seconds | str = 30.0,
    timeout: Seconds | str = 60.0,
    longest: Seconds | str = 3600.0,
    **options: Unpack[TriggerOptions],
) -> Callable[[Callable[P, R]], Sensor[P, R]]:
    """Make a function a sensor: it is asked again and again, `every` so often, and starts runs of a pipeline or materialises
    assets.

    It may take the cursor, which is None the first time, and returns None, `Skip("why")`, a `RunRequest` or several of them,
    or a `SensorResult` with the cursor for the next time. It has to be done within `timeout`; where it fails, the time between
    doubles, up to `longest`. The options are those of `TriggerOptions`, except `missed`. It is called by the function's name.

    Raises DefinitionError for something that is not a plain function, and for options that do not exist or have values that
    they cannot have.
    """
    fields = trigger_fields(options, SENSOR_OPTIONS)
    composition, assets = target_of(target)
    times = {"every": every, "timeout": timeout, "longest": longest}
    seconds = {name: option(name, duration, value) for name, value in times.items()}
    seconds["longest"] = max(seconds["longest"], seconds["every"])
    condition = options.get("condition")

    def decorate(function: Callable[P, R]) -> Sensor[P, R]:
        _check_function(function)
        name = function.__name__
        fields["name"] = fields["name"] or name
        fields.setdefault("description", inspect.getdoc(function) or "")
        noun = TriggerNoun(
            source=SensorSource(name, **seconds),
            pipeline="" if composition is None else composition.name,
            assets=assets,
            location=location_of(function),
            **fields,
        )
        functions = {name: cast("Callable[..., Any]", function)}
        if condition is not None:
            functions[noun.condition] = condition
        return Sensor(function, noun, composition, functions)

    return decorate


def _is_aware(moment: Any) -> bool:
    return isinstance(moment, datetime) and moment.utcoffset() is not None


def _check_function(function: Any) -> None:
    role = getattr(function, "role", "")
    usual = callable(function) and hasattr(function, "__name__") and not inspect.isclass(function) and not role
    if not usual or inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DefinitionError(
            f"@sensor needs a plain function, and got {shortened(repr(function))}",
            where=str(caller()),
            remedy="Write a small function around it, one that is not `async`.",
        )
    required = [
        each.name
        for each in inspect.signature(function).parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if len(required) > 1 or (required and not takes_argument(function)):
        raise DefinitionError(
            f"the sensor {function.__name__}() is given its cursor, and asks for {', '.join(required)}",
            where=str(location_of(function)),
            remedy=f"Write def {function.__name__}(cursor): or def {function.__name__}():",
        )
