"""The daemon: looks at everything that could start a run, again and again, in small steps."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from penstock.daemon import asking, dispatching
from penstock.daemon.asking import Asking
from penstock.daemon.backfilling import Backfilling
from penstock.daemon.dispatching import Dispatching
from penstock.daemon.firings import Firings, new_run_id
from penstock.daemon.hearing import Hearing
from penstock.daemon.inquiries import Inquirer
from penstock.daemon.launcher import Launcher
from penstock.daemon.minding import Minding
from penstock.daemon.notices import Notice, Tell
from penstock.daemon.roster import Roster
from penstock.daemon.ticking import Ticking
from penstock.errors import SchemaError, StoreError
from penstock.ports import Clock, Store

#: seconds between two looks at what others may have changed
POLL = 1.0
#: seconds between two looks, at least: what is due in between is moved on together
_BREATH = 0.05
#: seconds after which a store that failed is tried again, at most
_PATIENCE = 30.0
#: seconds by which the wall clock has to go back for all alarms to be set anew
_BACK = 1.0


class Part(Protocol):
    """Something that a daemon does. It may be a part of another package's: the daemon gets them in a list."""

    def step(self, now: float) -> bool:
        """Do one thing, of one transaction at most, at a moment in seconds since the epoch. Whether there was anything to
        do: then it is asked again at once, and else within a second or so. May raise StoreError, after which `begin` is called."""
        ...

    def begin(self) -> None:
        """Forget what is not recorded: something went wrong, or the clock was set back."""
        ...


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a daemon goes about it."""

    #: runs of triggers that may be under way in the store before no more are started; None for any number
    max_runs: int | None = None
    #: seconds between two looks at what others may have changed
    poll: float = POLL


_DEFAULTS: Final = Settings()


class Daemon:
    """Looks at triggers, records what fires, and has it started. Any number of them may serve one store; see the package."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        launcher: Launcher,
        inquirer: Inquirer,
        tell: Tell,
        *,
        settings: Settings = _DEFAULTS,
        parts: Sequence[Part] = (),
        new_id: Callable[[float], str] = new_run_id,
    ) -> None:
        self._clock = clock
        self._inquirer = inquirer
        self._tell = tell
        self._settings = settings
        self.roster = roster = Roster(store.agenda)
        firings = Firings(tell, new_id)
        self._ticking = Ticking(roster, firings, tell)
        self._asking = Asking(store.agenda, roster, firings, inquirer, clock, tell, launcher.name)
        self._hearing = Hearing(store.agenda, roster, firings, tell, self._asking.wake)
        self._dispatching = Dispatching(store, roster, launcher, inquirer, clock, tell, settings.max_runs)
        minding = Minding(store, self._dispatching, launcher, clock, tell)
        backfilling = Backfilling(store.agenda, clock, tell)
        # backfills come first: of one that is to pause for a failure, no more is started
        self._parts: tuple[Part, ...] = (*parts, backfilling, self._dispatching, minding)
        self._looked_at = 0.0
        #: whether everything has been looked at, and nothing that was asked is open
        self.settled = False
        #: what went wrong with the store the last time; None if nothing did
        self.trouble: StoreError | None = None

    @property
    def next_tick(self) -> float | None:
        """When a schedule is due next, in seconds since the epoch."""
        return self._ticking.next_at

    @property
    def next_at(self) -> float | None:
        """When something is to be looked at next, in seconds since the epoch."""
        moments = [self._ticking.next_at, self._asking.next_at, self._hearing.next_at]
        return min((each for each in moments if each is not None), default=None)

    def look(self) -> None:
        """Read what is registered, without doing anything about it."""
        if self.roster.refresh():
            self._watch_anew(self._clock.now())

    def give_back(self) -> None:
        """Let somebody else ask at once what is asked here; to be called when no answer is waited for any more."""
        with suppress(StoreError):
            self._asking.give_back()

    def turns(self) -> Generator[float]:
        """Do one thing after the other, without end. Each yields how many seconds nothing need be done then, unless an
        answer comes in; between two of them there is one transaction at most."""
        trouble = 0
        while True:
            try:
                yield from self._turn()
            except SchemaError:
                raise
            except StoreError as error:
                self.trouble = error
                trouble += 1
                if trouble == 1:
                    self._tell(Notice(at=self._clock.now(), what="trouble", text=f"the store: {error}"))
                self._begin_anew()
                yield min(_PATIENCE, self._settings.poll * 2 ** min(trouble, 10))
            else:
                if trouble:
                    self._tell(Notice(at=self._clock.now(), what="serving", text="the store can be reached again"))
                self.trouble, trouble = None, 0
                yield self._patience()

    def _turn(self) -> Generator[float]:
        """Look at everything once, and do all that there is to do."""
        now = self._clock.now()
        if self.roster.refresh() or now < self._looked_at - _BACK:
            self._watch_anew(now)
        self._looked_at = now
        for answer in self._inquirer.answers():
            for prefix, part in ((asking.PREFIX, self._asking), (dispatching.PREFIX, self._dispatching)):
                if answer.id.startswith(prefix):
                    part.take(answer)
        did = False
        for part in (self._ticking, self._asking, self._hearing, *self._parts):
            while part.step(self._clock.now()):
                did = True
                yield 0.0
        self.settled = not (did or self._asking.busy or self._dispatching.busy)

    def _watch_anew(self, now: float) -> None:
        names = [watched.name for watched in self.roster]
        for part in (self._ticking, self._asking, self._hearing):
            part.begin(names, now)
        for name, problem in self.roster.unreadable.items():
            text = f"{name} cannot be read: {problem}"
            self._tell(Notice(at=now, what="trouble", text=text, trigger=name))

    def _begin_anew(self) -> None:
        """Go by what is recorded alone: nobody knows what of the last step is."""
        self.roster.forget()
        for part in self._parts:
            part.begin()

    def _patience(self) -> float:
        """Seconds until something may be due."""
        if not self.settled and self._inquirer.room() <= 0:
            return self._settings.poll
        moment = self.next_at
        if moment is None:
            return self._settings.poll
        return min(self._settings.poll, max(_BREATH, moment - self._clock.now()))


__all__ = ["POLL", "Daemon", "Part", "Settings"]
