"""The plain kind of trial: the reference pipeline is run, disturbed, gone on with until it has ended, and then looked into."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from penstock.testing.chaos import evidence, reference
from penstock.testing.chaos.commands import Ended, adopt_orphans, carried_out
from penstock.testing.chaos.disturbances import Chances, Disturbance, only
from penstock.testing.chaos.evidence import Cell, Note, Result
from penstock.testing.chaos.noting import NOTES
from penstock.testing.faults import Fault, counted, points
from penstock.testing.faults.processes import apart

#: places that a collection reaches, and those of a run that is taken over
_COLLECTING = ("gc.collect", "blobs.collect", "store.sweep", "store.remove")
#: how often a run is disturbed at most, and how many commands it may take to end it
_MOST, COMMANDS = 3, 9
_EXECUTORS = ("processes", "processes", "processes", "inline")
#: what the machine spends on other trials may make an undisturbed run longer
_WORKERS = "2"


class Undisturbed(msgspec.Struct):
    """A run that nothing happened to: what the others are compared with."""

    result: Result
    notes: list[Note]
    #: executor -> how many times the run reached each point
    reached: dict[str, dict[str, int]]
    #: how many times its collection did
    collecting: dict[str, int]
    #: executor -> seconds
    lasted: dict[str, float]


class Outcome(msgspec.Struct):
    """How a trial went."""

    number: int
    #: `plain` or `story`
    kind: str = "plain"
    #: what was done to it, in order: kind or point
    kills: list[str] = []
    #: what is wrong, a sentence each
    problems: list[str] = []
    #: attempts whose success was recorded and that ran again all the same: has to be 0
    rerun: int = 0
    #: attempts that had finished, and whose process was killed before that was recorded
    repeated: int = 0
    #: attempts that were killed in their midst
    broken_off: int = 0
    #: attempts that ended
    attempts: int = 0
    commands: int = 0
    seconds: float = 0.0
    story: list[str] = []


class Trial:
    """A folder with a pipeline, in which commands are carried out. Changes the working folder and the
    environment of this process, which should be one of its own."""

    def __init__(self, folder: Path, executor: str, variables: Mapping[str, str], source: str) -> None:
        self._folder = folder
        self._executor = executor
        self._temporary = folder / "tmp"
        self._counts = folder / "counts"
        self._output = folder / "output"
        self._temporary.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / "pipeline.py")
        os.chdir(folder)
        for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
            del os.environ[name]
        os.environ.update(variables, TMPDIR=str(self._temporary))
        _forget_temporary_folder()
        adopt_orphans()

    def run(self, disturbance: Disturbance | None = None, faults: tuple[Fault, ...] = ()) -> Ended:
        notes = self._folder / NOTES
        words = ["run", "pipeline.py", "-q", "--wait", "--executor", self._executor, "--workers", _WORKERS]
        return self.carried_out([*words, "-p", f"notes={notes}"], disturbance, faults)

    def resume(self, run: str, disturbance: Disturbance | None = None) -> Ended:
        return self.carried_out(["resume", run, "-q", "--wait"], disturbance)

    def collect(self, disturbance: Disturbance | None = None, faults: tuple[Fault, ...] = ()) -> Ended:
        return self.carried_out(["gc", "--yes", "--grace", "0", "--json"], disturbance, faults)

    def doctor(self) -> Ended:
        return self.carried_out(["doctor", "--json"], None)

    def carried_out(
        self,
        words: list[str],
        disturbance: Disturbance | None = None,
        faults: tuple[Fault, ...] = (),
        *,
        detaches: bool = False,
    ) -> Ended:
        """Carry out a command; see `commands.carried_out`."""
        # each command counts anew
        shutil.rmtree(self._counts, ignore_errors=True)
        self._counts.mkdir()
        return carried_out(
            words, self._output, disturbance=disturbance, faults=faults, counts=self._counts, detaches=detaches
        )

    @property
    def counted(self) -> dict[str, int]:
        """How many times the last command has reached each point that it had faults at."""
        return counted(self._counts)

    @property
    def litter(self) -> list[str]:
        """What a collection has left behind that is of no use."""
        return evidence.litter(self._folder / ".penstock", self._temporary)

    @property
    def said(self) -> str:
        """The last lines that commands have printed."""
        lines = self._output.read_text(errors="replace").splitlines() if self._output.exists() else []
        return " | ".join(line.strip() for line in lines[-6:] if line.strip())


def _forget_temporary_folder() -> None:
    import tempfile

    # found out once, and kept, by a process that may have looked before the variable was set
    tempfile.tempdir = None
    tempfile.gettempdir()


def undisturbed(folder: Path, variables: Callable[[str], Mapping[str, str]]) -> Undisturbed:
    """Run the reference pipeline with nothing done to it, but all points counted."""
    reached: dict[str, dict[str, int]] = {}
    lasted: dict[str, float] = {}
    found: Undisturbed | None = None
    for executor in dict.fromkeys(_EXECUTORS):
        trial = Trial(folder / executor, executor, variables(executor), reference.__file__)
        ended = trial.run(faults=tuple(Fault(point, None, "count") for point in points()))
        _must(ended.code == 0 and not ended.left, trial)
        reached[executor], lasted[executor] = trial.counted, ended.lasted
        at_hand = evidence.the_run()
        assert at_hand is not None
        result = _result(at_hand[0])
        collected = trial.collect(faults=tuple(Fault(point, None, "count") for point in points()))
        _must(collected.code == 0 and not trial.litter, trial)
        collecting = only(trial.counted, _COLLECTING)
        if found is not None and (differences := evidence.differences(found.result, result)):
            raise RuntimeError(f"undisturbed runs differ: {differences}")
        found = Undisturbed(result, evidence.notes(folder / executor), reached, collecting, lasted)
    assert found is not None
    return found


def _must(holds: bool, trial: Trial) -> None:
    if not holds:
        raise RuntimeError(f"the undisturbed run is not as it should be: {trial.said} {trial.litter}")


def _result(run_id: str) -> Result:
    return apart(lambda: evidence.result(run_id), Result)


def conduct(
    outcome: Outcome,
    ordinal: int,
    chance: random.Random,
    folder: Path,
    undisturbed: Undisturbed,
    variables: Mapping[str, str],
) -> None:
    """The `ordinal`-th trial of this kind."""
    executor = chance.choice(_EXECUTORS)
    chances = Chances(chance, undisturbed.reached[executor], undisturbed.lasted[executor])
    trial = Trial(folder, executor, variables, reference.__file__)
    _disturb(trial, outcome, ordinal, chances, chance, folder)
    if not outcome.problems:
        _look_into(trial, outcome, undisturbed, chance, folder)


def _disturb(
    trial: Trial, outcome: Outcome, ordinal: int, chances: Chances, chance: random.Random, folder: Path
) -> None:
    """Run and resume, until the run has ended."""
    finished: set[Cell] = set()
    for turn in range(COMMANDS):
        # every second trial begins with the point whose turn it is
        by_turn = ordinal // 2 if turn == 0 and ordinal % 2 == 0 else None
        disturbed = turn == 0 or (turn < _MOST and chance.random() < 0.6)
        disturbance = chances.draw(by_turn) if disturbed else None
        seen = len(evidence.notes(folder))
        at_hand = evidence.the_run()
        ended = trial.run(disturbance) if at_hand is None else trial.resume(at_hand[0], disturbance)
        outcome.commands += 1
        take_down(ended, disturbance, outcome)
        check_not_run_again(evidence.notes(folder)[seen:], finished, outcome)
        at_hand = evidence.the_run()
        if ended.left or ended.hung:
            outcome.problems += [f"left running: {each}" for each in ended.left]
            outcome.problems += [f"hung: {trial.said}"] if ended.hung else []
            return
        if at_hand is not None:
            finished |= evidence.recorded(at_hand[0])
            if at_hand[1] not in ("running", "paused"):
                return
        if ended.killed is None:
            outcome.problems.append(f"ended with {ended.code} and was not killed: {trial.said}")
            return
    outcome.problems.append(f"has not ended after {COMMANDS} commands")


def take_down(ended: Ended, disturbance: Disturbance | None, outcome: Outcome, step: str = "") -> None:
    """Add how a command ended to the outcome."""
    outcome.story.append(f"{step} {ended.killed or '-'} -> {ended.code}".strip())
    if ended.killed is not None and disturbance is not None:
        outcome.kills.append(disturbance.fault.point if disturbance.fault is not None else disturbance.kind)


def check_not_run_again(since: list[Note], finished: set[Cell], outcome: Outcome) -> None:
    """Nothing has begun since then that was recorded as finished by then."""
    again = {note.cell for note in since if note.what == "began"} & finished
    outcome.rerun += len(again)
    outcome.problems += [
        f"{node}[{item}] ran again, though it was recorded as finished" for node, item in sorted(again)
    ]


def _look_into(trial: Trial, outcome: Outcome, undisturbed: Undisturbed, chance: random.Random, folder: Path) -> None:
    """Compare the run that has ended with the undisturbed one, collect, and look whether all is sound."""
    at_hand = evidence.the_run()
    assert at_hand is not None
    check_compared(outcome, undisturbed.result, at_hand[0], trial)
    found = evidence.notes(folder)
    outcome.problems += evidence.missing(undisturbed.notes, found)
    outcome.repeated = evidence.repeated(found).total()
    outcome.attempts = sum(note.what == "ended" for note in found)
    outcome.broken_off = evidence.broken_off(found)
    if chance.random() < 0.3:
        disturbance = Chances(chance, undisturbed.collecting, 0.1).draw(chance.randrange(100))
        take_down(trial.collect(disturbance), disturbance, outcome)
        outcome.commands += 1
    collected = trial.collect()
    if collected.code != 0:
        outcome.problems.append(f"the collection ended with {collected.code}: {trial.said}")
    check_sound(outcome, trial)
    after = _result(at_hand[0])
    outcome.problems += [f"after the collection, {each}" for each in evidence.differences(undisturbed.result, after)]
    if chance.random() < 0.1 and trial.doctor().code != 0:
        outcome.problems.append(f"the doctor complains: {trial.said}")


def check_compared(outcome: Outcome, expected: Result, run_id: str, trial: Trial) -> None:
    """A run has the results that it has when nothing happens to it."""
    outcome.problems += evidence.differences(expected, _result(run_id))
    if outcome.problems:
        outcome.problems.append(trial.said)


def check_sound(outcome: Outcome, trial: Trial) -> None:
    """After a collection, nothing is left behind, and nothing that is recorded is gone."""
    outcome.problems += [f"left behind: {each}" for each in trial.litter]
    outcome.problems += apart(evidence.unsound, list[str])


__all__ = [
    "COMMANDS",
    "Outcome",
    "Trial",
    "Undisturbed",
    "check_compared",
    "check_not_run_again",
    "check_sound",
    "conduct",
    "take_down",
    "undisturbed",
]
