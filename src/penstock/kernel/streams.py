"""Which fan-outs are taken over item by item, so that nothing waits for the slowest of a whole list."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.model.expression import Output, references
from penstock.model.graph import Node

#: join rules that can be decided for each item by itself
_BY_ITEM = ("all_success", "all_done", "none_failed")


def streamed(node: Node, kinds: Mapping[str, str]) -> tuple[str, ...]:
    """The upstream nodes whose items a node takes over one by one.

    `kinds` says what each upstream node has one by one: "items" of a fan-out, "yields" of a generator, or "".
    They are those that the node is mapped over as they are, in step, and that it needs for nothing else. What a
    generator yields can only be taken over by itself, because it is not known how much there will be.
    """
    each = node.each
    if each is None or each.mode != "zip" or each.key is not None or node.join not in _BY_ITEM:
        return ()
    whole = [over.node for over in each.over.values() if isinstance(over, Output) and over.port is None]
    others = set(node.after)
    for expression in (*node.bindings.values(), *((node.guard,) if node.guard is not None else ())):
        others.update(references(expression))
    for over in each.over.values():
        if not isinstance(over, Output) or over.port is not None:
            others.update(references(over))
    alone = len(each.over) == 1
    names = [name for name in whole if name not in others and (kinds[name] == "items" or (kinds[name] and alone))]
    return tuple(dict.fromkeys(names))
