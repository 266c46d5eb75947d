"""The engine broken on purpose, in many ways: some simulation finds each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import msgspec
import pytest

from penstock.errors import LeaseLostError, StoreError
from penstock.kernel import retrying, transitions
from penstock.kernel.state import RunProgress
from penstock.model.event import Woke
from penstock.model.instruction import Delay, Ready
from penstock.model.work import Done, Erred
from penstock.ports import Result
from penstock.runtime import driver as driving
from penstock.runtime.driver import Driver
from penstock.runtime.driving.attempts import Attempts
from penstock.runtime.driving.claims import Claims
from penstock.runtime.driving.inbox import Inbox
from penstock.runtime.driving.ledger import Ledger
from penstock.runtime.driving.lookups import Lookups
from penstock.runtime.driving.recording import Recorder
from penstock.runtime.surroundings.leases import Fate, Watch
from penstock.testing.simulation import simulate
from penstock.testing.simulation.__main__ import main

#: simulations within which each is found
ENOUGH = 400


class Breaking:
    """Puts something else in the place of parts of the engine."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def wrap(self, owner: type | ModuleType, name: str, around: Callable[..., Any]) -> None:
        """`around` is called with what was there, and with what that was called with."""
        was = getattr(owner, name)
        self._patch.setattr(owner, name, lambda *arguments, **named: around(was, *arguments, **named))


def writes_without_a_token(breaking: Breaking) -> None:
    def around(was: Any, *arguments: Any) -> Any:
        turn = was(*arguments)
        return turn and msgspec.structs.replace(turn, token=None)

    breaking.wrap(Recorder, "turn", around)


def forgets_what_was_under_way(breaking: Breaking) -> None:
    breaking.wrap(RunProgress, "running", lambda was, self: iter(()))


def forgets_what_was_queued(breaking: Breaking) -> None:
    breaking.wrap(driving, "outstanding", lambda was, run: [each for each in was(run) if not isinstance(each, Ready)])


def forgets_the_last_turn(breaking: Breaking) -> None:
    breaking.wrap(driving, "replay", lambda was, run, ledger, journal: was(run, ledger, journal[:-1]))


def records_hits_twice(breaking: Breaking) -> None:
    def around(was: Any, self: Any, progress: Any, item: int, key: bytes, outputs: Any, turn: Recorder) -> Any:
        was(self, progress, item, key, outputs, turn)
        return was(self, progress, item, key, outputs, turn)

    breaking.wrap(Lookups, "_hit", around)


def repeats_at_once(breaking: Breaking) -> None:
    breaking.wrap(transitions, "repeat_of", lambda was, *arguments: was(*arguments) and retrying.Repeat(0.0))


def forgets_delays_of_earlier_drivers(breaking: Breaking) -> None:
    def around(was: Any, self: Any, instruction: Any) -> Any:
        found = was(self, instruction)
        return msgspec.structs.replace(found, seconds=0.0) if isinstance(found, Delay) else found

    breaking.wrap(Driver, "_remaining", around)


def repeats_more_often(breaking: Breaking) -> None:
    def around(was: Any, progress: Any, item: int, attempt: int, fault: Any) -> Any:
        return was(progress, item, attempt, fault) or (attempt < 9 and retrying.Repeat(0.0)) or None

    breaking.wrap(transitions, "repeat_of", around)


def counts_losses_as_failures(breaking: Breaking) -> None:
    breaking.wrap(retrying, "_excused", lambda was, *arguments: 0)


def accepts_reports_twice(breaking: Breaking) -> None:
    def around(was: Any, self: Any, report: Any, turn: Recorder) -> Any:
        key = report.work, report.item
        attempt = self._under_way.get(key)
        found = was(self, report, turn)
        if attempt is not None and isinstance(report, (Done, Erred)):
            self._under_way[key] = attempt
            self._by_cell[attempt.progress.id, attempt.item] = attempt
        return found

    breaking.wrap(Attempts, "take", around)


def starts_before_it_records(breaking: Breaking) -> None:
    def around(was: Any, self: Any, reports: Any) -> None:
        self._attempts.carry_out()
        was(self, reports)

    breaking.wrap(Driver, "_commit", around)


def caches_failures(breaking: Breaking) -> None:
    def around(was: Any, self: Any, attempt: Any, report: Any, given_up: Any, turn: Recorder) -> Any:
        if isinstance(report, Erred) and attempt.prepared.fingerprint is not None:
            turn.results[attempt.prepared.fingerprint] = Result(attempt.progress.id, attempt.item, report.attempt, ())
        return was(self, attempt, report, given_up, turn)

    breaking.wrap(Attempts, "_ended", around)


def never_gives_claims_back(breaking: Breaking) -> None:
    breaking.wrap(Claims, "looked", lambda was, self: ([], []))


def lets_the_last_answer_count(breaking: Breaking) -> None:
    breaking.wrap(Inbox, "poll", lambda was, self, **named: was(self, **named)[::-1])


def doubles_what_was_yielded(breaking: Breaking) -> None:
    def around(was: Any, self: Ledger, event: Any, at: float) -> None:
        self.yields.setdefault(event.node, []).extend([event.output, event.output])

    breaking.wrap(Ledger, "_yielded", around)


def commits_again_after_an_error(breaking: Breaking) -> None:
    def around(was: Any, self: Any, *arguments: Any) -> None:
        try:
            was(self, *arguments)
        except LeaseLostError:
            raise
        except StoreError:
            self._turns += 1
            was(self, *arguments)

    breaking.wrap(Driver, "_record", around)


def keeps_events_to_itself(breaking: Breaking) -> None:
    def around(was: Any, *arguments: Any) -> Any:
        turn = was(*arguments)
        events: Iterable[Any] = () if turn is None else turn.events
        return turn and msgspec.structs.replace(turn, events=[each for each in events if not isinstance(each, Woke)])

    breaking.wrap(Recorder, "turn", around)


def never_finds_a_driver_gone(breaking: Breaking) -> None:
    breaking.wrap(Watch, "fate", lambda was, self, run: Fate.UNKNOWN)


BREAKAGES = [
    writes_without_a_token,
    forgets_what_was_under_way,
    forgets_what_was_queued,
    forgets_the_last_turn,
    records_hits_twice,
    repeats_at_once,
    forgets_delays_of_earlier_drivers,
    repeats_more_often,
    counts_losses_as_failures,
    accepts_reports_twice,
    starts_before_it_records,
    caches_failures,
    never_gives_claims_back,
    lets_the_last_answer_count,
    doubles_what_was_yielded,
    commits_again_after_an_error,
    keeps_events_to_itself,
    never_finds_a_driver_gone,
]


@pytest.mark.slow
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_engine_is_found_out(breakage: Callable[[Breaking], None], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        breakage(Breaking(patch))
        found = next((seed for seed in range(ENOUGH) if simulate(seed).failure), None)
    assert found is not None
    assert not simulate(found).failure, "it fails without that as well"


def test_a_failure_is_told_with_what_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    starts_before_it_records(Breaking(monkeypatch))
    first = next(seed for seed in range(ENOUGH) if simulate(seed).failure)
    assert main(["--seed", str(first), "--shrink"]) == 1
    told = capsys.readouterr().out
    assert "* an attempt is made that the journal does not justify" in told
    assert "with no faults, and 1 steps of the pipeline at most" in told
    assert f"--seed {first} --trace" in told
    assert main(["--seeds", "3", "--start", str(first), "--jobs", "1"]) == 1
    assert f"seed {first} failed: an attempt is made" in capsys.readouterr().out
