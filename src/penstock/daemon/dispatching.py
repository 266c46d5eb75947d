"""From the queue to processes: firings are started in their order, as far as the limits let them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

from penstock.daemon.inquiries import Answer, Inquirer, Inquiry
from penstock.daemon.launcher import Ended, Launcher
from penstock.daemon.limits import Limited, Verdict
from penstock.daemon.notices import Notice, Tell, What, tell_printed
from penstock.daemon.roster import Roster
from penstock.errors import NotFoundError
from penstock.model.firing import Firing, FiringState
from penstock.model.request import CancelAsked
from penstock.model.run import RunState
from penstock.model.schedule import Timetable
from penstock.ports import Clock, Store

#: what the ids of its questions begin with
PREFIX: Final = "condition "
#: how many times a firing is started before it has failed
TRIES: Final = 3
#: seconds before a firing is started again, for each time that it was
_AGAIN = 2.0
#: firings that are read at once
_PAGE = 100
#: triggers that are gone through at most while no more runs may be started
_MOST = 1000
#: seconds that a condition may take
_TIMEOUT = 60.0
#: seconds until a condition that failed is asked again, at most; they double
_LONGEST = 600.0


class Dispatching:
    """Takes firings that are queued, and has processes make their runs."""

    def __init__(
        self,
        store: Store,
        roster: Roster,
        launcher: Launcher,
        inquirer: Inquirer,
        clock: Clock,
        tell: Tell,
        max_runs: int | None,
    ) -> None:
        self._store = store
        self._agenda = store.agenda
        self._roster = roster
        self._launcher = launcher
        self._inquirer = inquirer
        self._clock = clock
        self._tell = tell
        self._max_runs = max_runs
        #: those that are not to be started before a moment of the monotonic clock
        self._held: dict[str, float] = {}
        #: what was answered about firings whose condition was asked; None while it is open
        self._answers: dict[str, Answer | None] = {}
        #: how many times a condition could not be asked
        self._failures: dict[str, int] = {}
        #: trigger -> how often in a row its condition failed, until when it is not asked again by the monotonic clock, and why
        self._quiet: dict[str, tuple[int, float, str]] = {}
        #: whether it was told that no more runs are started for now
        self._told_full = False
        self._ended: list[Ended] = []
        self._pass: Iterator[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether there are open questions, or firings that are tried again soon."""
        return bool(self._held) or None in self._answers.values()

    def take(self, answer: Answer) -> None:
        """Take an answer in."""
        run_id = answer.id.removeprefix(PREFIX)
        if run_id in self._answers:
            self._answers[run_id] = answer

    def step(self, now: float) -> bool:
        """Go on to the next transaction. Whether there was anything to do."""
        self._ended += self._launcher.ended()
        if self._ended:
            self._buried(self._ended[0], now)
            del self._ended[0]
            return True
        if self._pass is None:
            self._pass = self._go_through(now)
        going = next(self._pass, StopIteration) is None
        if not going:
            self._pass = None
        return going

    def begin(self) -> None:
        """Forget where it was; something went wrong there."""
        self._pass = None

    # The queue.

    def _go_through(self, now: float) -> Iterator[None]:
        """Go through what is queued and due; every stop is one transaction."""
        moment = self._clock.monotonic()
        self._held = {run_id: until for run_id, until in self._held.items() if until > moment}
        limited = Limited(self._store, self._roster)
        #: triggers of which nothing more is started for now
        blocked = limited.paused()
        full = False
        while True:
            queued = self._agenda.queue(now, without=blocked, limit=_PAGE)
            if not queued:
                self._told_full &= full
                return
            limited.look(queued)
            newest = {firing.trigger: firing for firing in queued}
            #: triggers of which some have to wait for others
            waiting = set[str]()
            for firing in queued:
                if firing.trigger in blocked:
                    continue
                verdict = limited.verdict(firing, newest[firing.trigger])
                if verdict.action == "start":
                    full = full or self._is_full()
                    if full:
                        # others may still be skipped, or make room for themselves
                        blocked.add(firing.trigger)
                        yield from self._no_room(firing, now)
                        continue
                    verdict = self._asked(firing)
                if verdict.action == "wait" and self._is_outdated(firing, newest[firing.trigger]):
                    verdict = Verdict("skip", "a newer tick is due")
                if verdict.action == "later":
                    waiting.add(firing.trigger)
                if (yield from self._follow(verdict, firing, limited, now)):
                    blocked.add(firing.trigger)
            # nobody looks behind a whole page of these
            blocked |= waiting
            if full and (len(blocked) >= _MOST or not limited.drops):
                # nothing would come of looking at the rest
                return

    def _is_full(self) -> bool:
        """Whether as many runs are under way as may be."""
        if self._max_runs is None:
            return False
        running = sum(run.cause is not None for run in self._store.runs(state=RunState.RUNNING, limit=1_000_000))
        return running + len(self._agenda.startless()) >= self._max_runs

    def _no_room(self, firing: Firing, now: float) -> Iterator[None]:
        """Say that a firing waits for others to end."""
        reason = f"{self._max_runs} runs of triggers are under way (--max-runs {self._max_runs})"
        if not self._told_full:
            self._told_full = True
            self._say("waiting", f"{firing.trigger} and all others wait: {reason}", firing, now)
        if firing.reason != reason:
            self._agenda.note(firing.run_id, reason)
            yield

    def _is_outdated(self, firing: Firing, newest: Firing) -> bool:
        """Whether a firing that has to wait is a tick in the place of which a newer one that waits as well is to be seen to,
        since the trigger makes up for the latest at most. One about which there is an open question is not."""
        watched = self._roster.get(firing.trigger)
        if watched is None or newest.run_id == firing.run_id or not isinstance(watched.trigger.source, Timetable):
            return False
        if watched.trigger.limits.missed == "all" or firing.run_id in self._answers:
            return False
        at, later = firing.cause.logical_time, newest.cause.logical_time
        return at is not None and later is not None and at < later

    def _asked(self, firing: Firing) -> Verdict:
        """What comes of a firing that the limits let start: its condition is asked, if it has one."""
        if firing.run_id in self._held:
            return Verdict("wait", firing.reason)
        watched = self._roster.get(firing.trigger)
        if watched is None or not watched.trigger.condition:
            return Verdict("start")
        if firing.run_id not in self._answers:
            _, until, reason = self._quiet.get(firing.trigger, (0, 0.0, ""))
            if until > self._clock.monotonic():
                return Verdict("wait", reason)
            if self._inquirer.room() > 0:
                self._answers[firing.run_id] = None
                inquiry = Inquiry(
                    id=f"{PREFIX}{firing.run_id}",
                    kind="condition",
                    target=watched.target,
                    function=watched.trigger.condition,
                    cause=firing.cause,
                    timeout=_TIMEOUT,
                )
                self._inquirer.ask(inquiry)
            return Verdict("wait", f"its condition {watched.trigger.condition} is asked")
        answer = self._answers[firing.run_id]
        if answer is None:
            return Verdict("wait", f"its condition {watched.trigger.condition} is asked")
        del self._answers[firing.run_id]
        tell_printed(self._tell, firing.trigger, answer.printed, self._clock.now())
        return self._judged(firing, watched.trigger.condition, answer)

    def _judged(self, firing: Firing, condition: str, answer: Answer) -> Verdict:
        if not answer.error:
            self._failures.pop(firing.run_id, None)
            self._quiet.pop(firing.trigger, None)
            return Verdict("start") if answer.holds else Verdict("skip", answer.why or f"{condition} does not hold")
        failures = self._failures[firing.run_id] = self._failures.get(firing.run_id, 0) + 1
        reason = f"its condition {condition} failed: {answer.error}"
        times = self._quiet.get(firing.trigger, (0, 0.0, ""))[0] + 1
        pause = min(_AGAIN * 2 ** min(times - 1, 20), _LONGEST)
        self._quiet[firing.trigger] = times, self._clock.monotonic() + pause, reason
        if failures >= TRIES:
            del self._failures[firing.run_id]
            return Verdict("fail", reason)
        self._held[firing.run_id] = self._clock.monotonic() + pause
        return Verdict("wait", reason)

    def _follow(self, verdict: Verdict, firing: Firing, limited: Limited, now: float) -> Generator[None, None, bool]:
        """Do what was found right with a firing. Whether its trigger has to wait now."""
        match verdict.action:
            case "start":
                return not (yield from self._start(firing, limited, now))
            case "wait":
                if firing.reason != verdict.reason:
                    self._agenda.note(firing.run_id, verdict.reason)
                    self._say("waiting", f"{firing.trigger} waits for {firing.key}: {verdict.reason}", firing, now)
                    yield
            case "later":
                if firing.reason != verdict.reason:
                    self._agenda.note(firing.run_id, verdict.reason)
                    yield
            case "skip":
                self._failures.pop(firing.run_id, None)
                self._held.pop(firing.run_id, None)
                if self._agenda.settle(firing.run_id, FiringState.SKIPPED, verdict.reason):
                    self._say("skipped", f"{firing.trigger} skips {firing.key}: {verdict.reason}", firing, now)
                yield
            case "fail":
                if self._agenda.settle(firing.run_id, FiringState.FAILED, verdict.reason):
                    self._say("failed", f"{firing.trigger} failed for {firing.key}: {verdict.reason}", firing, now)
                yield
            case "cancel":
                for run_id in verdict.runs:
                    yield from self._cancel(run_id, firing, now)
        return verdict.action in ("wait", "cancel")

    def _start(self, firing: Firing, limited: Limited, now: float) -> Generator[None, None, bool]:
        """Take a firing and start it. Whether it was there to be taken."""
        at_most = limited.at_most(firing)
        taken = self._agenda.claim(firing.run_id, self._launcher.name, now, at_most=at_most)
        yield
        if not taken:
            return False
        if not limited.still_follows(firing):
            # another one was started, and has ended, since the limits were looked at
            self._agenda.settle(firing.run_id, FiringState.QUEUED, "another run of it was quicker")
            yield
            return False
        limited.started(firing)
        yield from self._launched(firing, now)
        return True

    def _launched(self, firing: Firing, now: float) -> Iterator[None]:
        try:
            self._launcher.fire(firing.run_id)
        except OSError as error:
            self._not_started(firing.run_id, f"no process can be started: {error.strerror or error}", now)
            yield
        else:
            self._say("started", f"{firing.trigger} starts run {firing.run_id} for {firing.key}", firing, now)

    def _cancel(self, run_id: str, firing: Firing, now: float) -> Iterator[None]:
        """Have a run end, so that another one can take its place."""
        reason = f"{firing.trigger} fired again for {firing.key}"
        try:
            run = self._store.find(run_id)
        except NotFoundError:
            # nobody knows of it yet
            return
        if run.state not in (RunState.RUNNING, RunState.PAUSED):
            return
        if not any(isinstance(request, CancelAsked) for _, request in self._store.requests(run_id)):
            self._store.ask(run_id, CancelAsked(reason, "penstock up", now))
            self._say("cancelled", f"run {run_id} is asked to end: {reason}", firing, now, run_id)
            yield
        if run.state is RunState.PAUSED and not self._launcher.drives(run_id):
            self._launcher.resume(run)

    # Processes that have ended, and those of others.

    def _buried(self, ended: Ended, now: float) -> None:
        """See what came of a process that has ended."""
        try:
            self._store.find(ended.run_id)
        except NotFoundError:
            last = ended.said.strip() or f"its process ended with exit code {ended.code}"
            self._not_started(ended.run_id, last, now)

    def _not_started(self, run_id: str, reason: str, now: float) -> None:
        """Let a firing be tried again, of which no run came; or have it fail."""
        try:
            firing = self._agenda.firing(run_id)
        except NotFoundError:
            return
        if firing.state is FiringState.FAILED:
            # its process has said so itself
            self._say("failed", f"{firing.trigger} failed for {firing.key}: {firing.reason}", firing, now)
        if firing.state is not FiringState.STARTED or firing.starter != self._launcher.name:
            return
        failed = firing.tries >= TRIES
        state = FiringState.FAILED if failed else FiringState.QUEUED
        if not self._agenda.settle(run_id, state, reason):
            return
        if not failed:
            self._hold(run_id, firing.tries)
        then = "" if failed else "; it is tried again"
        self._say("failed", f"{firing.trigger} could not start a run for {firing.key}: {reason}{then}", firing, now)

    def take_over(self, firing: Firing, now: float) -> Iterator[None]:
        """Start a firing in the place of a process that is gone."""
        if firing.tries >= TRIES:
            reason = firing.reason or f"{TRIES} processes that were to start it have ended before they could"
            if self._agenda.settle(firing.run_id, FiringState.FAILED, reason):
                self._say("failed", f"{firing.trigger} failed for {firing.key}: {reason}", firing, now)
            yield
            return
        taken = self._agenda.claim(firing.run_id, self._launcher.name, now, firing.starter)
        yield
        if taken:
            yield from self._launched(firing, now)

    def _hold(self, run_id: str, times: int) -> None:
        self._held[run_id] = self._clock.monotonic() + _AGAIN * times

    def _say(self, what: What, text: str, firing: Firing, now: float, run_id: str = "") -> None:
        self._tell(Notice(at=now, what=what, text=text, trigger=firing.trigger, run_id=run_id or firing.run_id))


__all__ = ["PREFIX", "TRIES", "Dispatching"]
