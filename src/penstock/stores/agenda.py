"""What is to be started, in a relational database: see `penstock.ports.agenda.Agenda`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from penstock.errors import NotFoundError
from penstock.model.firing import Advance, Backfill, BackfillState, Firing, FiringState, Standing
from penstock.model.occurrence import Occurrence
from penstock.model.registration import Definition, Kind
from penstock.ports.agenda import Progress, Registered
from penstock.stores import backfills, firings, registry, standings
from penstock.stores import occurrences as log
from penstock.stores.database import Access, Connection
from penstock.stores.firings import row_of
from penstock.stores.rows import plain

_DEFINITIONS = f"SELECT {registry.COLUMNS} FROM definitions"

T = TypeVar("T")


class RelationalAgenda:
    """The agenda of a store; lives as long as the store does."""

    def __init__(self, access: Access) -> None:
        self._access = access

    # What is known by name.

    def register(self, definitions: Sequence[Definition], *, origins: Iterable[str] = ()) -> list[Registered]:
        """Make definitions known; see `Agenda.register`."""
        of_origins = list(origins)
        return self._written(lambda connection: registry.register(connection, definitions, of_origins))

    def definitions(self, kind: Kind | None = None, *, retired: bool = False) -> list[Definition]:
        """The latest version of each, by kind and name."""
        which = "" if retired else " AND NOT retired"
        if kind is None:
            return self._definitions(f"WHERE latest{which} ORDER BY kind, name")
        return self._definitions(f"WHERE latest AND kind = ?{which} ORDER BY name", kind)

    def definition(self, kind: Kind, name: str, version: int | None = None) -> Definition:
        """One version (None: the latest). Raises NotFoundError, naming near ones."""
        one, values = ("latest", ()) if version is None else ("version = ?", (version,))
        for found in self._definitions(f"WHERE kind = ? AND name = ? AND {one}", kind, plain(name), *values):
            return found
        known = [each.name for each in self.definitions(kind, retired=True)]
        raise registry.not_found(kind, name, version, known, self._access.place)

    def versions(self, kind: Kind, name: str) -> list[Definition]:
        """All versions, newest first."""
        return self._definitions("WHERE kind = ? AND name = ? ORDER BY version DESC", kind, plain(name))

    def generation(self) -> int:
        """Changes whenever something is registered, or a trigger is switched off or on."""
        return self._read(registry.generation)

    def _definitions(self, rest: str, *values: str | int) -> list[Definition]:
        found = self._access.rows(f"{_DEFINITIONS} {rest}", *values)
        with self._access.reported("read"):
            return [registry.definition_of(row) for row in found]

    # Triggers.

    def standings(self, triggers: Iterable[str] | None = None) -> list[Standing]:
        """Where triggers stand, by name (None: all)."""
        return self._read(lambda connection: standings.found(connection, triggers))

    def switch(self, trigger: str, *, enabled: bool) -> Standing:
        """Switch a trigger off or on. Raises NotFoundError."""

        def switch(connection: Connection) -> list[Standing]:
            standings.switch(connection, trigger, enabled=enabled)
            return standings.found(connection, [trigger])

        for standing in self._written(switch):
            return standing
        known = [each.trigger for each in self.standings()]
        raise registry.not_found("trigger", trigger, None, known, self._access.place)

    def advance(self, advances: Sequence[Advance]) -> list[bool]:
        """Move standings on, and add their firings; see `Agenda.advance`."""
        return self._written(lambda connection: standings.advance(connection, advances))

    # Firings.

    def firing(self, run_id: str) -> Firing:
        """Raises NotFoundError."""
        found = self._read(lambda connection: firings.of_run(connection, run_id))
        if found is None:
            raise NotFoundError(f"there is no firing with the run {run_id} in {self._access.place}")
        return found

    def firings(
        self, *, trigger: str | None = None, states: Iterable[FiringState] = (), limit: int | None = 100
    ) -> list[Firing]:
        """The latest first; with the state `queued` alone, in the order in which they are to be started: by priority, then
        by age."""
        asked = list(states)
        return self._read(lambda connection: firings.listed(connection, trigger, asked, limit))

    def known_keys(self, trigger: str, keys: Iterable[str]) -> set[str]:
        """Those of some keys for which a trigger has a firing."""
        wanted = list(keys)
        return self._read(lambda connection: firings.known_keys(connection, trigger, wanted))

    def queue(self, now: float, *, without: Iterable[str] = (), limit: int = 100) -> list[Firing]:
        """Firings that are queued and due by a time; see `Agenda.queue`."""
        others = list(without)
        return self._read(lambda connection: firings.queue(connection, now, others, limit))

    def claim(self, run_id: str, starter: str, at: float, instead_of: str = "", *, at_most: int | None = None) -> bool:
        """Take a firing in order to start it; see `Agenda.claim`."""
        return self._written(lambda connection: firings.claim(connection, run_id, starter, at, instead_of, at_most))

    def settle(self, run_id: str, state: FiringState, reason: str = "") -> bool:
        """Say what became of a firing that has no run: queued again, skipped, failed, cancelled. Whether it had none."""
        return self._written(lambda connection: firings.settle(connection, run_id, state, reason))

    def note(self, run_id: str, reason: str) -> None:
        """Say why a firing that is queued waits."""
        self._written(lambda connection: firings.note(connection, run_id, reason))

    def under_way(self, triggers: Iterable[str] | None = None) -> dict[str, list[str]]:
        """Trigger -> ids of runs of its firings that are started, and have not ended, oldest first."""
        names = None if triggers is None else list(triggers)
        return self._read(lambda connection: firings.under_way(connection, names))

    def startless(self) -> list[Firing]:
        """Firings that are started, and of which there is no run."""
        return self._read(firings.startless)

    def progress(self, trigger: str) -> Progress:
        """How many of its firings are where."""
        return self._read(lambda connection: firings.progress(connection, trigger))

    def unmade(self, trigger: str, first: str, last: str) -> list[tuple[Firing, str]]:
        """Firings of a trigger that have not led to a run that succeeded; see `Agenda.unmade`."""
        return self._read(lambda connection: firings.unmade(connection, trigger, first, last))

    def forget_firings(self, before: float, triggers: Iterable[str], *, dry: bool = False) -> int:
        """Drop firings of triggers; see `Agenda.forget_firings`."""
        names = list(triggers)
        return self._written(lambda connection: firings.forget(connection, before, names, dry=dry))

    # Events.

    def emit(self, occurrences: Sequence[Occurrence]) -> int:
        """Record what happened; how many of them were not known before."""
        if not occurrences:
            return 0

        def emit(connection: Connection) -> int:
            self._access.hold_order()
            last = log.last(connection)
            log.add(connection, occurrences, time.time())
            return log.count_after(connection, last)

        return self._written(emit)

    def occurrences(
        self, after: int = 0, limit: int = 1000, *, type: str | None = None
    ) -> list[tuple[int, Occurrence]]:
        """Events with their sequence numbers, in order, those with a number greater than `after`. No event appears later with
        a number smaller than one that was seen."""
        return self._read(lambda connection: log.after(connection, after, limit, type))

    def last_occurrence(self) -> int:
        """The number of the latest event; 0 if there was none."""
        return self._read(log.last)

    def forget_occurrences(self, before: float, *, up_to: int | None = None, dry: bool = False) -> int:
        """Drop events that happened before a time; see `Agenda.forget_occurrences`."""
        number = self.last_occurrence() if up_to is None else up_to
        return self._written(lambda connection: log.forget(connection, before, number, dry=dry))

    # Backfills.

    def begin_backfill(self, backfill: Backfill, firings: Iterable[Firing]) -> None:
        """Record a backfill with all its firings, in one transaction."""
        # made before anybody has to wait for it
        queued = [row_of(each) for each in firings]
        self._written(lambda connection: backfills.begin(connection, backfill, queued))

    def backfill(self, name: str) -> Backfill:
        """The one with an id, an unambiguous start of one, or `latest`. Raises NotFoundError."""
        return self._read(lambda connection: backfills.named(connection, name, self._access.place))

    def backfills(self, *, states: Iterable[BackfillState] = (), limit: int = 20) -> list[Backfill]:
        """The latest first."""
        asked = list(states)
        return self._read(lambda connection: backfills.latest(connection, asked, limit))

    def move_backfill(self, backfill_id: str, state: BackfillState, at: float) -> Backfill:
        """Pause, resume, cancel or finish a backfill; see `Agenda.move_backfill`."""
        return self._written(lambda connection: backfills.move(connection, backfill_id, state, at))

    # How it is read and written.

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._access.reported("read"):
            return work(self._access.connection)

    def _written(self, work: Callable[[Connection], T]) -> T:
        return self._access.write(lambda: work(self._access.connection))


__all__ = ["RelationalAgenda"]
