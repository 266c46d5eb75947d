"""Retry policies: what an exception says about whether a task is repeated, and when."""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast

from penstock.dialects.airflow import recorded
from penstock.dialects.airflow.exceptions import AirflowTaskTimeout
from penstock.errors import DefinitionError, NotCoveredError, TaskTimeoutError
from penstock.model.work import Imported

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator

#: the part of a task that is its policy, where a worker looks for it
RETRIES: Final = "retry_policy"

_log = logging.getLogger("airflow.task")


class RetryAction(Enum):
    """What becomes of a task that has failed."""

    RETRY = "retry"
    FAIL = "fail"
    #: what its retries say
    DEFAULT = "default"


@dataclass(frozen=True)
class RetryDecision:
    """What a policy says about a failure."""

    action: RetryAction = RetryAction.DEFAULT
    retry_delay: timedelta | None = None
    reason: str | None = None

    @classmethod
    def fail(cls, reason: str | None = None) -> RetryDecision:
        """It has failed for good."""
        return cls(RetryAction.FAIL, reason=reason)

    @classmethod
    def retry(cls, delay: timedelta | None = None, reason: str | None = None) -> RetryDecision:
        """It is repeated, within its retries."""
        return cls(RetryAction.RETRY, delay, reason)

    @classmethod
    def default(cls) -> RetryDecision:
        """Its retries decide."""
        return cls()


class RetryPolicy:
    """Subclasses write `evaluate`."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """What is to become of a task after a failure."""
        raise NotImplementedError


@dataclass
class RetryRule:
    """What becomes of a task that fails by some exceptions: classes, or dotted paths to them. Raises ValueError for a text
    that is no path."""

    exception: Any
    action: RetryAction = RetryAction.RETRY
    retry_delay: timedelta | None = None
    reason: str | None = None
    match_subclasses: bool = True

    def __post_init__(self) -> None:
        for each in self._named():
            if isinstance(each, str) and "." not in each:
                raise ValueError(
                    "RetryRule exception string must be a dotted import path "
                    f"(e.g. 'builtins.ValueError'), got {each!r}"
                )

    def _named(self) -> list[Any]:
        return list(cast("list[Any]", self.exception)) if isinstance(self.exception, list) else [self.exception]

    @property
    def exception_path(self) -> str:
        """The paths to the exceptions."""
        return ",".join(
            each if isinstance(each, str) else f"{each.__module__}.{each.__qualname__}" for each in self._named()
        )

    def matches(self, exc: BaseException) -> bool:
        """Whether it is about an exception. What cannot be imported is none."""
        classes = tuple(found for each in self._named() if (found := _class(each)) is not None)
        return isinstance(exc, classes) if self.match_subclasses else type(exc) in classes


class ExceptionRetryPolicy(RetryPolicy):
    """The first rule that is about the exception decides, or else the default does."""

    def __init__(self, rules: list[RetryRule], default: RetryAction = RetryAction.DEFAULT) -> None:
        self.rules = rules
        self.default = default

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        for rule in self.rules:
            if rule.matches(exception):
                reason = rule.reason or f"Matched rule for {type(exception).__name__}"
                return RetryDecision(rule.action, rule.retry_delay, reason)
        return RetryDecision(self.default)


def _class(named: Any) -> type[BaseException] | None:
    if isinstance(named, type):
        return cast("type[BaseException]", named)
    module, _, name = str(named).rpartition(".")
    try:
        return getattr(importlib.import_module(_home(module, name)), name)
    except (ImportError, AttributeError):
        _log.warning("could not import the exception class %r: no failure is one", named)
        return None


@functools.cache
def _home(module: str, name: str) -> str:
    """Where a class is: those of Airflow are here."""
    from penstock.dialects.airflow.vocabulary import vocabulary

    return vocabulary().get(module, {}).get(name, module).partition(":")[0]


# As options of penstock's own.


class Asked:
    """The policy of a task as what penstock asks with an exception: whether to repeat, or after which wait."""

    def __init__(self, policy: RetryPolicy, retries: int, reference: Imported | None) -> None:
        self.policy = policy
        self.retries = retries
        #: how a worker gets at it
        self.reference = reference
        self.__name__ = self.__qualname__ = type(policy).__name__
        self.__module__ = type(policy).__module__

    def __call__(self, error: BaseException) -> bool | timedelta:
        decision = self.policy.evaluate(
            exception=error, try_number=recorded.attempt().attempt, max_tries=self.retries, context=None
        )
        if decision.reason:
            _log.info("retry policy: %s: %s", decision.action.value, decision.reason)
        if decision.action is RetryAction.FAIL:
            return False
        wait = decision.retry_delay if decision.action is RetryAction.RETRY else None
        return True if wait is None else wait


def policy_options(task: BaseOperator) -> Mapping[str, Any]:
    """The options that the policy of a task amounts to. Raises DefinitionError for what is none, and NotCoveredError for one
    that reads the context."""
    policy = task.retry_policy
    if policy is None:
        return {}
    if not isinstance(policy, RetryPolicy):
        raise DefinitionError(
            f"the retry_policy of {task.task_id!r} must be a RetryPolicy, not {policy!r}", where=str(task.location)
        )
    found: dict[str, Any] = {"retry_if": asked(task)}
    if task.execution_timeout is not None and _fails_when_late(policy):
        found["never_retry_on"] = TaskTimeoutError
    return found


def asked(task: BaseOperator) -> Callable[[BaseException], bool | timedelta]:
    """What is asked with the exception of a task."""
    policy = cast("RetryPolicy", task.retry_policy)
    _check(task, policy)
    return Asked(policy, int(task.retries or 0), _reference(task))


def _reference(task: BaseOperator) -> Imported | None:
    import sys

    dag = task.dag
    module = None if dag is None else sys.modules.get(dag.module)
    if dag is None or module is None:
        return None
    file = getattr(module, "__file__", None)
    return Imported(dag.module, f"{dag.dag_id}/{task.task_id}#{RETRIES}", file, "airflow")


def _fails_when_late(policy: RetryPolicy) -> bool:
    """Whether a task that takes longer than it may has failed for good, as far as that is known before it does."""
    if not isinstance(policy, ExceptionRetryPolicy):
        return False
    return policy.evaluate(AirflowTaskTimeout(), 1, 1).action is RetryAction.FAIL


def not_asked(task: BaseOperator) -> str:
    """Why a policy is not asked in some case; empty where it always is."""
    policy = task.retry_policy
    if not isinstance(policy, RetryPolicy) or task.execution_timeout is None or not task.retries:
        return ""
    if isinstance(policy, ExceptionRetryPolicy):
        said = policy.evaluate(AirflowTaskTimeout(), 1, 1)
        if said.action is RetryAction.FAIL or said.retry_delay is None:
            return ""
    return "when the task takes longer than it may, its retries decide, after its retry_delay"


def _check(task: BaseOperator, policy: RetryPolicy) -> None:
    from penstock.dialects.airflow.inputs import uses

    function = type(policy).evaluate
    if not isinstance(policy, ExceptionRetryPolicy) and uses(function, "context"):
        raise NotCoveredError(
            f"the retry_policy of {task.task_id!r}, a {type(policy).__name__}, reads the context of the task, which is not "
            "covered by penstock's reader of Apache Airflow",
            where=str(task.location),
            remedy="Let it decide by the exception and the number of the try.",
        )


__all__ = [
    "RETRIES",
    "Asked",
    "ExceptionRetryPolicy",
    "RetryAction",
    "RetryDecision",
    "RetryPolicy",
    "RetryRule",
    "asked",
    "not_asked",
    "policy_options",
]
