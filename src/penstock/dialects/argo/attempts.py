"""How often Argo runs a template, how long, and how soon again."""

from __future__ import annotations

import builtins
import importlib.util
import math
import sys
from collections.abc import Iterable
from typing import Any

from penstock.dialects.code.formatting import Imports
from penstock.dialects.portable.backoff import backoff_of
from penstock.model.graph import Node
from penstock.model.policy import Policy, Retries

#: how a script ends after a failure that is not to be repeated, and where what it waits for is not there yet
FINAL, NOT_YET = 64, 75


def duration(seconds: float) -> str:
    """A length of time, as Argo reads it."""
    return f"{seconds:g}s" if seconds == int(seconds) else f"{math.ceil(seconds * 1000)}ms"


def attempts(node: Node, *, picky: bool) -> dict[str, Any]:
    """The fields of a template about its attempts. `picky`: the script says of a failure whether it is repeated."""
    policy = node.policy
    found: dict[str, Any] = {}
    if asks_again(node):
        found["retryStrategy"] = _asking(node)
    elif policy.retries.count:
        strategy: dict[str, Any] = {"limit": str(policy.retries.count), "retryPolicy": "Always"}
        if picky:
            strategy["expression"] = f"asInt(lastRetry.exitCode) != {FINAL}"
        if backoff := _backoff(policy.retries):
            strategy["backoff"] = backoff
        found["retryStrategy"] = strategy
    if policy.timeouts.attempt is not None:
        # a text, since it may be an expression in other files: Argo's schema knows no number here
        found["activeDeadlineSeconds"] = str(math.ceil(policy.timeouts.attempt))
    if policy.timeouts.total is not None:
        found["timeout"] = duration(policy.timeouts.total)
    return found


def asks_again(node: Node) -> bool:
    """Whether a node that waits can be started anew each time, so that nothing is held meanwhile."""
    wait = node.wait
    return (
        wait is not None
        and wait.factor == int(wait.factor)
        and wait.on_timeout == "fail"
        and node.fallback is None
        and not node.policy.retries.count
    )


def _asking(node: Node) -> dict[str, Any]:
    wait = node.wait
    assert wait is not None
    backoff = {"duration": duration(wait.poll)}
    if wait.factor != 1.0:
        backoff |= {"factor": f"{wait.factor:g}", "cap": duration(wait.longest)}
    if wait.timeout is not None:
        backoff["maxDuration"] = duration(wait.timeout)
    return {
        "retryPolicy": "OnFailure",
        "expression": f"asInt(lastRetry.exitCode) == {NOT_YET}",
        "backoff": backoff,
    }


def _backoff(retries: Retries) -> dict[str, str]:
    waits = backoff_of(retries, whole=True)
    if not waits.first and waits.exact:
        return {}
    found = {"duration": duration(waits.first)}
    if waits.factor > 1:
        found["factor"] = f"{waits.factor:g}"
    if waits.longest is not None:
        found["cap"] = duration(waits.longest)
    return found


# Which failures are repeated.


def exceptions(names: Iterable[str], imports: Imports | None = None) -> list[str] | None:
    """Exceptions as a script calls them, imported where that is needed; None where one is not to be had there."""
    found: list[str] = []
    for name in names:
        module, _, own = name.rpartition(".")
        if module == "builtins" and hasattr(builtins, own):
            found.append(own)
        elif _is_installed(module):
            found.append(own if imports is None else imports.name(module, own))
        else:
            return None
    return found


def _is_installed(module: str) -> bool:
    """Whether a module is one of Python's own, or of a package."""
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names and root != "__main__":
        return sys.modules.get(module) is not None or importlib.util.find_spec(module) is not None
    known = sys.modules.get(module)
    return known is not None and "site-packages" in str(getattr(known, "__file__", ""))


def is_picky(policy: Policy) -> bool:
    """Whether a script can tell the failures that are repeated from the others."""
    retries = policy.retries
    if not retries.count or not (retries.on or retries.never):
        return False
    return exceptions((*retries.on, *retries.never)) is not None


def picking(lines: Iterable[str], policy: Policy, imports: Imports) -> list[str]:
    """Lines that end with an exit code of their own where their failure is not to be repeated."""
    traceback = imports.module("traceback")
    ending = [f"    {traceback}.print_exc()", f"    raise SystemExit({FINAL}) from None"]
    found = ["try:", *(f"    {line}" for line in lines)]
    never = exceptions(policy.retries.never, imports)
    if never:
        found += [f"except {_listed(never)}:", *ending]
    on = exceptions(policy.retries.on, imports)
    if on:
        found += [f"except {_listed(on)}:", "    raise", "except Exception:", *ending]
    return found


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def lost(node: Node, *, picky: bool) -> list[str]:
    """What of the attempts Argo does not do in the same way."""
    retries, timeouts = node.policy.retries, node.policy.timeouts
    found: list[str] = []
    if retries.count:
        if (retries.on or retries.never) and not picky:
            found.append("every failure is repeated, whatever the exception")
        waits = backoff_of(retries, whole=True)
        if not waits.exact:
            found.append("the waits between attempts grow by a whole factor")
        if retries.jitter and waits.first:
            found.append("the waits between attempts are not changed by chance")
    if timeouts.attempt is not None and timeouts.attempt != int(timeouts.attempt):
        found.append("the time limit is rounded up to whole seconds")
    if timeouts.queue is not None:
        found.append("there is no limit for the time in the queue")
    if node.wait is not None and not asks_again(node):
        found.append("it holds its container while it waits")
    return found


__all__ = ["NOT_YET", "asks_again", "attempts", "duration", "is_picky", "lost", "picking"]
