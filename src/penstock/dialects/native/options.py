"""Policies as the options that say them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from penstock.dialects.code.formatting import Imports, literal, number, quoted
from penstock.model.action import Environment
from penstock.model.policy import Policy

#: option -> where in a policy it is; those that are written as they stand
_FIELDS: Mapping[str, tuple[str, str]] = {
    "retries": ("retries", "count"),
    "backoff": ("retries", "factor"),
    "retry_cap": ("retries", "cap"),
    "retry_jitter": ("retries", "jitter"),
    "lost_retries": ("retries", "lost"),
    "timeout": ("timeouts", "attempt"),
    "total_timeout": ("timeouts", "total"),
    "queue_timeout": ("timeouts", "queue"),
    "cpu": ("resources", "cpu"),
    "memory": ("resources", "memory"),
    "memory_cap": ("resources", "memory_cap"),
    "gpu": ("resources", "gpu"),
    "pools": ("resources", "pools"),
    "strict": ("resources", "strict"),
    "cache_for": ("caching", "lifetime"),
    "version": ("caching", "version"),
    "cache_ignore": ("caching", "ignored"),
    "reads": ("caching", "reads"),
    "refresh": ("caching", "refresh"),
}
_OWN = ("concurrency", "priority", "deadline", "tags", "secrets", "allow_secrets")
_UNITS = ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"), (10**9, "GB"), (10**6, "MB"))


def policy_options(policy: Policy, base: Policy, imports: Imports) -> dict[str, str]:
    """The options that make one policy of another, as texts. Raises Unwritable."""
    found: dict[str, str] = {}
    for option, (part, field) in _FIELDS.items():
        value = getattr(getattr(policy, part), field)
        if value != getattr(getattr(base, part), field):
            found[option] = _text(option, value, imports)
    for option in _OWN:
        value = getattr(policy, option)
        if value != getattr(base, option):
            found[option] = _text(option, value, imports)
    if policy.retries.delays != base.retries.delays:
        delays = policy.retries.delays
        found["retry_delay"] = number(delays[0]) if len(delays) == 1 else f"[{', '.join(map(number, delays))}]"
    for option, mine, theirs in (
        ("retry_on", policy.retries.on, base.retries.on),
        ("never_retry_on", policy.retries.never, base.retries.never),
    ):
        if mine != theirs:
            found[option] = exceptions(mine, imports)
    if policy.caching.effects != base.caching.effects:
        found["effects"] = repr(policy.caching.effects)
    elif policy.cache != base.cache:
        found["cache"] = repr(policy.cache)
    if (policy.run_in == "thread") != (base.run_in == "thread"):
        found["threads"] = repr(policy.run_in == "thread")
    return found


def exceptions(names: tuple[str, ...], imports: Imports) -> str:
    """Classes of exceptions by their names, imported."""
    found: list[str] = []
    for name in names:
        module, _, own = name.rpartition(".")
        found.append(own if module == "builtins" else imports.name(module, own))
    return found[0] if len(found) == 1 else f"({', '.join(found)})"


def _text(option: str, value: Any, imports: Imports) -> str:
    if option in ("memory", "memory_cap") and value:
        size, unit = next(((size, unit) for size, unit in _UNITS if value % size == 0), (0, ""))
        return quoted(f"{value // size}{unit}") if size else repr(value)
    if option == "pools":
        pools = list(value) if all(amount == 1 for amount in value.values()) else dict(value)
        return literal(pools, imports)
    if isinstance(value, float):
        return number(value)
    return literal(list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value, imports)


def environment_text(environment: Environment, imports: Imports) -> str:
    """An environment as the option `environment`."""
    if not environment.files and not environment.python:
        return literal(list(environment.requirements), imports)
    given = {
        "requirements": literal(environment.requirements, imports) if environment.requirements else "",
        "files": literal(environment.files, imports) if environment.files else "",
        "python": quoted(environment.python) if environment.python else "",
    }
    inside = ", ".join(f"{name}={text}" for name, text in given.items() if text)
    return f"{imports.name('penstock', 'Environment')}({inside})"


__all__ = ["environment_text", "exceptions", "policy_options"]
