"""Bodies: nodes that run together, once for every item of a fan-out or turn of a loop.

The function of a body is called once, with refs for its inputs, in a building inside the one around it. Where it uses
the value of one of its own refs, the body is dynamic: it is called again for every item or turn, while the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from penstock.authoring.building import Building, Shape, building, check_depth, is_fixed
from penstock.authoring.dynamic import Unanswered, composed
from penstock.authoring.fanout import each_of
from penstock.authoring.kinds.causes import check_settled
from penstock.authoring.kinds.conversion import Form, Mismatch, shortened
from penstock.authoring.kinds.outputs import RESULT, record_kind, resolved_annotations, type_text
from penstock.authoring.placing import SPREAD, Fan, Placing
from penstock.authoring.ref import Ref, is_open
from penstock.authoring.source import caller, location_of
from penstock.errors import DefinitionError
from penstock.model.expression import Constant, Expression, Input, Output
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Graph, PipelineAction, Port, checked
from penstock.model.graph import Task as TaskNoun

if TYPE_CHECKING:
    from penstock.authoring.pipeline import Composition


class Source(NamedTuple):
    """How a body is called: its function, with a new building and the arguments that belong to it."""

    function: Callable[..., Any]
    begin: Callable[[], tuple[Building, dict[str, Any]]]


class Made(NamedTuple):
    """A body as a task of the graph."""

    key: str
    build: Building
    #: what the function returned; None where the body is dynamic
    returned: Any
    dynamic: bool


def make_body(
    outer: Building, name: str, function: Callable[..., Any], arguments: Callable[[Building], dict[str, Any]]
) -> Made:
    """Call the function of a body, with arguments that belong to its building, and put it among the tasks."""
    check_depth(outer, name)
    key = outer.catalogue.reserve(name)

    def begin() -> tuple[Building, dict[str, Any]]:
        inside = Building(name, outer.parameters, outer=outer, body=key)
        return inside, arguments(inside)

    inside, given = begin()
    inside.listener = listener = Unanswered()
    returned = None
    try:
        with building(inside):
            returned = composed(function, given)
    except BaseException:
        # what a body raises on its way out does not matter
        if listener.ended is None:
            raise
    listener.over = True
    dynamic = listener.ended is not None
    if dynamic:
        outer.catalogue.bodies[key] = Source(function, begin)
        outer.catalogue.captures[key] = frozenset(inside.captured)
    return Made(key, inside, returned, dynamic)


def result_of(build: Building, returned: Any) -> Expression:
    """What a body results in. Raises DefinitionError for a record of refs, whose class would be lost."""
    kind = record_kind(cast(Any, type(returned)))
    if kind in ("named", "dataclass") and any(is_open(part) for part in _parts(returned, kind)):
        raise DefinitionError(
            f"a body returns a {type(returned).__qualname__} with results of tasks in its fields",
            where=str(caller()),
            remedy="Return a dict of them, or let a task make the record and return its result.",
        )
    if type(returned) is dict and all(type(key) is str for key in cast(dict[Any, Any], returned)):
        fields = cast(dict[str, Any], returned)
        return MappingExpression({key: build.expression(value) for key, value in fields.items()})
    return build.expression(returned)


def _parts(record: Any, kind: str) -> list[Any]:
    if kind == "named":
        return list(record)
    import dataclasses

    return [getattr(record, field.name, None) for field in dataclasses.fields(record)]


def finish_body(
    outer: Building,
    made: Made,
    function: Callable[..., Any],
    inputs: Mapping[str, Expression],
    placing: Placing,
    shape: Shape,
    description: str = "",
) -> Ref:
    """Put what a body consists of into the graph, and a node that runs it. Returns the ref to its result."""
    inside = made.build
    bindings = close_body(outer, made, function, inputs, description)
    after = (*placing.after, *inside.outer_after)
    placing = placing.changed({"after": list(after)}) if inside.outer_after else placing
    node = outer.add(made.key, inside.pipeline, placing, bindings, shape)
    return Ref(Output(node), outer)


def close_body(
    outer: Building,
    made: Made,
    function: Callable[..., Any],
    inputs: Mapping[str, Expression],
    description: str = "",
) -> dict[str, Expression]:
    """Put what a body consists of among the tasks of the graph. Returns what a node that runs it is given."""
    name, inside = made.build.pipeline, made.build
    location = location_of(function)
    result = Constant(None) if made.dynamic else result_of(inside, made.returned)
    nodes = () if made.dynamic else checked(Graph(name, (), {}, tuple(inside.nodes.values()), result)).nodes
    annotations = resolved_annotations(function)
    bindings = {**inputs, **inside.captured}
    names = dict.fromkeys([*bindings, *(name for name in annotations if name in inside.inputs)])
    outer.catalogue.tasks[made.key] = TaskNoun(
        name,
        PipelineAction(nodes, location, result, made.dynamic),
        tuple(Port(each, type_text(annotations.get(each, Any))) for each in names),
        (Port(RESULT, type_text(annotations.get("return", Any)), required=False),),
        description=description,
    )
    return bindings


def fan_out(pipeline: Composition[..., Any], outer: Building, fan: Fan, placing: Placing) -> Ref:
    """Add a node that runs a pipeline for every item of a fan-out. Returns the ref to the list of results."""
    fan = _typed(pipeline, fan)
    varying = set(_rows_keys(pipeline, fan)) if fan.mode == "kwargs" else set(fan.over)
    bound = {name: value for name, value in fan.fixed.items() if isinstance(value, Ref) and not is_fixed(outer, value)}
    known = {name: value for name, value in fan.fixed.items() if name not in bound}
    refs = {name: value for name, value in known.items() if is_open(value)}
    plain = {name: value for name, value in known.items() if name not in refs}
    given = pipeline.signature.resolve_part(plain, (*refs, *bound, *varying), str(caller()))

    def arguments(inside: Building) -> dict[str, Any]:
        inside.inputs.update(varying, bound)
        return given | refs | {name: Ref(Input(name), inside) for name in (*varying, *bound)}

    made = make_body(outer, pipeline.name, pipeline.body, arguments)
    each, inputs = each_of(outer, fan._replace(fixed=bound), placing)
    return finish_body(
        outer, made, pipeline.function, inputs, placing, Shape(each), (pipeline.__doc__ or "").partition("\n")[0]
    )


def _rows_keys(pipeline: Composition[..., Any], fan: Fan) -> list[str]:
    """The parameters that the dicts of a fan-out give: those of all of them, or all there are where they are not known."""
    rows = fan.over[SPREAD]
    if isinstance(rows, Ref):
        return [name for name in pipeline.shape.parameters if name not in fan.fixed]
    found = {frozenset(cast(Mapping[str, Any], row)) for row in _each(rows) if isinstance(row, Mapping)}
    if len(found) > 1:
        raise DefinitionError(
            f"{pipeline.name}.map_kwargs(...) is given dicts with different keys",
            where=str(caller()),
            remedy="Let every dict give the same parameters.",
        )
    return list(next(iter(found), ()))


def _each(elements: Any) -> Any:
    return cast(dict[str, Any], elements).values() if isinstance(elements, dict) else elements


def _typed(pipeline: Composition[..., Any], fan: Fan) -> Fan:
    """The same fan-out, its known elements read as the types of the parameters."""
    if fan.mode == "kwargs":
        return fan
    over = {name: _typed_elements(pipeline, name, value) for name, value in fan.over.items()}
    return fan._replace(over=over)


def _typed_elements(pipeline: Composition[..., Any], name: str, value: Any) -> Any:
    if isinstance(value, Ref):
        return value
    if isinstance(value, dict):
        items = cast(dict[str, Any], value).items()
        return {key: typed_value(pipeline, name, element) for key, element in items}
    return [typed_value(pipeline, name, element) for element in value]


def typed_value(pipeline: Composition[..., Any], name: str, value: Any) -> Any:
    """A value that is known, read as the type of a parameter. Raises DefinitionError for one of another type."""
    if is_open(value):
        return value
    check_settled(pipeline.name, name, value)
    try:
        return pipeline.signature.kinds[name].read(value, Form.OBJECT)
    except Mismatch as mismatch:
        told = "; ".join(f"{name}{path}: {text}" for path, text in mismatch.problems)
        raise DefinitionError(
            f"{pipeline.name} cannot be given {name}={shortened(repr(value))}: {told}", where=str(caller())
        ) from None
