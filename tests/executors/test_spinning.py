"""How long somebody asks before sleeping, and when no more."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from penstock.executors.workers.spinning import SPIN, AdaptiveSpin


class Time:
    """A clock on which each question takes a hundredth of what may be asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0

    def __call__(self) -> float:
        return self.now

    def answering(self, after: float) -> Callable[[], str]:
        """A question that is answered so many questions later."""
        self.asked = 0

        def question() -> str:
            self.now += SPIN / 100
            self.asked += 1
            return "here" if self.asked > after else ""

        return question


NEVER = float("inf")


def asked(time: Time, spin: AdaptiveSpin, after: float) -> bool:
    """Whether anybody asked at all."""
    spin.ask(time.answering(after))
    return time.asked > 0


def test_what_comes_soon_is_found_without_sleeping():
    time = Time()
    spin = AdaptiveSpin(time)
    assert [spin.ask(time.answering(after)) for after in (0, 50, 99)] == ["here"] * 3


def test_what_takes_longer_is_not_asked_for_any_longer():
    time = Time()
    assert AdaptiveSpin(time).ask(time.answering(NEVER)) is None
    assert SPIN <= time.now <= SPIN * 1.02


def test_who_asks_in_vain_asks_ever_more_seldom():
    time = Time()
    spin = AdaptiveSpin(time)
    places = [place for place in range(1000) if asked(time, spin, NEVER)]
    pauses = [later - earlier - 1 for earlier, later in pairwise(places)]
    assert pauses[:9] == [1, 3, 7, 15, 31, 63, 127, 127, 127]


def test_an_answer_makes_up_for_all_that_was_in_vain():
    time = Time()
    spin = AdaptiveSpin(time)
    for _ in range(300):
        asked(time, spin, NEVER)
    while spin.ask(time.answering(10)) is None:
        pass
    assert all(asked(time, spin, 10) for _ in range(20))
