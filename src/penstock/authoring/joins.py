"""How tasks ended, as conditions: for `join=` and in `when(...)`; and as a value, for tasks that look back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from penstock.authoring.blocks import Block
from penstock.authoring.building import Building, flat, required_building
from penstock.authoring.kinds.conversion import shortened
from penstock.authoring.ref import Ref, building_of
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model import expression as expressions
from penstock.model.expression import Apply, Constant, Ended, Expression, references
from penstock.model.run import ENDED, FRUITFUL, NodeState

if TYPE_CHECKING:
    from penstock.model.outcome import Outcome

_SUCCEEDED = tuple(sorted(state.value for state in FRUITFUL))
_FAILED = (NodeState.FAILED.value, NodeState.UPSTREAM_FAILED.value)
_SKIPPED = (NodeState.SKIPPED.value,)
_DONE = tuple(sorted(state.value for state in ENDED))


def succeeded(ref: Any) -> Ref:
    """Whether the task of a ref succeeded, from the cache or not: a condition for `join=` and `when(...)`.

    It waits for the task, and needs no result of it. Combine conditions with `&`, `|`, `~`. Raises DefinitionError
    outside a pipeline, and for what is not the result of a task.
    """
    return _ended("succeeded", ref, _SUCCEEDED)


def failed(ref: Any) -> Ref:
    """Whether the task of a ref failed, or could not run because something before it had. See `succeeded`."""
    return _ended("failed", ref, _FAILED)


def skipped(ref: Any) -> Ref:
    """Whether the task of a ref was skipped. See `succeeded`."""
    return _ended("skipped", ref, _SKIPPED)


def done(ref: Any) -> Ref:
    """Whether the task of a ref has ended, in whichever way: with it, a join waits and does not mind. See `succeeded`."""
    return _ended("done", ref, _DONE)


def _ended(name: str, ref: Any, states: tuple[str, ...]) -> Ref:
    building = required_building(name)
    # as seen from where its task is: in a body, it is an input like any other
    building = building_of(ref) if isinstance(ref, Ref) and building.is_outer(ref) else building
    return Ref(all_ended(nodes_of(building, name, ref), states), building)


def nodes_of(building: Building, name: str, *refs: Any) -> tuple[str, ...]:
    """The nodes that refs and groups stand for. Raises DefinitionError for what stands for none."""
    nodes: list[str] = []
    for ref in flat(refs):
        found = ref.nodes if isinstance(ref, Block) else list(references(building.expression(ref)))
        if not found and not isinstance(ref, Block):
            raise DefinitionError(
                f"{name}() takes what calling a task returned, and this is {shortened(repr(ref))}",
                where=str(caller()),
                remedy=f"Write done = load(); {name}(done).",
            )
        nodes += found
    return tuple(dict.fromkeys(nodes))


def all_ended(nodes: tuple[str, ...], states: tuple[str, ...]) -> Expression:
    """Whether all of some nodes ended in one of some states."""
    return every([Ended(node, states) for node in nodes])


def every(conditions: list[Any]) -> Expression:
    """A condition that holds where all of some do. Halves are taken together, so that it stays shallow."""
    if len(conditions) < 2:
        return cast(Expression, conditions[0]) if conditions else Constant(True)
    half = len(conditions) // 2
    return Apply("and", (every(conditions[:half]), every(conditions[half:])))


def all_succeeded(nodes: tuple[str, ...]) -> Expression:
    """Whether all of some nodes succeeded."""
    return all_ended(nodes, _SUCCEEDED)


def all_done(nodes: tuple[str, ...]) -> Expression:
    """Whether all of some nodes have ended."""
    return all_ended(nodes, _DONE)


def outcome(*refs: Any) -> Outcome:
    """How some tasks ended, as a value for a task: a ref to an `Outcome`; of all tasks called so far, where none is given.

    It waits for them, and needs no result of them. Raises DefinitionError outside a pipeline.
    """
    building = required_building("outcome")
    nodes = nodes_of(building, "outcome", *refs) if refs else tuple(building.nodes)
    return outcome_ref(building, nodes)


def outcome_ref(building: Building, nodes: tuple[str, ...]) -> Outcome:
    """A ref to how some nodes ended."""
    return Ref(expressions.Outcome(nodes), building)  # pyright: ignore[reportReturnType]
