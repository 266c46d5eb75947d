"""Firings: made with the id of their run and the parameters of it, and told of once they are recorded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from penstock.daemon.notices import Notice, Tell
from penstock.errors import PenstockError
from penstock.model.firing import Advance, Firing, FiringState
from penstock.model.trigger import Cause, Trigger
from penstock.triggers.templates import filled


def new_run_id(now: float) -> str:
    """The id of a run that nobody else has: when it was settled, and chance."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{os.urandom(4).hex()}"


class Firings:
    """Makes the firings of triggers."""

    def __init__(self, tell: Tell, new_id: Callable[[float], str] = new_run_id) -> None:
        self._tell = tell
        self._new_id = new_id

    def made(
        self,
        trigger: Trigger,
        key: str,
        cause: Cause,
        now: float,
        *,
        due: float = 0.0,
        parameters: Mapping[str, Any] = {},
        tags: Iterable[str] = (),
    ) -> Firing:
        """A firing of a trigger; `parameters` come before those that it says. One whose parameters cannot be told from its
        cause has failed already: it is recorded, so that it is seen."""
        state, reason = FiringState.QUEUED, ""
        settled: dict[str, Any] = {}
        try:
            settled = {**filled(trigger.parameters, cause), **parameters}
        except PenstockError as error:
            state, reason = FiringState.FAILED, str(error)
        return Firing(
            run_id=self._new_id(now),
            trigger=trigger.name,
            key=key,
            pipeline=trigger.pipeline,
            assets=trigger.assets,
            parameters=settled,
            cause=cause,
            priority=trigger.priority,
            tags=tuple(dict.fromkeys((*trigger.tags, *tags))),
            created_at=now,
            due=due,
            state=state,
            reason=reason,
        )

    def begun(self, draft: Firing, now: float) -> Firing:
        """A firing that was made ahead of its time, now that it is due."""
        return msgspec.structs.replace(draft, run_id=self._new_id(now), created_at=now)

    def told(self, recorded: Iterable[Advance], now: float) -> None:
        """Tell people of firings that are recorded."""
        for advance in recorded:
            for firing in advance.firings:
                failed = firing.state is FiringState.FAILED
                text = f"{firing.trigger} fired for {firing.key}" + (f", and failed: {firing.reason}" if failed else "")
                what = "failed" if failed else "fired"
                self._tell(Notice(at=now, what=what, text=text, trigger=firing.trigger, run_id=firing.run_id))


__all__ = ["Firings", "new_run_id"]
