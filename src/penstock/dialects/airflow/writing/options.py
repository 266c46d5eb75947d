"""Policies as the arguments of Airflow's operators, and what is different there."""

from __future__ import annotations

import re

from penstock.dialects.code.formatting import Imports, length, quoted
from penstock.model.graph import Node, Task
from penstock.model.policy import Policy

#: types that XCom holds as they are
_HELD = frozenset(
    {"int", "float", "str", "bool", "None", "list", "dict", "tuple", "set", "frozenset", "Any", "Literal", "Optional"}
    | {"Union", "Mapping", "Sequence", "Iterable", "datetime", "date", "timedelta", "object", "numpy", "pandas"}
    | {"DataFrame", "ndarray", "Decimal", "decimal", "NoneType"}
)


def operator_options(policy: Policy, base: Policy, imports: Imports) -> dict[str, str]:
    """The arguments that make one policy of another."""
    found: dict[str, str] = {}
    retries, usual = policy.retries, base.retries
    if retries.count != usual.count:
        found["retries"] = repr(retries.count)
    # without a word, Airflow waits for five minutes
    if (retries.delays != usual.delays or retries.count != usual.count) and retries.count:
        found["retry_delay"] = length(retries.delays[0] if retries.delays else 0.0, imports)
    if retries.factor != usual.factor:
        found["retry_exponential_backoff"] = repr(retries.factor > 1)
    if retries.cap is not None and retries.cap != usual.cap:
        found["max_retry_delay"] = length(retries.cap, imports)
    if policy.timeouts.attempt != base.timeouts.attempt:
        attempt = policy.timeouts.attempt
        found["execution_timeout"] = "None" if attempt is None else length(attempt, imports)
    if policy.resources.pools != base.resources.pools and policy.resources.pools:
        pool, amount = next(iter(policy.resources.pools.items()))
        found["pool"] = quoted(pool)
        if amount != 1:
            found["pool_slots"] = repr(amount)
    if policy.priority != base.priority:
        found["priority_weight"] = repr(policy.priority + 1)
    if policy.concurrency != base.concurrency and policy.concurrency is not None:
        found["max_active_tis_per_dag"] = repr(policy.concurrency)
    return found


def changes(node: Node, task: Task) -> list[str]:
    """What a node says that Airflow does not, or otherwise."""
    policy, found = node.policy, list[str]()
    retries = policy.retries
    if len(set(retries.delays)) > 1 or retries.jitter or retries.factor not in (1.0, 2.0):
        found.append("the waits before it is retried are different")
    if retries.on or retries.never:
        found.append("it is retried after any exception")
    for name, value in (("total", policy.timeouts.total), ("queue", policy.timeouts.queue)):
        if value is not None:
            found.append(f"there is no {name} timeout")
    resources = policy.resources
    if resources.cpu != 1 or resources.memory or resources.gpu:
        found.append("its cores, memory and devices are those of the worker")
    if len(resources.pools) > 1:
        found.append("it takes a part of one pool only")
    if policy.secrets:
        found.append("its secrets have to be in the environment of the worker")
    if policy.deadline is not None:
        found.append("there is no deadline")
    odd = [port.type for port in task.outputs if not _is_held(port.type)]
    if odd:
        found.append(f"it returns {', '.join(odd)}, which XCom holds only with a backend or a serializer for it")
    return found


def _is_held(text: str) -> bool:
    return all(word in _HELD or word[:1] in "'\"" or word.isdigit() for word in re.findall(r"[A-Za-z_]\w*", text))


__all__ = ["changes", "operator_options"]
