"""Instructions that are answered by evaluating expressions: conditions, iterables, results of bodies, fallback values."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager

from penstock.kernel.state import Frame, NodeProgress
from penstock.model.event import AnyEvent, Broken, Concluded, Expanded, Skipped, Substituted
from penstock.model.expression import Constant, Expression, describe
from penstock.model.fault import fault_of
from penstock.model.graph import Loop, Node
from penstock.model.instruction import Conclude, Decide, Expand, Substitute
from penstock.model.run import NodeState
from penstock.model.value import Argument
from penstock.ports import Clock
from penstock.runtime.driving.ledger import Ledger
from penstock.runtime.driving.nodes import Nodes
from penstock.runtime.driving.recording import Recorder, end_record
from penstock.runtime.inputs.fanout import keys_of_items
from penstock.runtime.inputs.resolve import Place

#: instructions that take no more than reading
Evaluation = Expand | Decide | Conclude | Substitute


class Expansion:
    """Answers such instructions."""

    def __init__(self, nodes: Nodes, ledger: Ledger, clock: Clock) -> None:
        self._run = nodes.run
        self._nodes = nodes
        self._ledger = ledger
        self._clock = clock

    def answer(self, instruction: Evaluation, turn: Recorder) -> AnyEvent:
        """The event that answers an instruction; Broken if evaluating raises."""
        item = -1 if isinstance(instruction, (Expand, Decide)) else instruction.item
        progress = self._run.nodes[instruction.node]
        try:
            match instruction:
                case Expand():
                    return self._expanded(progress)
                case Decide():
                    return self._decided(progress)
                case Conclude(turn=number):
                    return self._concluded(progress, item, number, turn)
                case Substitute():
                    return self._substituted(progress, item, turn)
        except Exception as error:
            return Broken(progress.id, item, fault_of(error))

    def _expanded(self, progress: NodeProgress) -> AnyEvent:
        node = progress.node
        if node.guard is not None:
            with _looking_at(node, node.guard):
                holds = self._nodes.resolver.value(node.guard, Place(progress.frame))
            if not holds:
                return _left_out(progress, node.guard)
        if node.each is None:
            return Expanded(progress.id, None)
        # what fails for all items alike fails the node
        self._nodes.template(progress)
        fan = self._nodes.fan(progress)
        count = fan.count(node.location)
        resolver = self._nodes.resolver
        with _noted(f"in naming the items of {progress.id} ({node.location})"):
            keys = keys_of_items(
                node.each, fan, count, lambda key, elements: resolver.value(key, Place(progress.frame, elements))
            )
        return Expanded(progress.id, count, keys, fan.more)

    def _decided(self, progress: NodeProgress) -> AnyEvent:
        node = progress.node
        assert node.guard is not None
        with _looking_at(node, node.guard):
            holds = self._nodes.resolver.holds(node.guard, Place(progress.frame))
        return _left_out(progress, node.guard) if holds is False else Expanded(progress.id, None)

    # Bodies.

    def _concluded(self, progress: NodeProgress, item: int, number: int, turn: Recorder) -> AnyEvent:
        assert progress.body is not None
        frame = progress.frames[item]
        expression = frame.result if progress.body.dynamic else progress.body.result
        place = Place(frame, lax=True)
        result = self._nodes.resolver.optional(expression, place)
        loop = progress.node.loop
        again = loop is not None and self._goes_on(progress, item, loop, number, place._replace(result=result))
        cell = progress.id, item
        if not again:
            self._nodes.forget(cell)
            since = self._ledger.opened.pop(cell, None)
            self._record(progress, item, result, turn, since=since)
        return Concluded(*cell, (result,), again)

    def _goes_on(self, progress: NodeProgress, item: int, loop: Loop, number: int, place: Place) -> bool:
        """Whether another turn of a loop is due. Raises RuntimeError for one that has had as many as it may."""
        if loop.until is not None:
            with _noted(f"in `until`: {describe(loop.until)} ({progress.node.location})"):
                reached = self._nodes.resolver.value(loop.until, place)
            if reached:
                return False
        if number + 1 < loop.maximum:
            return True
        if loop.strict and loop.until is not None:
            raise RuntimeError(
                f"{progress.cell_id(item)} was repeated {loop.maximum} times, and {describe(loop.until)} does not hold"
            )
        return False

    # Fallbacks.

    def _substituted(self, progress: NodeProgress, item: int, turn: Recorder) -> AnyEvent:
        fallback = progress.node.fallback
        assert fallback is not None
        value = self._value(fallback.value, progress, item)
        self._record(progress, item, value, turn, reason="the fallback value, because it failed")
        return Substituted(progress.id, item, (value,))

    def _value(self, expression: Expression, progress: NodeProgress, item: int) -> Argument:
        resolver = self._nodes.resolver
        if isinstance(expression, Constant):
            return resolver.stored(expression.value)
        return resolver.argument(expression, self._nodes.place(progress, item))

    def _record(
        self,
        progress: NodeProgress,
        item: int,
        output: Argument,
        turn: Recorder,
        *,
        since: float | None = None,
        reason: str = "",
    ) -> None:
        at = self._clock.now()
        state = NodeState.SUCCEEDED
        turn.expect(progress, end_record(progress, item, state, at, since=since, outputs=(output,), reason=reason))


def _left_out(progress: NodeProgress, guard: Expression) -> Skipped:
    return Skipped(progress.id, f"the condition {describe(guard)} does not hold")


def _looking_at(node: Node, guard: Expression) -> AbstractContextManager[None]:
    return _noted(f"in the condition {describe(guard)} ({node.location})")


@contextmanager
def _noted(where: str) -> Generator[None]:
    """What is raised in the block says what was evaluated, and where that stands: no line of the user's is under way."""
    try:
        yield
    except Exception as error:
        error.add_note(where)
        raise


def result_of(frame: Frame, expression: Expression, nodes: Nodes) -> Argument:
    """What a pipeline, or a part of what it returns, comes to; None for what did not run."""
    try:
        return nodes.resolver.argument(expression, Place(frame, lax=True))
    except LookupError:
        return nodes.resolver.stored(None)
