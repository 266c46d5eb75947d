"""Trigger rules: as Airflow calls them, and as joins."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from functools import reduce
from typing import Any, cast

from penstock.authoring.joins import all_done, all_succeeded, every
from penstock.model.expression import Apply, Ended, Expression
from penstock.model.graph import RULES


class TriggerRule(str, Enum):  # noqa: UP042 - its text is its value, as in Airflow
    """`airflow.utils.trigger_rule.TriggerRule`."""

    ALL_SUCCESS = "all_success"
    ALL_FAILED = "all_failed"
    ALL_DONE = "all_done"
    ALL_DONE_MIN_ONE_SUCCESS = "all_done_min_one_success"
    ALL_DONE_SETUP_SUCCESS = "all_done_setup_success"
    ONE_SUCCESS = "one_success"
    ONE_FAILED = "one_failed"
    ONE_DONE = "one_done"
    NONE_FAILED = "none_failed"
    NONE_SKIPPED = "none_skipped"
    ALWAYS = "always"
    NONE_FAILED_MIN_ONE_SUCCESS = "none_failed_min_one_success"
    NONE_FAILED_OR_SKIPPED = "none_failed_min_one_success"  # noqa: PIE796 - its older name
    ALL_SKIPPED = "all_skipped"
    DUMMY = "always"  # noqa: PIE796 - its older name

    def __str__(self) -> str:
        return self.value

    @classmethod
    def is_valid(cls, trigger_rule: Any) -> bool:
        return trigger_rule in cls.all_triggers()

    @classmethod
    def all_triggers(cls) -> set[str]:
        return {each.value for each in cls}


class WeightRule(str, Enum):  # noqa: UP042 - its text is its value, as in Airflow
    """`airflow.utils.weight_rule.WeightRule`."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    ABSOLUTE = "absolute"

    def __str__(self) -> str:
        return self.value


#: names of rules in earlier versions -> those of today
OLDER = {"none_failed_or_skipped": "none_failed_min_one_success", "dummy": "always"}
#: rules under which a failure upstream goes on to be one
FORWARDING = frozenset({"all_success", "none_failed", "none_failed_min_one_success"})
#: rules under which it does so unless something else succeeded
DOUBTFUL = frozenset({"one_success", "all_done_min_one_success"})
#: rules whose refusal may be a failure, which only the rule by its name can say
NEED_NAME = frozenset({"one_success", "none_failed", "none_failed_min_one_success"})

_SUCCEEDED = ("cached", "succeeded")
_FAILED = ("failed", "upstream_failed")
_SKIPPED = ("skipped",)


def named(rule: str) -> str:
    """A rule by the name that it has today."""
    return OLDER.get(rule, rule)


def is_known(rule: str) -> bool:
    """Whether Airflow has such a rule."""
    return rule in RULES or rule in ("all_done_min_one_success", "all_done_setup_success")


def rule_holds(rule: str, upstream: tuple[str, ...], setups: Iterable[str] = ()) -> Expression:
    """A rule over some nodes as an expression, which holds where the rule lets a task start. `setups` are those of the
    nodes that are setups."""
    succeeded, failed, skipped = (
        [cast(Expression, Ended(node, states)) for node in upstream] for states in (_SUCCEEDED, _FAILED, _SKIPPED)
    )
    match rule:
        case "all_success":
            return all_succeeded(upstream)
        case "all_failed":
            return every(list(failed))
        case "all_done" | "always":
            return all_done(upstream)
        case "all_skipped":
            return every(list(skipped))
        case "one_failed":
            return _any(failed)
        case "one_done":
            return _any([cast(Expression, Ended(node, (*_SUCCEEDED, "failed"))) for node in upstream])
        case "none_skipped":
            return every([_not(each) for each in skipped])
        case "all_done_min_one_success":
            return every([_any(succeeded), *(_not(each) for each in skipped)])
        case "all_done_setup_success":
            ran = [cast(Expression, Ended(node, _SUCCEEDED)) for node in setups]
            return every([all_done(upstream), *([_any(ran)] if ran else [])])
        case _:
            raise LookupError(rule)


def any_failed(nodes: Iterable[str]) -> Expression:
    """Whether any of some nodes failed, or was not reached for that."""
    return _any([cast(Expression, Ended(node, _FAILED)) for node in nodes])


def _any(conditions: list[Expression]) -> Expression:
    return reduce(lambda one, other: Apply("or", (one, other)), conditions)


def _not(condition: Expression) -> Expression:
    return Apply("not", (condition,))


__all__ = [
    "DOUBTFUL",
    "FORWARDING",
    "NEED_NAME",
    "TriggerRule",
    "WeightRule",
    "any_failed",
    "is_known",
    "named",
    "rule_holds",
]
