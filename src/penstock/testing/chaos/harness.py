"""Many trials, some beside each other, and what came of them."""

from __future__ import annotations

import importlib
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from penstock.testing.chaos.story import UndisturbedStory, tell, undisturbed_story
from penstock.testing.chaos.trial import Outcome, Undisturbed, conduct, undisturbed
from penstock.testing.faults import points
from penstock.testing.faults.processes import forked

#: file in the folder of a trial with its outcome
_OUTCOME = "outcome.json"
#: of so many trials that follow one another, the last is a story
_ROUND = 4
_PAUSE = 0.01
#: what every command imports
_WARM = (
    "cloudpickle",
    "pyarrow",
    "penstock.app",
    "penstock.cli.commands",
    "penstock.cli.running",
    "penstock.cli.views",
    "penstock.executors.inline",
    "penstock.executors.processes",
    "penstock.runtime.driver",
    "penstock.stores.sqlite",
)


class _Compared(msgspec.Struct):
    """What the trials are compared with, by kind; those of a kind that none is of are not there."""

    plain: Undisturbed
    story: UndisturbedStory | None

    def aimed(self) -> set[str]:
        """The points that some kind of trial aims at."""
        everywhere = (*self.plain.reached.values(), self.plain.collecting)
        told = self.story.aims() if self.story is not None else []
        return {point for reached in everywhere for point in reached} | {point for _, point in told}

    def is_seldom(self, point: str) -> bool:
        """Whether plain trials do not aim at a point."""
        return point not in self.plain.collecting and not any(point in each for each in self.plain.reached.values())


class Summary(msgspec.Struct):
    """What came of all trials."""

    seed: int
    trials: int
    #: how many of them are stories
    stories: int
    #: all kills
    kills: int
    #: point, or whom a kill at some moment was for -> how many times
    by_kind: dict[str, int]
    #: points that no kind of trial aims at, because an undisturbed one does not reach them: has to be empty
    never: list[str]
    #: commands that it took in all
    commands: int
    #: attempts that ended
    attempts: int
    #: finished and recorded, and run again all the same
    rerun: int
    #: finished, and killed before that was recorded: these run again
    repeated: int
    #: killed in their midst
    broken_off: int
    #: numbers of the trials in which something is wrong -> what
    failed: dict[int, list[str]]
    seconds: float


def chaos(
    numbers: Sequence[int],
    seed: int,
    folder: Path,
    *,
    beside: int = 2,
    variables: Callable[[str], Mapping[str, str]] = lambda name: {},
    told: Callable[[Outcome], None] = lambda outcome: None,
) -> Summary:
    """Conduct trials, so many beside each other, each in a folder of its own, which stays if it fails. `variables` are for the
    environment of a trial, by its name. For a process with a single thread."""
    began = time.monotonic()
    _warm_up()
    compared = _reported(
        folder / "undisturbed",
        lambda at: _Compared(
            undisturbed(at, variables), undisturbed_story(at, variables) if any(map(_is_story, numbers)) else None
        ),
        _Compared,
    )
    outcomes: list[Outcome] = []
    waiting = list(reversed(numbers))
    under_way: dict[int, int] = {}
    while waiting or under_way:
        while waiting and len(under_way) < beside:
            number = waiting.pop()
            at = folder / f"trial-{number}"
            under_way[_begun(at, _conductor(number, seed, compared, variables(at.name)))] = number
        for pid in [pid for pid in under_way if os.waitpid(pid, os.WNOHANG)[0]]:
            outcome = _outcome(folder, under_way.pop(pid))
            outcomes.append(outcome)
            told(outcome)
        time.sleep(_PAUSE)
    shutil.rmtree(folder / "undisturbed", ignore_errors=True)
    never = sorted(set(points()) - compared.aimed())
    return _summary(seed, outcomes, never, time.monotonic() - began)


def _conductor(number: int, seed: int, compared: _Compared, variables: Mapping[str, str]) -> Callable[[Path], Outcome]:
    chance = random.Random(f"{seed}/{number}")

    def conducted(at: Path) -> Outcome:
        began = time.monotonic()
        round_, place = divmod(number, _ROUND)
        if compared.story is not None and _is_story(number):
            outcome = Outcome(number, kind="story")
            tell(outcome, round_, chance, at, compared.story, compared.is_seldom, variables)
        else:
            outcome = Outcome(number)
            conduct(outcome, round_ * (_ROUND - 1) + place, chance, at, compared.plain, variables)
        outcome.seconds = time.monotonic() - began
        return outcome

    return conducted


def _is_story(number: int) -> bool:
    return number % _ROUND == _ROUND - 1


def _warm_up() -> None:
    """Import here what every command would import again."""
    for name in _WARM:
        importlib.import_module(name)


def _begun(at: Path, work: Callable[[Path], msgspec.Struct]) -> int:
    """Have a process of its own work in a folder, and leave there what came of it. Returns its id."""
    shutil.rmtree(at, ignore_errors=True)
    at.mkdir(parents=True)

    def written() -> None:
        (at / _OUTCOME).write_bytes(msgspec.json.encode(work(at)))

    return forked(written)


def _reported(at: Path, work: Callable[[Path], _Compared], kind: type[_Compared]) -> _Compared:
    os.waitpid(_begun(at, work), 0)
    return msgspec.json.decode((at / _OUTCOME).read_bytes(), type=kind)


def _outcome(folder: Path, number: int) -> Outcome:
    at = folder / f"trial-{number}"
    try:
        outcome = msgspec.json.decode((at / _OUTCOME).read_bytes(), type=Outcome)
    except FileNotFoundError:
        return Outcome(number, problems=["the trial itself failed"])
    if not outcome.problems:
        shutil.rmtree(at, ignore_errors=True)
    return outcome


def _summary(seed: int, outcomes: Sequence[Outcome], never: list[str], seconds: float) -> Summary:
    by_kind = Counter(dict.fromkeys(points(), 0))
    by_kind.update(kind for outcome in outcomes for kind in outcome.kills)
    return Summary(
        seed=seed,
        trials=len(outcomes),
        stories=sum(outcome.kind == "story" for outcome in outcomes),
        kills=by_kind.total(),
        by_kind=dict(sorted(by_kind.items())),
        never=never,
        commands=sum(outcome.commands for outcome in outcomes),
        attempts=sum(outcome.attempts for outcome in outcomes),
        rerun=sum(outcome.rerun for outcome in outcomes),
        repeated=sum(outcome.repeated for outcome in outcomes),
        broken_off=sum(outcome.broken_off for outcome in outcomes),
        failed={outcome.number: outcome.problems for outcome in outcomes if outcome.problems},
        seconds=round(seconds, 1),
    )


def table(summary: Summary) -> str:
    """A summary for people: what was done how many times, and what was lost."""
    width = max((len(kind) for kind in summary.by_kind), default=0)
    lines = [f"{kind:<{width}}  {count:>5}" for kind, count in summary.by_kind.items()]
    lines += [
        "",
        f"{summary.kills:,} kills in {summary.trials:,} trials, {summary.stories:,} of them stories, {summary.commands:,} commands, {summary.seconds:,.0f} s (seed {summary.seed})",
        f"finished attempts                                    {summary.attempts:>7,}",
        f"finished and recorded, and run again                 {summary.rerun:>7,}",
        f"finished, and killed before it was recorded          {summary.repeated:>7,}",
        f"killed in their midst                                {summary.broken_off:>7,}",
        f"trials with anything lost, wrong or left behind      {len(summary.failed):>7,}",
    ]
    return "\n".join(lines)


__all__ = ["Summary", "chaos", "table"]
