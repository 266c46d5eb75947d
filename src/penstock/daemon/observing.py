"""External assets that are to be observed every so often: each time by a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from penstock.daemon.notices import Notice, Tell
from penstock.model.asset import AssetSpec
from penstock.model.firing import OBSERVING, Advance, Standing
from penstock.ports import Clock
from penstock.ports.agenda import Agenda

#: seconds between two looks, seconds that an observation may take, and how many there may be at once
_LOOK, _TIMEOUT, _ROOM = 1.0, 60.0, 4
#: how many times the time between two observations is doubled as they fail
_DOUBLED = 6
#: letters that are told of what went wrong
_TOLD = 2000


class _Asked(NamedTuple):
    process: subprocess.Popen[bytes]
    printed: IO[bytes]
    complained: IO[bytes]
    until: float


class Observing:
    """Has `penstock assets observe` ask for the versions of external assets at their times, by one daemon at a time."""

    def __init__(self, agenda: Agenda, clock: Clock, tell: Tell, folder: Path) -> None:
        self._agenda = agenda
        self._clock = clock
        self._tell = tell
        self._folder = folder
        self._generation: int | None = None
        self._every: dict[str, float] = {}
        self._asked: dict[str, _Asked] = {}
        self._next = clock.monotonic()

    def step(self, now: float) -> bool:
        """Look after what is under way, and start what is due; one transaction."""
        moment = self._clock.monotonic()
        if moment < self._next:
            return False
        self._next = moment + _LOOK
        for name in list(self._asked):
            self._look_after(name, moment, now)
        self._read()
        due = self._due(now)
        if not due:
            return False
        taken = self._agenda.advance([Advance(standing=each) for each in due])
        for standing, mine in zip(due, taken, strict=True):
            if mine:
                self._ask(standing.trigger.removeprefix(OBSERVING), moment, now)
        return False

    def begin(self) -> None:
        """Read again what is registered."""
        self._generation = None

    def _read(self) -> None:
        generation = self._agenda.generation()
        if generation == self._generation:
            return
        self._every = {}
        for definition in self._agenda.definitions("asset"):
            try:
                spec = msgspec.convert(definition.document["spec"], AssetSpec)
            except (msgspec.ValidationError, KeyError, TypeError):
                continue
            if spec.external and spec.observe_every is not None:
                self._every[spec.name] = spec.observe_every
        self._generation = generation

    def _due(self, now: float) -> list[Standing]:
        """Where those stand then that are due."""
        names = [name for name in self._every if name not in self._asked]
        if not names:
            return []
        known = {each.trigger: each for each in self._agenda.standings([f"{OBSERVING}{name}" for name in names])}
        found: list[Standing] = []
        for name in names[:]:
            every = self._every[name]
            standing = known.get(f"{OBSERVING}{name}") or Standing(trigger=f"{OBSERVING}{name}")
            at = standing.next_at or 0.0
            # by a clock that was ahead, it may be said to be due in a long time
            pause = _pause(every, standing.failures)
            if standing.enabled and (at <= now or at > now + 2 * pause + _TIMEOUT):
                found.append(msgspec.structs.replace(standing, next_at=now + pause, looked_at=now))
        return found[: _ROOM - len(self._asked)]

    def _ask(self, name: str, moment: float, now: float) -> None:
        printed, complained = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        command = [sys.executable, "-P", "-m", "penstock", "assets", "observe", name, "--json"]
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=printed, stderr=complained, cwd=self._folder
            )
        except OSError as error:
            printed.close()
            complained.close()
            self._failed(name, f"no process can be started: {error.strerror or error}", now)
            return
        self._asked[name] = _Asked(process, printed, complained, moment + _TIMEOUT)

    def _look_after(self, name: str, moment: float, now: float) -> None:
        asked = self._asked[name]
        code = asked.process.poll()
        if code is None and moment < asked.until:
            return
        del self._asked[name]
        if code is None:
            asked.process.kill()
            asked.process.wait()
            self._failed(name, f"it gave no answer within {_TIMEOUT:g} s", now)
        elif code:
            self._failed(name, _error(asked) or f"exit code {code}", now)
        else:
            self._stands(name, "", now)
        asked.printed.close()
        asked.complained.close()

    def _failed(self, name: str, why: str, now: float) -> None:
        self._tell(Notice(at=now, what="trouble", text=f"the asset {name} cannot be observed: {why}", trigger=name))
        self._stands(name, why, now)

    def _stands(self, name: str, why: str, now: float) -> None:
        """Record how an observation went: one that fails again and again is made less often."""
        standing = next(iter(self._agenda.standings([f"{OBSERVING}{name}"])), Standing(trigger=f"{OBSERVING}{name}"))
        if not why and not standing.failures:
            return
        failures = standing.failures + 1 if why else 0
        next_at = now + _pause(self._every[name], failures) if name in self._every else standing.next_at
        moved = msgspec.structs.replace(standing, failures=failures, note=why, next_at=next_at)
        self._agenda.advance([Advance(standing=moved)])


def _pause(every: float, failures: int) -> float:
    """Seconds to the next observation, after so many in a row that failed."""
    return every * 2 ** min(max(0, failures - 1), _DOUBLED)


def _error(asked: _Asked) -> str:
    """What a process that failed says is wrong."""
    asked.printed.seek(0)
    try:
        found = msgspec.json.decode(asked.printed.read(), type=list[dict[str, Any]])
        return "; ".join(str(each["error"]) for each in found if each.get("error"))[:_TOLD]
    except msgspec.MsgspecError:
        asked.complained.seek(0)
        return asked.complained.read().decode("utf-8", "replace")[-_TOLD:].strip()


__all__ = ["OBSERVING", "Observing"]
