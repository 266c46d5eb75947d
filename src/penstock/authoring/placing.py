"""What a call adds to a task: how its node is called, what it waits for, how it is fanned out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypedDict, cast

import msgspec

from penstock.authoring.decorated import check_name
from penstock.authoring.kinds.conversion import nearest, shortened
from penstock.authoring.options.policy import TaskOptions
from penstock.authoring.ref import Ref
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.graph import RULES


class NodeOptions(TypedDict, total=False):
    """How a node stands among others."""

    #: what the node is called
    name: str | None
    #: a ref, or several, to wait for though no data flows
    after: Any
    #: when the node may start: one of `model.graph.RULES`, or an expression: `succeeded(a) & ~failed(b)`
    join: Any
    #: whether its failure is a failure of the run; true by default
    decides: bool
    #: of a fan-out: how many items may be under way at once
    max_parallel: int | None
    #: of a fan-out: how many items may fail without failing the whole: a count, or a share (float) of all
    failure_threshold: int | float
    #: of a fan-out: what an item is called: `key=lambda item: item["name"]`
    key: Callable[..., Any] | None


class CallOptions(NodeOptions, TaskOptions, total=False):
    """All that `options(...)` of a task takes."""


class Placing(msgspec.Struct, frozen=True):
    """The node options that were given."""

    #: chosen by the user, and not to be changed to make it unique
    name: str | None = None
    after: tuple[Any, ...] = ()
    join: Any = None
    decides: bool = True
    max_parallel: int | None = None
    failure_threshold: int | float = 0
    key: Callable[..., Any] | None = None

    def changed(self, options: Mapping[str, Any]) -> Placing:
        """With other options; what is to be waited for is added to what was. Raises DefinitionError."""
        if not options:
            return self
        changes = dict(options)
        if "after" in changes:
            after = changes["after"]
            changes["after"] = self.after + (tuple(cast(Any, after)) if isinstance(after, (list, tuple)) else (after,))
        check_name(changes.get("name"))
        if changes.get("name", "") is None:
            del changes["name"]
        _check_join(changes.get("join"))
        _check_decides(changes.get("decides", True))
        _check_fan_out(changes)
        return msgspec.structs.replace(self, **changes)

    @property
    def fans_out(self) -> bool:
        """Whether it has options that only a fan-out can have."""
        return self.max_parallel is not None or self.failure_threshold != 0 or self.key is not None


NODE_OPTIONS = frozenset(Placing.__struct_fields__)


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the node, and those of the task."""
    node = {name: value for name, value in options.items() if name in NODE_OPTIONS}
    return node, {name: value for name, value in options.items() if name not in NODE_OPTIONS}


class Fan(NamedTuple):
    """What a fan-out runs over."""

    mode: str
    #: input -> its elements: a list, a range, a dict, or a ref
    over: Mapping[str, Any]
    #: inputs that are the same for all items
    fixed: Mapping[str, Any]


#: the name of what is mapped over where its elements are dicts of inputs
SPREAD = "kwargs"


def _check_join(join: Any) -> None:
    if join is None or isinstance(join, Ref):
        return
    if not isinstance(join, str):
        raise DefinitionError(
            f"join must be the name of a rule or an expression over states, not {shortened(repr(join))}",
            where=str(caller()),
            remedy='Write join="all_done", or combine succeeded(a), failed(a), skipped(a), done(a) with & | ~.',
        )
    if join not in RULES:
        raise DefinitionError(
            f"there is no join rule {join!r}{nearest(join, RULES)}",
            where=str(caller()),
            remedy=f"The rules are: {', '.join(RULES)}.",
        )


def _check_decides(decides: Any) -> None:
    if type(decides) is not bool:
        raise DefinitionError(f"decides must be true or false, not {shortened(repr(decides))}", where=str(caller()))


def _check_fan_out(options: Mapping[str, Any]) -> None:
    most, threshold, key = options.get("max_parallel"), options.get("failure_threshold", 0), options.get("key")
    problem = None
    if most is not None and (type(most) is not int or most < 1):
        problem = f"max_parallel must be a whole number from 1 up, not {shortened(repr(most))}"
    elif type(threshold) not in (int, float) or not 0 <= threshold < float("inf"):
        problem = f"failure_threshold must be a count, or a share between 0.0 and 1.0, not {shortened(repr(threshold))}"
    elif type(threshold) is float and threshold > 1:
        problem = f"failure_threshold is a share of {threshold}, which is more than all; a count is a whole number"
    elif key is not None and not callable(key):
        problem = f"key must be a function of an item, not {shortened(repr(key))}"
    if problem is not None:
        raise DefinitionError(problem, where=str(caller()))
