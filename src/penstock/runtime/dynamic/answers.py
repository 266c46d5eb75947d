"""Answers to the questions of dynamic bodies: a value, or the exception that stands in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from penstock.authoring.dynamic import Question
from penstock.errors import SkippedError
from penstock.kernel.state import Frame, NodeProgress, Phase
from penstock.model.event import Fault
from penstock.model.expression import Apply, Ended, Expression, Get, Outcome, describe, references, requirements
from penstock.model.value import Argument, Artifact
from penstock.runtime.inputs.resolve import Place, Resolver
from penstock.runtime.reading.failures import exception_for
from penstock.values import Values

_FAILED = (Phase.FAILED, Phase.UPSTREAM_FAILED)
#: types whose values are handed over as they are when their container is iterated
_SCALARS = (int, float, str, bool, bytes, type(None))
_SCALAR_NAMES = frozenset(kind.__name__ for kind in _SCALARS)
#: what is computed rather than stored
_COMPUTED = (Apply, Ended, Outcome)

#: the latest fault of every node or item that had one
Faults = Mapping[tuple[str, int], Fault]


class Answer(NamedTuple):
    """What a body wanted to know."""

    value: Any


class Refusal:
    """An exception in the place of an answer, with the nodes whose failure it is."""

    __slots__ = ("error", "fault", "handled", "nodes")

    def __init__(self, error: BaseException, nodes: tuple[NodeProgress, ...] = (), fault: Fault | None = None) -> None:
        self.error = error
        self.nodes = nodes
        self.fault = fault
        #: whether the body went on after it
        self.handled = False


class Answers:
    """Answers the questions of the bodies of a run."""

    def __init__(self, resolver: Resolver, values: Values, faults: Faults, run_id: str) -> None:
        self._resolver = resolver
        self._values = values
        self._faults = faults
        self._run_id = run_id

    def to(self, question: Question, frame: Frame) -> Answer | Refusal | None:
        """The answer to a question whose nodes have ended; None where they were cancelled."""
        if question.use == "end":
            missing = [name for name in references(question.expression) if frame.nodes[name].phase in _FAILED]
        else:
            needs = requirements(question.expression)
            missing = [
                name for names in needs if not any(frame.nodes[n].phase.fruitful for n in names) for name in names
            ]
        if missing:
            return self._refusal(question, [frame.nodes[name] for name in missing])
        try:
            return Answer(None if question.use == "end" else self._found(question, Place(frame)))
        except Exception as error:
            # what an operator or a look-up raises: the body's own mistake
            return Refusal(error)

    # Failures.

    def _refusal(self, question: Question, missing: list[NodeProgress]) -> Refusal | None:
        roots = {root.id: root for node in missing for root in _roots(node)}
        if roots:
            nodes = tuple(roots.values())
            called, fault = self._failure(nodes[0])
            if fault is None:
                fault = Fault("penstock.errors.RunFailedError", f"{called} failed")
            return Refusal(exception_for(called, fault, self._run_id, self._values.trust), nodes, fault)
        if any(node.phase is Phase.CANCELLED for node in missing):
            return None
        return Refusal(
            SkippedError(
                f"the value of {describe(question.expression)} is used here, and {missing[0].id} was skipped",
                where=str(question.location),
                remedy="Use it only where it ran, or give it a stand-in with choose(...).",
            )
        )

    def _failure(self, node: NodeProgress) -> tuple[str, Fault | None]:
        """What failed of a node, by its id, and why: the node itself, its first failed item, or what is in its body."""
        items = range(-1, 0) if node.items is None else range(len(node.items.phases))
        for item in items:
            if node.phase_of(item) is not Phase.FAILED:
                continue
            fault = self._faults.get((node.id, item))
            if fault is not None:
                return node.cell_id(item), fault
            inside = f"{node.cell_id(item)}/"
            within = [(name, fault) for (name, _), fault in self._faults.items() if name.startswith(inside)]
            if within:
                return within[-1]
        return node.id, self._faults.get((node.id, -1))

    # Values.

    def _found(self, question: Question, place: Place) -> Any:
        expression = question.expression
        if isinstance(expression, _COMPUTED):
            value = self._resolver.value(expression, place)
            return _used(question, value)
        argument = self._resolver.argument(expression, place)
        if question.use != "value":
            parts = self._values.split(argument)
            if parts is not None:
                return len(parts) if question.use == "length" else self._elements(expression, parts)
        return _used(question, self._resolver.load(argument))

    def _elements(self, expression: Expression, parts: list[Argument]) -> list[Any]:
        return [
            self._resolver.load(part)
            if isinstance(part, Artifact) and part.codec == "data" and part.type in _SCALAR_NAMES
            else Get(expression, index)
            for index, part in enumerate(parts)
        ]


def _used(question: Question, value: Any) -> Any:
    """A value in the form that is asked for."""
    if question.use == "value":
        return value
    if question.use == "length":
        return len(value)
    if not isinstance(value, (list, tuple)):
        return list(value)
    elements = cast("list[Any]", value)
    return [each if isinstance(each, _SCALARS) else Get(question.expression, i) for i, each in enumerate(elements)]


def _roots(node: NodeProgress) -> list[NodeProgress]:
    """The failures that a node did not succeed for: its own, or those upstream."""
    if node.phase is Phase.FAILED:
        return [node]
    if node.phase is not Phase.UPSTREAM_FAILED:
        return []
    return [root for other in node.upstream for root in _roots(other)]
