"""When what is to be looked at again."""

from __future__ import annotations

import heapq


class Alarms:
    """Moments by name; one for each name, the latest that was set. Moments are seconds since the epoch, as the wall clock
    shows them when it is looked at: an alarm does not depend on how that got there."""

    def __init__(self) -> None:
        self._moments: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def set(self, name: str, moment: float | None) -> None:
        """Set the alarm of a name; None for no alarm."""
        if moment is None:
            self._moments.pop(name, None)
        elif self._moments.get(name) != moment:
            self._moments[name] = moment
            heapq.heappush(self._heap, (moment, name))

    def next(self) -> float | None:
        """The first of the moments."""
        while self._heap and self._moments.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float, limit: int) -> list[str]:
        """Names whose moment has come, the first ones first; they have no alarm any more."""
        found: list[str] = []
        while len(found) < limit and (moment := self.next()) is not None and moment <= now:
            _, name = heapq.heappop(self._heap)
            del self._moments[name]
            found.append(name)
        return found


__all__ = ["Alarms"]
