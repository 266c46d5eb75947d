"""Why a task has to run, although much of what it does was done before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from penstock.model.amounts import span
from penstock.model.policy import Policy
from penstock.model.run import NodeState
from penstock.runtime.explaining.account import Account
from penstock.runtime.explaining.difference import Difference
from penstock.runtime.explaining.earlier import History, Nearest
from penstock.runtime.explaining.wording import moment, named

Cause = Literal[
    "never_cached",
    "no_cache",
    "refreshed",
    "edited",
    "unhashable",
    "first",
    "differs",
    "failed_before",
    "expired",
    "gone",
    "again",
    "invalidated",
    "undone",
    "unfinished",
]


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a task has to run."""

    cause: Cause
    #: in a sentence
    text: str
    #: the earlier run that it is compared with
    run_id: str = ""
    #: in what it differs from that one, causes first
    differences: tuple[Difference, ...] = ()


def reason_to_run(
    account: Account,
    node: str,
    fingerprint: bytes | None,
    history: History,
    options: Mapping[str, Any],
    now: float,
) -> Reason:
    """Why the attempt at a node (by the id that its runs know it by) has to be made.

    Of the `options`, `cache` says whether the run takes anything from the cache, `refresh` whether the attempt is to be
    made whatever is there; `now` is when it is made, in seconds since the epoch.
    """
    policy = account.node.policy
    settled = _by_options(account, policy, fingerprint, options)
    if settled is not None:
        return settled
    nearest = history.nearest(account, node, fingerprint)
    if nearest is None:
        return Reason(cause="first", text=f"no earlier run of the pipeline has a result of {account.name}")
    if nearest.fingerprint == fingerprint:
        return _same(nearest, policy, now)
    run_id = nearest.run.run_id
    if nearest.differences:
        text = f"{named(nearest.differences)} changed since run {run_id}"
    else:
        text = f"something that is not recorded is not as it was in run {run_id}, such as what a cache_key returned"
    return Reason(cause="differs", text=text, run_id=run_id, differences=nearest.differences)


def _by_options(
    account: Account, policy: Policy, fingerprint: bytes | None, options: Mapping[str, Any]
) -> Reason | None:
    if account.node.wait is not None:
        return Reason(cause="never_cached", text="what it waits for is asked anew in every run")
    if policy.caching.effects:
        return Reason(
            cause="never_cached", text="it has side effects, and so is never taken from the cache (effects=True)"
        )
    if not policy.cache:
        return Reason(cause="never_cached", text="results of it are never taken from the cache (cache=False)")
    if not options.get("cache", True):
        return Reason(cause="no_cache", text="the run takes nothing from the cache (--no-cache)")
    if policy.caching.refresh:
        return Reason(cause="refreshed", text="it is made anew in every run (refresh=True)")
    if options.get("refresh"):
        return Reason(cause="refreshed", text="it was to be made anew (--refresh)")
    if account.code is not None and account.code.identity.edited:
        files = " and ".join(account.code.identity.edited)
        return Reason(cause="edited", text=f"{files} was edited after the process that began the run had loaded it")
    if account.code is not None and account.code.identity.altered:
        names = " and ".join(account.code.identity.altered)
        text = f"{names} was set from outside of its module in the process that began the run, which workers do not see"
        return Reason(cause="edited", text=text)
    if fingerprint is None:
        return Reason(cause="unhashable", text="an input cannot be hashed, so that no result can be found again")
    return None


def _same(nearest: Nearest, policy: Policy, now: float) -> Reason:
    """Nothing that counts differs, and yet there was no result to use."""
    run_id, lifetime = nearest.run.run_id, policy.caching.lifetime
    if nearest.state is NodeState.FAILED:
        return Reason(
            cause="failed_before",
            text=f"it failed in run {run_id}, and failed attempts are not cached",
            run_id=run_id,
        )
    if lifetime is not None and nearest.at is None:
        text = f"the result that run {run_id} took from the cache is older than {span(lifetime)} by now, or gone"
        return Reason(cause="expired", text=f"{text} (cache_for)", run_id=run_id)
    if lifetime is not None and nearest.at is not None and now - nearest.at >= lifetime:
        made = f"the result of {moment(nearest.at)} is older than {span(lifetime)}"
        return Reason(cause="expired", text=f"{made} (cache_for)", run_id=run_id)
    return Reason(cause="gone", text=f"the result that run {run_id} had is no longer there", run_id=run_id)


__all__ = ["Cause", "Reason", "reason_to_run"]
