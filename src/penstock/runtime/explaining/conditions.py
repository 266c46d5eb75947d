"""Conditions that decided about a node, with the values that they were decided by."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.errors import PenstockError
from penstock.kernel.state import NodeProgress
from penstock.model.expression import Constant, Ended, Expression, Get, Item, Output, Parameter, describe, parts
from penstock.runtime.explaining.shown import shown
from penstock.runtime.explaining.spoken import spoken
from penstock.runtime.inputs.resolve import Place
from penstock.runtime.reading.past import Past

_LEAVES = (Output, Parameter, Get, Ended, Item)


def condition_text(past: Past, progress: NodeProgress, condition: Expression) -> str:
    """`evaluate.accuracy >= threshold, where evaluate.accuracy is 0.4 and threshold is 0.9`."""
    known = {describe(leaf): text for leaf in _leaves(condition) if (text := _value(past, progress, leaf))}
    where = " and ".join(f"{name} is {text}" for name, text in known.items())
    told = spoken(condition, past.values, past.store)
    return f"{told}, where {where}" if where else told


def _leaves(expression: Expression) -> Iterator[Expression]:
    """What a condition reads, the smallest parts that have a name of their own."""
    if isinstance(expression, _LEAVES):
        yield expression
    elif not isinstance(expression, Constant):
        for part in parts(expression):
            yield from _leaves(part)


def _value(past: Past, progress: NodeProgress, leaf: Expression) -> str:
    """What it read; empty where that is no longer known."""
    if isinstance(leaf, Ended):
        return progress.frame.nodes[leaf.node].phase.state.value
    try:
        argument = past.nodes.resolver.argument(leaf, Place(progress.frame, lax=True))
        return shown(argument, past.values, past.store)
    except (PenstockError, LookupError, AttributeError):
        return ""


__all__ = ["condition_text"]
