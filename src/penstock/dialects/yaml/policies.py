"""How a stage is to be run, in the words of the file: `timeout: 1h`, `retries: {count: 3, delay: 10s}`."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from penstock.authoring.options.caching import check
from penstock.authoring.options.policy import policy_of, read_options
from penstock.dialects.yaml.inputs import Find
from penstock.dialects.yaml.literals import read_literal
from penstock.dialects.yaml.source import Fields, Part
from penstock.dialects.yaml.structs import read_length, read_struct, write_length, write_struct
from penstock.errors import DefinitionError
from penstock.model.policy import Policy

#: key of a mapping -> the option of a task that it is
RETRIES = {
    "count": "retries",
    "delay": "retry_delay",
    "backoff": "backoff",
    "cap": "retry_cap",
    "jitter": "retry_jitter",
    "on": "retry_on",
    "never": "never_retry_on",
    "lost": "lost_retries",
}
TIMEOUTS = {"attempt": "timeout", "total": "total_timeout", "queue": "queue_timeout"}
RESOURCES = {name: name for name in ("cpu", "memory", "memory_cap", "gpu", "pools", "strict")}
CACHING = {
    "enabled": "cache",
    "for": "cache_for",
    "version": "version",
    "ignore": "cache_ignore",
    "reads": "reads",
    "refresh": "refresh",
    "key": "cache_key",
}
#: what a mapping is for -> its keys, and what stands for the whole where it is no mapping
GROUPS: dict[str, tuple[dict[str, str], str]] = {
    "retries": (RETRIES, "count"),
    "timeout": (TIMEOUTS, "attempt"),
    "resources": (RESOURCES, ""),
    "cache": (CACHING, "enabled"),
}
SINGLE = ("effects", "secrets", "allow_secrets", "priority", "concurrency", "deadline", "tags", "retry_if")
HOOKS = tuple(f"on_{event}" for event in ("start", "success", "failure", "retry", "skip", "cancel", "deadline"))
#: keys of a stage that say how it is run
KEYS = (*GROUPS, *SINGLE, *HOOKS, "threads", "policy")

_LENGTHS = frozenset({"timeout", "total_timeout", "queue_timeout", "retry_cap", "deadline", "cache_for"})
_FUNCTIONS = frozenset({"retry_if", "cache_key", *HOOKS})
_EXCEPTIONS = frozenset({"retry_on", "never_retry_on"})


class Options:
    """The options of stages in a file."""

    def __init__(self, find: Find, reads: Callable[[Part], Any]) -> None:
        self._find = find
        self._reads = reads

    def of(self, fields: Fields, base: Mapping[str, Any]) -> dict[str, Any]:
        """The options that a stage gives, as `read_options` has them, over those that its function has already. What is wrong
        is noted."""
        found = dict(base)
        for key, (names, whole) in GROUPS.items():
            if key in fields:
                self._group(fields[key], names, whole, found)
        for key in (*SINGLE, *HOOKS, "threads"):
            if key in fields:
                self._one(key, fields[key], found)
        return found

    def _group(self, part: Part, names: Mapping[str, str], whole: str, found: dict[str, Any]) -> None:
        if not part.is_mapping:
            if not whole:
                part.wrong(f"a mapping with {', '.join(names)}")
            else:
                self._one(names[whole], part, found)
            return
        for name, value in part.fields(names, part.called).items():
            self._one(names[name], value, found)

    def _one(self, option: str, part: Part, found: dict[str, Any]) -> None:
        if option in _EXCEPTIONS:
            found[option] = tuple(map(_exception, part.texts()))
            return
        value = self._value(option, part)
        if value is _WRONG:
            return
        try:
            found.update(read_options({option: value}))
        except DefinitionError as error:
            part.refuse(f"{error.what}".replace(f"{option} must", f"{part.called} must"), error.remedy or "")

    def _value(self, option: str, part: Part) -> Any:
        if option in _LENGTHS:
            length = read_length(part)
            return length if length is not None or part.is_null else _WRONG
        if option == "retry_delay":
            listed = [read_length(each) for each in (part.items() if part.is_list else [part])]
            return [each for each in listed if each is not None] or _WRONG
        if option in _FUNCTIONS:
            if part.is_null:
                return None
            listed = [self._find_function(each) for each in (part.items() if part.is_list else [part])]
            functions = [each for each in listed if each is not None]
            return _WRONG if not functions else functions[0] if option in ("retry_if", "cache_key") else functions
        if option == "reads":
            return self._reads(part)
        value = read_literal(part, self._find)
        return [value] if option in ("tags", "cache_ignore") and isinstance(value, str) else value

    def _find_function(self, part: Part) -> Any:
        try:
            return self._find(part.written)
        except Exception as error:
            part.refuse(str(error), getattr(error, "remedy", ""))
            return None


class _Wrong:
    pass


_WRONG = _Wrong()


def _exception(name: str) -> str:
    known = getattr(builtins, name, None)
    return (
        f"builtins.{name}" if isinstance(known, type) and issubclass(known, BaseException) else name.replace(":", ".")
    )


def policy_from(part: Part, options: Mapping[str, Any], *, asynchronous: bool) -> Policy:
    """The policy that options amount to. What contradicts itself is noted."""
    given = dict(options)
    exceptions = {name: given.pop(name) for name in _EXCEPTIONS if name in given}
    try:
        check(given)
        policy = policy_of(given, asynchronous=asynchronous)
    except DefinitionError as error:
        part.refuse(error.what, error.remedy or "")
        return Policy()
    if exceptions:
        retries = msgspec.structs.replace(
            policy.retries,
            on=exceptions.get("retry_on", policy.retries.on),
            never=exceptions.get("never_retry_on", policy.retries.never),
        )
        policy = msgspec.structs.replace(policy, retries=retries)
    return policy


def read_policy(part: Part, find: Find) -> Policy | None:
    """A policy by the names of the model. What is wrong is noted."""
    return read_struct(Policy, part, find)


# Writing.


def write_policy(policy: Policy, base: Policy, read: Callable[[Mapping[str, Any]], Policy | None]) -> dict[str, Any]:
    """The keys of a stage that amount to a policy over the one that its function has already; `read` says to what keys amount.
    `policy` itself where no others would do."""
    if policy == base:
        return {}
    known = _plain(base)
    keys = {name: value for name, value in _plain(policy).items() if name not in known or known[name] != value}
    return keys if read(keys) == policy else {"policy": write_struct(policy)}


def _plain(policy: Policy) -> dict[str, Any]:
    """The keys for what is not as by default."""
    found: dict[str, Any] = {}
    retries = write_struct(policy.retries)
    if "delays" in retries:
        delays = [write_length(each) for each in policy.retries.delays]
        retries["delays"] = delays[0] if len(delays) == 1 else delays
    if "cap" in retries:
        retries["cap"] = write_length(policy.retries.cap)
    for field in ("on", "never"):
        if field in retries:
            retries[field] = [name.removeprefix("builtins.") for name in retries[field]]
    names = {"delays": "delay", "factor": "backoff"}
    retries = {names.get(name, name): value for name, value in retries.items()}
    found["retries"] = retries["count"] if list(retries) == ["count"] else retries
    timeouts = {name: write_length(value) for name, value in write_struct(policy.timeouts).items()}
    found["timeout"] = timeouts["attempt"] if list(timeouts) == ["attempt"] else timeouts
    resources = write_struct(policy.resources)
    for name in ("memory", "memory_cap"):
        if name in resources:
            resources[name] = _size(resources[name])
    if type(resources.get("cpu")) is float and resources["cpu"].is_integer():
        resources["cpu"] = int(resources["cpu"])
    found["resources"] = resources
    found.update(_caching(policy))
    for name, value in write_struct(policy).items():
        if name in ("concurrency", "priority", "secrets", "allow_secrets", "tags"):
            found[name] = value
    if policy.deadline is not None:
        found["deadline"] = write_length(policy.deadline)
    if policy.run_in == "thread":
        found["threads"] = True
    return {name: value for name, value in found.items() if value not in ({}, [], None)}


def _caching(policy: Policy) -> dict[str, Any]:
    caching = write_struct(policy.caching)
    # said by the function: see `Entries`
    caching.pop("keyed", None)
    if caching.pop("effects", False):
        return {"effects": True}
    names = {"lifetime": "for", "ignored": "ignore"}
    told = {names.get(name, name): value for name, value in caching.items()}
    if "for" in told:
        told["for"] = write_length(cast(float, told["for"]))
    if not policy.cache:
        return {"cache": {"enabled": False, **told} if told else False}
    return {"cache": told} if told else {}


def _size(count: int) -> Any:
    for power, unit in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if count and count % 1024**power == 0:
            return f"{count // 1024**power}{unit}"
    return count


__all__ = ["CACHING", "GROUPS", "HOOKS", "KEYS", "Options", "policy_from", "read_policy", "write_policy"]
