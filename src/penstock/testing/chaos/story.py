"""The other kind of trial, a story: a run fails, is mended and gone on with, asks for leave, is made anew in part; another
one is left to the background, and cancelled; the rubbish is taken out. Each step is disturbed, and made until it is done."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from penstock.testing.chaos import evidence, fallible
from penstock.testing.chaos.commands import goes_on, kill_background, lingering
from penstock.testing.chaos.disturbances import Chances, Disturbance
from penstock.testing.chaos.evidence import Cell, Note, Result
from penstock.testing.chaos.trial import (
    COMMANDS,
    Outcome,
    Trial,
    check_compared,
    check_not_run_again,
    check_sound,
    take_down,
)
from penstock.testing.faults import Fault, points
from penstock.testing.faults.processes import apart

KEPT: Final = "kept"
#: what is made anew in the end; all that depends on it is too
_RETRIED = "measured[1]"
_EXECUTORS = ("processes", "inline")
_PAUSE, _PATIENCE = 0.01, 15.0


class Standing(msgspec.Struct):
    """How far a story is, by what is recorded."""

    run: str = ""
    state: str = ""
    generation: int = 0
    tagged: bool = False
    #: whether leave is asked for, and nobody has answered
    asked: bool = False
    #: the run in the background
    other: str = ""
    other_state: str = ""


@dataclass(frozen=True)
class Step:
    """A step of a story: what is typed as long as it is not done, and when that is."""

    name: str
    words: Callable[[Standing], list[str]]
    done: Callable[[Standing], bool]
    #: the command leaves something behind that goes on
    detaches: bool = False


def _resume_or(words: Sequence[str], *, begun: bool, now: Standing) -> list[str]:
    """What begins a step, or what goes on with it."""
    return ["resume", now.run, "-q"] if begun else [*words, "-q"]


def _steps(executor: str) -> list[Step]:
    run = ["run", "pipeline.py:fallible", "--executor", executor, "--workers", "2"]
    background = ["run", "pipeline.py:lasting", "--executor", "inline", "-q", "--detach"]
    collection = ["gc", "--yes", "--grace", "0", "--keep", "0", "--keep-tag", KEPT, "--compact-older-than", "0"]
    return [
        Step("fail", lambda now: _resume_or(run, begun=bool(now.run), now=now), lambda now: now.state == "failed"),
        Step("tag", lambda now: ["tag", now.run, KEPT], lambda now: now.tagged),
        Step(
            "mend",
            lambda now: ["resume", now.run, "-q"],
            lambda now: now.generation == 2 and now.state == "paused",
        ),
        Step(
            "answer",
            lambda now: _resume_or(["approve", now.run, "sign_off"], begun=not now.asked, now=now),
            lambda now: now.state == "succeeded",
        ),
        Step(
            "retry",
            lambda now: _resume_or(["retry", now.run, _RETRIED], begun=now.generation == 3, now=now),
            lambda now: now.generation == 3 and now.state == "succeeded",
        ),
        Step("detach", lambda now: background, lambda now: now.other != "", detaches=True),
        Step(
            "cancel",
            lambda now: ["cancel", now.other],
            lambda now: now.other_state == "cancelled",
            detaches=True,
        ),
        Step("collect", lambda now: [*collection, "--no-cache-of-removed", "--json"], lambda now: now.other == ""),
    ]


class UndisturbedStory(msgspec.Struct):
    """A story in which nothing went wrong: what the others are compared with."""

    result: Result
    notes: list[Note]
    #: what was made anew on purpose
    renewed: list[Cell]
    #: executor -> step -> how many times it reached each point
    reached: dict[str, dict[str, dict[str, int]]]
    #: executor -> step -> seconds
    lasted: dict[str, dict[str, float]]

    def aims(self, seldom: Callable[[str], bool] = lambda point: True) -> list[tuple[str, str]]:
        """The points that are reached, of those that are `seldom` reached in other trials, each with the step."""
        steps = [step for reached in self.reached.values() for step in reached.items()]
        return sorted({(step, point) for step, counts in steps for point in counts if seldom(point)})


def standing() -> Standing:
    """How far the story of the project at hand is."""
    from penstock.runtime.requests import questions
    from penstock.services import Services

    now = Standing()
    services = Services()
    if not services.has_store:
        return now
    with services.store() as store:
        for run in store.runs(pipeline="fallible"):
            now.run, now.state, now.generation = run.run_id, run.state.value, run.generation
            now.tagged = KEPT in store.tags([run.run_id]).get(run.run_id, ())
            now.asked = bool(questions(store, run.run_id))
        for run in store.runs(pipeline="lasting"):
            now.other, now.other_state = run.run_id, run.state.value
    return now


def undisturbed_story(folder: Path, variables: Callable[[str], Mapping[str, str]]) -> UndisturbedStory:
    """Tell the story with nothing done to it, but all points counted."""
    reached: dict[str, dict[str, dict[str, int]]] = {}
    lasted: dict[str, dict[str, float]] = {}
    found: UndisturbedStory | None = None
    counting = tuple(Fault(point, None, "count") for point in points())
    for executor in _EXECUTORS:
        name = f"story-{executor}"
        trial = _begun(folder / name, executor, variables(name))
        reached[executor], lasted[executor] = {}, {}
        renewed: list[Cell] = []
        for step in _steps(executor):
            _prepare(step.name, folder / name)
            seen = len(evidence.notes(folder / name))
            ended = trial.carried_out(step.words(standing()), faults=counting, detaches=step.detaches)
            if not step.done(standing()) or ended.left:
                raise RuntimeError(f"the undisturbed story is not as it should be at {step.name}: {trial.said}")
            reached[executor][step.name], lasted[executor][step.name] = trial.counted, ended.lasted
            if step.name == "retry":
                renewed = [note.cell for note in evidence.notes(folder / name)[seen:] if note.what == "began"]
        lingering()
        notes = [note for note in evidence.notes(folder / name) if note.cell[0] not in fallible.BACKGROUND]
        result = apart(lambda: evidence.result(standing().run), Result)
        if found is not None and (differences := evidence.differences(found.result, result)):
            raise RuntimeError(f"undisturbed stories differ: {differences}")
        found = UndisturbedStory(result, notes, renewed, reached, lasted)
    assert found is not None
    return found


def _begun(folder: Path, executor: str, variables: Mapping[str, str]) -> Trial:
    trial = Trial(folder, executor, variables, fallible.__file__)
    (folder / fallible.OUTAGE).touch()
    return trial


def _prepare(step: str, folder: Path) -> None:
    if step == "mend":
        (folder / fallible.OUTAGE).unlink()


class _Telling:
    """A story that is under way."""

    def __init__(self, trial: Trial, outcome: Outcome, compared: UndisturbedStory, folder: Path) -> None:
        self._trial = trial
        self._outcome = outcome
        self._compared = compared
        self._folder = folder
        self._finished: set[Cell] = set()

    def take(self, step: Step, disturbances: Callable[[int], Disturbance | None]) -> None:
        """Make a step until it is done. `disturbances` tells what befalls its n-th command."""
        _prepare(step.name, self._folder)
        for turn in range(COMMANDS):
            seen = len(evidence.notes(self._folder))
            disturbance = disturbances(turn)
            words = step.words(standing())
            if words[0] == "retry":
                self._finished -= set(self._compared.renewed)
            ended = self._trial.carried_out(words, disturbance, detaches=step.detaches)
            self._outcome.commands += 1
            take_down(ended, disturbance, self._outcome, step.name)
            if step.name == "detach":
                _settle()
            check_not_run_again(evidence.notes(self._folder)[seen:], self._finished, self._outcome)
            if ended.left or ended.hung:
                self._outcome.problems += [f"left running: {each}" for each in ended.left]
                self._outcome.problems += [f"hung: {self._trial.said}"] if ended.hung else []
                return
            now = standing()
            for run in filter(None, (now.run, now.other)):
                self._finished |= evidence.recorded(run)
            if step.done(now) and not (step.name == "collect" and ended.killed):
                return
            if ended.killed is None:
                said = f"{step.name} ended with {ended.code}, was not killed, and is not done: {self._trial.said}"
                self._outcome.problems.append(said)
                return
        self._outcome.problems.append(f"{step.name} is not done after {COMMANDS} commands")

    def kill_background(self, chance: random.Random) -> None:
        """Kill what goes on in the background, at some moment, and perhaps leave the run to the background once more."""
        time.sleep(chance.uniform(0, 0.3))
        if not kill_background():
            return
        self._outcome.kills.append("background")
        self._outcome.story.append("background killed")
        lingering()
        self._finished |= evidence.recorded(standing().other)
        if chance.random() < 0.5:
            again = Step(
                "detach", lambda now: ["resume", now.other, "--detach"], lambda now: now.other != "", detaches=True
            )
            self.take(again, lambda turn: None)


def _settle() -> None:
    """Wait until what was left to the background has recorded its run, or is gone."""
    until = time.monotonic() + _PATIENCE
    while goes_on() and not standing().other and time.monotonic() < until:
        time.sleep(_PAUSE)


def tell(
    outcome: Outcome,
    ordinal: int,
    chance: random.Random,
    folder: Path,
    compared: UndisturbedStory,
    seldom: Callable[[str], bool],
    variables: Mapping[str, str],
) -> None:
    """Tell a story, the `ordinal`-th: the aim whose turn it is, and others by chance."""
    aims = compared.aims(seldom)
    aimed_step, point = aims[ordinal % len(aims)]
    able = [each for each in _EXECUTORS if point in compared.reached[each][aimed_step]]
    executor = chance.choice(able)
    trial = _begun(folder, executor, variables)
    telling = _Telling(trial, outcome, compared, folder)
    reached, lasted = compared.reached[executor], compared.lasted[executor]

    def disturbances(step: str) -> Callable[[int], Disturbance | None]:
        chances = Chances(chance, reached[step], lasted[step])

        def drawn(turn: int) -> Disturbance | None:
            if step == aimed_step and turn == 0:
                return chances.at(point)
            return chances.draw() if turn < 2 and chance.random() < 0.25 else None

        return drawn

    journals: list[str] = []
    for step in _steps(executor):
        telling.take(step, disturbances(step.name))
        if step.name == "detach" and not outcome.problems and chance.random() < 0.5:
            telling.kill_background(chance)
        if step.name == "cancel":
            outcome.problems += [f"left running: {each}" for each in lingering()]
            journals = evidence.journals(standing().run)
        if outcome.problems:
            return
    _look_into(trial, outcome, compared, journals, folder)


def _look_into(trial: Trial, outcome: Outcome, compared: UndisturbedStory, journals: list[str], folder: Path) -> None:
    """Compare what the story has come to with the undisturbed one, and look whether all is sound."""
    run = standing().run
    check_compared(outcome, compared.result, run, trial)
    if evidence.journals(run) != journals:
        outcome.problems.append("the journals are others after the collection")
    found = evidence.notes(folder)
    outcome.problems += evidence.missing(compared.notes, found)
    renewed = set(compared.renewed)
    outcome.repeated = evidence.repeated([note for note in found if note.cell not in renewed]).total()
    outcome.attempts = sum(note.what == "ended" for note in found)
    outcome.broken_off = evidence.broken_off([note for note in found if note.cell[0] not in fallible.STOPPED])
    check_sound(outcome, trial)


__all__ = ["Standing", "Step", "UndisturbedStory", "standing", "tell", "undisturbed_story"]
