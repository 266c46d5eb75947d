"""What has come in is recorded by one thread, all that waits in one transaction."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import NamedTuple

from penstock.errors import StoreError
from penstock.model.occurrence import Occurrence
from penstock.ports import Store
from penstock.server.refusals import Refusal

#: requests that may wait, and events that are recorded in one transaction, about
_WAITING, _TOGETHER = 1000, 5000


class Accepted(NamedTuple):
    """What became of the events of a request."""

    accepted: int
    duplicates: int


_Waiting = tuple[Sequence[Occurrence], "Future[Accepted]"]


class Recording:
    """Records events. `told` is called after some were recorded that are new."""

    def __init__(self, opened: Callable[[], AbstractContextManager[Store]], told: Callable[[], object]) -> None:
        self._opened = opened
        self._told = told
        self._waiting = queue.Queue[_Waiting | None](_WAITING)
        self._thread = threading.Thread(target=self._work, name="penstock-events", daemon=True)
        self._thread.start()

    def record(self, occurrences: Sequence[Occurrence]) -> Future[Accepted]:
        """Have events recorded; done when they are. Raises Refusal when too many wait; what goes wrong with the store comes
        out of the future."""
        future = Future[Accepted]()
        try:
            self._waiting.put_nowait((occurrences, future))
        except queue.Full:
            raise Refusal(503, "too many events wait to be recorded", "Send it again later.") from None
        return future

    def close(self) -> None:
        """Record what waits, and end."""
        self._waiting.put(None)
        self._thread.join(10)

    def _work(self) -> None:
        more = True
        while more:
            try:
                with self._opened() as store:
                    while more:
                        batch, more = self._batch()
                        _answer(store, batch)
                        if batch:
                            self._told()
            except StoreError:
                # those that waited are told; a new connection is made for the next
                continue

    def _batch(self) -> tuple[list[_Waiting], bool]:
        """All that waits, and at least one; whether there may be more."""
        batch: list[_Waiting] = []
        count = 0
        while not batch or (count < _TOGETHER and not self._waiting.empty()):
            each = self._waiting.get()
            if each is None:
                return batch, False
            batch.append(each)
            count += len(each[0])
        return batch, True


def _answer(store: Store, batch: Sequence[_Waiting]) -> None:
    """Record events, and say so to those who wait. Raises StoreError after it was said to them as well."""
    try:
        new = _recorded(store, [each for occurrences, _ in batch for each in occurrences])
    except BaseException as error:
        for _, future in batch:
            future.set_exception(error)
        raise
    for occurrences, future in batch:
        accepted = 0
        for each in occurrences:
            if (each.source, each.id) in new:
                # what comes twice at the same time counts once as well
                new.remove((each.source, each.id))
                accepted += 1
        future.set_result(Accepted(accepted, len(occurrences) - accepted))


def _recorded(store: Store, occurrences: Sequence[Occurrence]) -> set[tuple[str, str]]:
    """Record events; what tells those apart that were not known."""
    every = {(each.source, each.id) for each in occurrences}
    last = store.agenda.last_occurrence()
    if store.agenda.emit(occurrences) == len(every):
        return every
    found: set[tuple[str, str]] = set()
    while page := store.agenda.occurrences(last):
        found |= {(each.source, each.id) for _, each in page}
        last = page[-1][0]
    return found & every


__all__ = ["Accepted", "Recording"]
