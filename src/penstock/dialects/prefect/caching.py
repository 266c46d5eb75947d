"""Prefect's cache policies and key functions, as options of penstock's cache.

Here the code of a task always counts, and so a task without a policy is cached by its inputs and its code, over runs.
`NO_CACHE`, and `persist_result=False`, keep it out of the cache.
"""

from __future__ import annotations

import hashlib
import types
import uuid
from collections.abc import Callable, Mapping
from typing import Any, cast

from penstock.authoring.source import caller
from penstock.errors import DefinitionError

#: what policies count
_INPUTS, _SOURCE, _RUN, _PARAMETERS = "inputs", "task source", "run id", "flow parameters"


class CachePolicy:
    """What the key of a result is made of. `one + other` counts both, `policy - "name"` leaves out an input.

    A class of the user's own has `compute_key(task_ctx, inputs, flow_parameters)`.
    """

    parts: frozenset[str] = frozenset()
    excluded: tuple[str, ...] = ()
    functions: tuple[Callable[..., Any], ...] = ()
    never = False

    @classmethod
    def from_cache_key_fn(cls, cache_key_fn: Callable[..., Any]) -> CachePolicy:
        return CacheKeyFnPolicy(cache_key_fn)

    def configure(self, **_: Any) -> CachePolicy:
        """Where keys and results are kept is penstock's own affair."""
        return self

    def __add__(self, other: CachePolicy) -> CachePolicy:
        if not isinstance(other, CachePolicy):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented
        if self.never or other.never:
            return other if self.never else self
        return _policy(
            self.parts | other.parts,
            (*self.excluded, *other.excluded),
            (*self._functions(), *other._functions()),
        )

    def __sub__(self, name: str) -> CachePolicy:
        if _INPUTS not in self.parts:
            raise DefinitionError(f"{name!r} is taken from a cache policy without inputs", where=str(caller()))
        return _policy(self.parts, (*self.excluded, name), self.functions)

    def _functions(self) -> tuple[Callable[..., Any], ...]:
        own = getattr(self, "compute_key", None)
        return self.functions if own is None else (*self.functions, _computed(own))


def _computed(compute: Callable[..., Any]) -> Callable[..., Any]:
    def key(context: Any, inputs: dict[str, Any]) -> Any:
        return compute(task_ctx=context, inputs=inputs, flow_parameters=context.flow_parameters)

    return key


def _policy(
    parts: frozenset[str], excluded: tuple[str, ...] = (), functions: tuple[Callable[..., Any], ...] = ()
) -> CachePolicy:
    made = CachePolicy()
    made.parts, made.excluded, made.functions = parts, excluded, functions
    return made


class CacheKeyFnPolicy(CachePolicy):
    """A function of the context and the inputs makes the key."""

    def __init__(self, cache_key_fn: Callable[..., Any]) -> None:
        self.functions = (cache_key_fn,)


class _Never(CachePolicy):
    never = True


INPUTS = Inputs = _policy(frozenset({_INPUTS}))
TASK_SOURCE = _policy(frozenset({_SOURCE}))
RUN_ID = _policy(frozenset({_RUN}))
FLOW_PARAMETERS = _policy(frozenset({_PARAMETERS}))
DEFAULT = INPUTS + TASK_SOURCE + RUN_ID
NO_CACHE = NONE = _Never()


def task_input_hash(context: Any, arguments: dict[str, Any]) -> str:
    """Prefect's key of a task's code and inputs: what penstock's own cache goes by."""
    raise DefinitionError("task_input_hash is for cache_key_fn= only", where=str(caller()))


class Cached:
    """What the cache options of a task amount to."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        policy = options.get("cache_policy")
        function = options.get("cache_key_fn")
        if isinstance(policy, type) and issubclass(policy, CachePolicy):
            policy = policy()
        if function is not None and function is not task_input_hash:
            policy = CacheKeyFnPolicy(function)
        self.policy: CachePolicy | None = None if function is task_input_hash else cast("CachePolicy | None", policy)
        self.never = options.get("persist_result") is False or (self.policy is not None and self.policy.never)
        self._options = options

    @property
    def remark(self) -> str:
        """What is different of it here; empty for nothing."""
        policy = self.policy
        if policy is None or self.never or policy.functions:
            return ""
        if _RUN in policy.parts and policy.parts != DEFAULT.parts:
            return "results are not kept for one run alone; the task is not cached"
        if _SOURCE not in policy.parts:
            return "the code of a task always counts besides"
        return ""

    @property
    def by_parameters(self) -> bool:
        """Whether the parameters of the flow count."""
        return self.policy is not None and _PARAMETERS in self.policy.parts

    def given(self) -> dict[str, Any]:
        """The same as options of a penstock task."""
        policy = self.policy
        alone = policy is not None and _RUN in policy.parts and policy.parts != DEFAULT.parts
        if self.never or alone:
            return {"cache": False}
        found: dict[str, Any] = {}
        if self._options.get("cache_expiration") is not None:
            found["cache_for"] = self._options["cache_expiration"]
        if self._options.get("refresh_cache"):
            found["refresh"] = True
        if policy is not None and (policy._functions() or _INPUTS not in policy.parts):  # pyright: ignore[reportPrivateUsage]
            found["cache_key"] = _Key(policy)
        elif policy is not None and policy.excluded:
            found["cache_ignore"] = policy.excluded
        return found


class _Key:
    """A policy as a key function: of all inputs, by their names."""

    def __init__(self, policy: CachePolicy) -> None:
        self._policy = policy
        self.__name__ = "cache_key_fn"

    def __call__(self, **inputs: Any) -> Any:
        policy = self._policy
        context = types.SimpleNamespace(parameters=inputs, flow_parameters={}, task=None, task_run=None)
        found = [function(context, dict(inputs)) for function in policy._functions()]  # pyright: ignore[reportPrivateUsage]
        if any(each is None for each in found):
            # no key is no caching
            return uuid.uuid4().hex
        counted = {name: value for name, value in inputs.items() if name not in policy.excluded}
        return [*found, counted] if _INPUTS in policy.parts else [*found, "the same"]


def parameters_version(parameters: Mapping[str, Any]) -> str:
    """A text for the parameters of a flow, which counts as a part of a task's code."""
    text = "\n".join(f"{name}={parameters[name]!r}" for name in sorted(parameters))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


__all__ = [
    "DEFAULT",
    "FLOW_PARAMETERS",
    "INPUTS",
    "NONE",
    "NO_CACHE",
    "RUN_ID",
    "TASK_SOURCE",
    "CacheKeyFnPolicy",
    "CachePolicy",
    "Cached",
    "Inputs",
    "parameters_version",
    "task_input_hash",
]
