"""What a run holds of the pools that all runs of a store share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress

from penstock.errors import StoreError
from penstock.model.run import item_id
from penstock.ports import Clock, Holder, PoolState, Store

#: how often what a run holds is renewed before it would lapse
_RENEWALS = 3


class Pools:
    """The part of one run in the pools of its store.

    What is held lapses `lapse` seconds after this process is gone. Until then it is renewed by a thread, because that
    of the run may be busy with a task of its own for long; the thread has a store to itself, from `reopen`. `close`
    gives everything back.
    """

    def __init__(
        self,
        run_id: str,
        store: Store,
        reopen: Callable[[], AbstractContextManager[Store]],
        clock: Clock,
        lapse: float = 30.0,
    ) -> None:
        self._run_id = run_id
        self._store = store
        self._reopen = reopen
        self._clock = clock
        self._lapse = lapse
        self._sizes: dict[str, int] = {}
        self._holders: set[tuple[str, int]] = set()
        self._renewer: threading.Thread | None = None
        self._closed = threading.Event()

    def size(self, sizes: Mapping[str, int]) -> None:
        """Give pools their sizes; those that this run has told already cost nothing."""
        if changed := {name: size for name, size in sizes.items() if self._sizes.get(name) != size}:
            self._store.size_pools(changed)
            self._sizes.update(changed)

    def hold(self, node: str, item: int, needs: Mapping[str, int]) -> bool:
        """Take parts of pools for an attempt, or (empty node) for the run as a whole; all or none. Whether there was
        enough."""
        if not self._store.hold(Holder(self._run_id, node, item), needs, self._clock.now() + self._lapse):
            return False
        self._holders.add((node, item))
        if self._renewer is None:
            self._renewer = threading.Thread(target=self._renew, name="penstock-pools", daemon=True)
            self._renewer.start()
        return True

    def release(self, node: str, item: int) -> None:
        """Give back what an attempt holds."""
        if (node, item) in self._holders:
            self._holders.remove((node, item))
            self._store.release(Holder(self._run_id, node, item))

    def close(self) -> None:
        """Give back everything. Closing twice does no harm."""
        if self._end_renewals():
            self._store.release(Holder(self._run_id))
        self._holders.clear()

    def abandon(self) -> None:
        """Renew nothing any longer, and give nothing back: it is held for another driver of the run."""
        self._end_renewals()

    def _end_renewals(self) -> bool:
        """Whether there were any."""
        self._closed.set()
        if self._renewer is None:
            return False
        self._renewer.join()
        self._renewer = None
        return True

    def taken(self, names: Iterable[str]) -> set[str]:
        """Those of the pools of which somebody holds something."""
        wanted = set(names)
        return {pool.name for pool in self._store.pools() if pool.name in wanted and pool.held}

    def told(self, needs: Mapping[str, int]) -> str:
        """Who holds the pools that have too little left, in words; empty where there is enough."""
        return "; ".join(
            f"pool {pool.name}: {_holding(pool, self._run_id)}"
            for pool in self._store.pools()
            if pool.name in needs and pool.held and sum(part for _, part in pool.held) + needs[pool.name] > pool.size
        )

    def _renew(self) -> None:
        while not self._closed.wait(self._lapse / _RENEWALS):
            # the store may be busy for a while; what is held lasts for longer than one renewal
            with suppress(StoreError), self._reopen() as store:
                store.renew(self._run_id, self._clock.now() + self._lapse)


def _holding(pool: PoolState, run_id: str) -> str:
    """`4 of 4 held by run X fit[3], fit[4] and 2 more`."""
    holders = [
        " ".join(
            part
            for part in (
                "" if holder.run_id == run_id else f"run {holder.run_id}",
                item_id(holder.node, holder.item) if holder.node else "",
            )
            if part
        )
        or "this run"
        for holder, _ in pool.held
    ]
    named = ", ".join(holders[:2]) + (f" and {len(holders) - 2} more" if len(holders) > 2 else "")
    return f"{sum(part for _, part in pool.held)} of {pool.size} held by {named}"
