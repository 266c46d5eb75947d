"""What is to be started, and why: definitions by name, triggers and where they stand, firings, events, backfills."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from penstock.model.firing import Advance, Backfill, BackfillState, Firing, FiringState, Standing
from penstock.model.occurrence import Occurrence
from penstock.model.registration import Definition, Kind


class Registered(NamedTuple):
    """What became of a definition that was registered."""

    definition: Definition
    #: the version before, if this one is new and there was one
    before: Definition | None
    #: whether this version is new
    new: bool


class Progress(NamedTuple):
    """How many runs of a backfill, or of a trigger, are where."""

    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0


class Agenda(Protocol):
    """What is to be started. Safe for several processes at once. All methods raise StoreError."""

    # What is known by name.

    def register(self, definitions: Sequence[Definition], *, origins: Iterable[str] = ()) -> list[Registered]:
        """Make definitions known, all of them in one transaction. One whose digest is that of the version that is known
        only gets its target, document and origin brought up to date. What was registered from one of `origins` before and
        is not among them now is retired. The triggers among them get a standing if they have none."""
        ...

    def definitions(self, kind: Kind | None = None, *, retired: bool = False) -> list[Definition]:
        """The latest version of each, by kind and name."""
        ...

    def definition(self, kind: Kind, name: str, version: int | None = None) -> Definition:
        """One version (None: the latest). Raises NotFoundError, naming near ones."""
        ...

    def versions(self, kind: Kind, name: str) -> list[Definition]:
        """All versions, newest first."""
        ...

    def generation(self) -> int:
        """Changes whenever something is registered, or a trigger is switched off or on."""
        ...

    # Triggers.

    def standings(self, triggers: Iterable[str] | None = None) -> list[Standing]:
        """Where triggers stand, by name (None: all)."""
        ...

    def switch(self, trigger: str, *, enabled: bool) -> Standing:
        """Switch a trigger off or on, which is a change of its standing. Raises NotFoundError."""
        ...

    def advance(self, advances: Sequence[Advance]) -> list[bool]:
        """Move standings on, and add their firings, in one transaction; whether each was recorded. One whose standing was
        changed by somebody else meanwhile (its `revision`) is not, nor are its firings. A firing whose trigger and key are
        known is left out, and the rest recorded. A standing that does not exist yet has the revision 0."""
        ...

    # Firings.

    def firing(self, run_id: str) -> Firing:
        """Raises NotFoundError."""
        ...

    def firings(
        self, *, trigger: str | None = None, states: Iterable[FiringState] = (), limit: int | None = 100
    ) -> list[Firing]:
        """The latest first; with the state `queued` alone, in the order in which they are to be started: by priority, then
        by age."""
        ...

    def known_keys(self, trigger: str, keys: Iterable[str]) -> set[str]:
        """Those of some keys for which a trigger has a firing."""
        ...

    def queue(self, now: float, *, without: Iterable[str] = (), limit: int = 100) -> list[Firing]:
        """Firings that are queued and due by a time, in the order in which they are to be started (by priority, then by age),
        apart from those of some triggers."""
        ...

    def claim(self, run_id: str, starter: str, at: float, instead_of: str = "", *, at_most: int | None = None) -> bool:
        """Take a firing that is queued in order to start it, with `at_most` only if fewer than so many others of its trigger
        are under way; or with `instead_of`, one that this other process had taken and that has no run. Whether nobody else
        had it."""
        ...

    def settle(self, run_id: str, state: FiringState, reason: str = "") -> bool:
        """Say what became of a firing that has no run: queued again, skipped, failed, cancelled. Whether it had none. From then
        on no run is recorded for one that is not queued (`Store.create` raises StoreError)."""
        ...

    def note(self, run_id: str, reason: str) -> None:
        """Say why a firing that is queued waits."""
        ...

    def under_way(self, triggers: Iterable[str] | None = None) -> dict[str, list[str]]:
        """Trigger -> ids of the runs of its firings that are started, and have not ended, oldest first; with those that are
        yet to be made, and those that are paused."""
        ...

    def startless(self) -> list[Firing]:
        """Firings that are started, and of which there is no run."""
        ...

    def progress(self, trigger: str) -> Progress:
        """How many of its firings are where; those of runs that were removed still count."""
        ...

    def unmade(self, trigger: str, first: str, last: str) -> list[tuple[Firing, str]]:
        """The firings of a trigger with the ids of their runs from one up to another and with it (as texts) that have not led
        to a run that succeeded, in the order of the ids; each with the state of its run, empty where there is none yet."""
        ...

    def forget_firings(self, before: float, triggers: Iterable[str], *, dry: bool = False) -> int:
        """Drop firings of some triggers that were made before a time, and of which nothing is to come any more. Returns how
        many; with `dry`, would be. Only for triggers that never come to one of their keys again: timetables and events, which they have gone past,
        and backfills that have ended; a sensor may name an old key at any time."""
        ...

    # Events.

    def emit(self, occurrences: Sequence[Occurrence]) -> int:
        """Record what happened; how many of them were not known before."""
        ...

    def occurrences(
        self, after: int = 0, limit: int = 1000, *, type: str | None = None
    ) -> list[tuple[int, Occurrence]]:
        """Events with their sequence numbers, in order, those with a number greater than `after`. No event appears later with
        a number smaller than one that was seen."""
        ...

    def last_occurrence(self) -> int:
        """The number of the latest event; 0 if there was none."""
        ...

    def forget_occurrences(self, before: float, *, up_to: int | None = None, dry: bool = False) -> int:
        """Drop events that happened before a time, with numbers up to the one that all triggers have got to (None: any), but
        for the latest of all. Returns how many; with `dry`, would be."""
        ...

    # Backfills.

    def begin_backfill(self, backfill: Backfill, firings: Iterable[Firing]) -> None:
        """Record a backfill with all its firings, in one transaction."""
        ...

    def backfill(self, name: str) -> Backfill:
        """The one with an id, an unambiguous start of one, or `latest`. Raises NotFoundError."""
        ...

    def backfills(self, *, states: Iterable[BackfillState] = (), limit: int = 20) -> list[Backfill]:
        """The latest first."""
        ...

    def move_backfill(self, backfill_id: str, state: BackfillState, at: float) -> Backfill:
        """Pause, resume, cancel or finish a backfill; what is queued of one that is cancelled is cancelled as well. Raises
        NotFoundError, and StoreError for one that has ended."""
        ...
