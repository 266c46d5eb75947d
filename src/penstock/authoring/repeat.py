"""`repeat`: a body that runs turn by turn, until a condition holds or for so many times."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar, Unpack, cast

from penstock.authoring.bodies import finish_body, make_body
from penstock.authoring.building import Building, Shape, building, current_building
from penstock.authoring.decorated import Decorated
from penstock.authoring.dynamic import BodyEnded, Question
from penstock.authoring.fanout import Fanned, bound
from penstock.authoring.kinds.conversion import nearest, shortened
from penstock.authoring.kinds.outputs import Outputs, declared_outputs
from penstock.authoring.placing import NodeOptions, Placing
from penstock.authoring.ref import Ref, is_open, outputs_of
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.expression import Expression, Input, describe
from penstock.model.graph import Loop

if TYPE_CHECKING:
    from penstock.authoring.pipeline import Composition

P = ParamSpec("P")
R = TypeVar("R")

_UNTIL = 'Write until=lambda result: result["loss"] < 0.1.'
#: how tasks and pipelines are called for many items, which loops are not
_FANS = ("map", "product", "map_kwargs", "partial")

#: what the result of a turn is called in the condition
_RESULT = "result"


def repeat(
    body: Callable[P, R],
    *,
    until: Callable[[R], Any] | None = None,
    maximum: int,
    strict: bool = False,
    carry: str | Iterable[str] | None = None,
    **options: Unpack[NodeOptions],
) -> Repeated[P, R]:
    """Run a task or a pipeline again and again: `repeat(step, until=lambda result: result["loss"] < 0.1, maximum=20)`.

    What this returns is called with the arguments of the first turn, and gives a ref to the result of the last. Further
    turns get what the turn before resulted in: of a dict or a record, the fields that are called as parameters of the
    body; of anything else, the whole result, for the body's only parameter. Where that is not to be guessed, `carry` names
    the fields (a list), or the parameter that takes the whole result (a text). All other arguments stay.

    It ends after the turn for which `until` holds (an expression over the result), or after `maximum` turns, in which
    case it fails if it is `strict`. The node options (`name`, `after`, `join`) are those of `task.options`. Outside a
    pipeline it is a plain loop. Raises DefinitionError for what cannot be repeated.
    """
    if not isinstance(body, Fanned) or not isinstance(body, Decorated):
        raise DefinitionError(
            f"repeat() needs a task or a pipeline, and got {shortened(repr(cast(Any, body)))}",
            where=str(caller()),
            remedy="Decorate the function with @task, or with @pipeline if it composes tasks.",
        )
    if type(maximum) is not int or maximum < 1:
        raise DefinitionError(f"maximum must be a whole number from 1 up, not {maximum!r}", where=str(caller()))
    if until is not None and not callable(until):
        raise DefinitionError(
            f"until must be a function of the result, not {shortened(repr(until))}",
            where=str(caller()),
            remedy=_UNTIL,
        )
    if until is not None and not _takes_one(until):
        raise DefinitionError(
            f"until is called with the result of a turn alone, and takes {inspect.signature(until)}",
            where=str(caller()),
            remedy=_UNTIL,
        )
    loop = Repeated(cast("Fanned[P, R]", body), until, maximum, strict, carry, Placing().changed(options))
    loop.check()
    return loop


class Repeated(Generic[P, R]):
    """A body that is to be repeated, without its arguments. See `repeat`."""

    def __init__(
        self,
        body: Fanned[P, R],
        until: Callable[[R], Any] | None,
        maximum: int,
        strict: bool,
        carry: str | Iterable[str] | None,
        placing: Placing,
    ) -> None:
        self._body = body
        self._until = until
        self._maximum = maximum
        self._strict = strict
        #: fields of the result, or the parameter that takes the whole of it
        self._carry = (carry,) if isinstance(carry, str) else None if carry is None else tuple(carry)
        self._whole = isinstance(carry, str)
        self._placing = placing

    def check(self) -> None:
        """Raise DefinitionError for what is wrong whatever the arguments."""
        parameters = self._body.shape.parameters
        if any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in parameters.values()):
            raise DefinitionError(
                f"{self._body.name}() takes any number of arguments and cannot be repeated", where=str(caller())
            )
        if _RESULT in parameters:
            raise DefinitionError(
                f"a parameter of {self._body.name}() is called 'result', as the result of a turn is",
                where=str(caller()),
                remedy="Give it another name.",
            )
        unknown = next((name for name in self._carry or () if name not in parameters), None)
        if unknown is not None:
            raise DefinitionError(
                f"{self._body.name}() has no parameter {unknown!r} to carry{nearest(unknown, parameters)}",
                where=str(caller()),
            )
        if self._placing.fans_out:
            raise DefinitionError(
                "a loop has options of a fan-out (max_parallel, failure_threshold, key)", where=str(caller())
            )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name in _FANS:
                raise DefinitionError(
                    f"a loop has no {name}: repeat(...) is called once, with the arguments of the first turn",
                    where=str(caller()),
                    remedy=f"Put it into a pipeline, and map that: looped.{name}(...), with @pipeline over "
                    "def looped(...): return repeat(...)(...).",
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        arguments = bound(self._body, args, kwargs)
        build = current_building()
        if build is None:
            return self._here(arguments)
        return self._add(build, arguments)  # pyright: ignore[reportReturnType]

    def _add(self, build: Building, arguments: dict[str, Any]) -> Ref:
        body = self._body
        shape = body.shape
        for name, parameter in shape.parameters.items():
            if name not in arguments and parameter.default is not parameter.empty:
                arguments[name] = parameter.default
        body._check_values(arguments.items())  # pyright: ignore[reportPrivateUsage]
        kept = self._kept(arguments)
        inputs = [name for name in arguments if name not in kept]

        def refs(inside: Building) -> dict[str, Any]:
            inside.inputs.update(inputs, (_RESULT,))
            return kept | {name: Ref(Input(name), inside) for name in inputs}

        made = make_body(build, body.name, self._function(), refs)
        until = self._condition(made.build)
        carry = self._carried(made.returned)
        loop = Loop(self._maximum, until, carry, self._strict, self._is_record(made.returned))
        bindings = {name: build.expression(arguments[name]) for name in inputs}
        return finish_body(build, made, body.function, bindings, self._placing, Shape(loop=loop))

    def _function(self) -> Callable[..., Any]:
        """What is called in every turn: a task as one node, a pipeline as the nodes in its body."""
        return cast(Callable[..., Any], self._body if self._is_task else cast("Composition[..., Any]", self._body).body)

    def _kept(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of a pipeline that are known and stay the same in all turns, so that its body can use their values."""
        fields = self._fields(self._declared())
        if self._is_task or (fields is None and self._carry is None):
            return {}
        carried = self._carry if self._carry is not None else fields or ()
        composition = cast("Composition[..., Any]", self._body)
        plain = {name: each for name, each in arguments.items() if name not in carried and not is_open(each)}
        return composition.signature.resolve(given=plain, where=str(caller()), partial=True) if plain else {}

    @property
    def _is_task(self) -> bool:
        from penstock.authoring.task import Task

        return isinstance(self._body, Task)

    def _declared(self) -> Outputs:
        return declared_outputs(self._body.function)

    def _fields(self, outputs: Outputs | None) -> list[str] | None:
        """The fields of a record that are called as parameters; None for what is no record."""
        if outputs is None or outputs.record in (None, "tuple"):
            return None
        return [name for name in outputs.names if name in self._body.shape.parameters]

    def _carried(self, returned: Any) -> dict[str, str]:
        """Input -> field of the result that it is in further turns; an empty field for the whole result."""
        parameters = self._body.shape.parameters
        if self._carry is not None:
            return dict.fromkeys(self._carry, "") if self._whole else {name: name for name in self._carry}
        fields = self._fields(self._declared())
        if fields is None and isinstance(returned, Ref):
            fields = self._fields(outputs_of(returned))
        if fields is None and not self._is_task and type(returned) is dict:
            fields = [name for name in cast(dict[str, Any], returned) if name in parameters]
        if fields:
            return {name: name for name in fields}
        if fields is None and len(parameters) == 1:
            return dict.fromkeys(parameters, "")
        if not parameters:
            return {}
        raise DefinitionError(
            f"nothing says which parts of what a turn of {self._body.name}() returns go into the next turn",
            where=str(caller()),
            remedy="Return a dict with the names of parameters as keys (and declare it as a TypedDict), name its fields: "
            'repeat(..., carry=["model", "loss"]), or the parameter that takes the whole: carry="model"; carry=() for none.',
        )

    def _is_record(self, returned: Any) -> bool:
        """Whether a turn results in a record with attributes."""
        outputs = outputs_of(returned) if isinstance(returned, Ref) else None
        return (outputs or self._declared()).record in ("named", "dataclass")

    def _condition(self, inside: Building) -> Expression | None:
        if self._until is None:
            return None
        listener, inside.listener = inside.listener, _NoValues()
        try:
            with building(inside):
                holds = self._until(cast(R, Ref(Input(_RESULT), inside)))
        finally:
            inside.listener = listener
        return inside.expression(holds)

    def _here(self, arguments: dict[str, Any]) -> R:
        turn = 0
        while True:
            turn += 1
            result = self._body._call_here(arguments)  # pyright: ignore[reportPrivateUsage]
            holds = self._until is not None and self._until(result)
            if self._strict and self._until is not None and not holds and turn == self._maximum:
                raise RuntimeError(f"the condition of the loop did not hold in {turn} turns")
            if holds or turn == self._maximum:
                return result
            carried = self._carried(result)
            arguments = arguments | {name: _field(result, field) for name, field in carried.items()}


def _takes_one(function: Callable[..., Any]) -> bool:
    """Whether a function can be called with one argument; of one that does not tell, that is assumed."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _field(result: Any, field: str) -> Any:
    if not field:
        return result
    return cast(Mapping[str, Any], result)[field] if isinstance(result, Mapping) else getattr(result, field)


class _NoValues:
    """Refuses where the value of a result is used."""

    ended: BodyEnded | None = None

    def ask(self, question: Question) -> NoReturn:
        raise DefinitionError(
            f"until has to be an expression of the result, and it uses the value of {describe(question.expression)}",
            where=str(question.location),
            remedy="Compare, and combine with & | ~: until=lambda result: (result['loss'] < 0.1) | result['stuck'].",
        )

    def check_open(self, node: str) -> None:
        """Nothing runs."""
