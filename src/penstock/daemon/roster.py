"""The triggers that are registered, and where they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from penstock.model.firing import Advance, Standing
from penstock.model.registration import Definition
from penstock.model.trigger import Trigger
from penstock.ports.agenda import Agenda


class Watched(msgspec.Struct, kw_only=True):
    """A trigger that is watched."""

    trigger: Trigger
    #: what loads it
    target: str
    #: when what it waits for was registered as it is now
    since: float
    standing: Standing
    #: what a part of the daemon keeps beside it, to be quick; it can be made again from the standing
    kept: Any = None

    @property
    def name(self) -> str:
        return self.trigger.name


class Roster:
    """What this daemon knows of the triggers. It may be behind what is recorded, which costs nothing but a second look: a
    standing that has changed is not moved."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._watched: dict[str, Watched] = {}
        self._generation: int | None = None
        #: name -> what is wrong with its definition
        self.unreadable: dict[str, str] = {}

    def __getitem__(self, name: str) -> Watched:
        return self._watched[name]

    def __iter__(self) -> Iterator[Watched]:
        return iter(self._watched.values())

    def __len__(self) -> int:
        return len(self._watched)

    def get(self, name: str) -> Watched | None:
        return self._watched.get(name)

    def refresh(self) -> bool:
        """Read what is registered, if that has changed. Whether it has."""
        generation = self._agenda.generation()
        if generation == self._generation:
            return False
        definitions = self._agenda.definitions("trigger")
        standings = {each.trigger: each for each in self._agenda.standings()}
        self.unreadable = {}
        watched: dict[str, Watched] = {}
        for definition in definitions:
            trigger = self._read(definition)
            if trigger is not None:
                standing = standings.get(trigger.name) or Standing(trigger=trigger.name, enabled=trigger.enabled)
                since = self._since(definition, trigger, standing)
                watched[trigger.name] = Watched(
                    trigger=trigger, target=definition.target, since=since, standing=standing
                )
        self._watched = watched
        self._generation = generation
        return True

    def forget(self) -> None:
        """Read everything again the next time: nobody knows what was recorded."""
        self._generation = None

    def _read(self, definition: Definition) -> Trigger | None:
        try:
            return msgspec.convert(definition.document, Trigger)
        except msgspec.ValidationError as error:
            self.unreadable[definition.name] = str(error)
            return None

    def _since(self, definition: Definition, trigger: Trigger, standing: Standing) -> float:
        """When the source of a trigger was registered as it is now. What it waited for before, and missed, is not made up
        for; what it has missed since is, though its parameters may be others by now."""
        looked = standing.looked_at
        if definition.version <= 1 or (looked is not None and definition.registered_at <= looked):
            return definition.registered_at
        since = definition.registered_at
        for earlier in self._agenda.versions("trigger", definition.name)[1:]:
            known = self._read(earlier)
            if known is None or known.source != trigger.source:
                break
            since = earlier.registered_at
        return since

    def record(self, advances: Sequence[Advance]) -> list[Advance]:
        """Move standings on, with the firings that come of it, in one transaction. Returns those that were recorded; of the
        others, what is known is brought up to date."""
        done = self._agenda.advance(advances)
        lost = [advance.standing.trigger for advance, recorded in zip(advances, done, strict=True) if not recorded]
        kept = [advance for advance, recorded in zip(advances, done, strict=True) if recorded]
        for advance in kept:
            standing = advance.standing
            self._stands(msgspec.structs.replace(standing, revision=standing.revision + 1))
        if lost:
            self.reload(lost)
        return kept

    def reload(self, names: Iterable[str]) -> None:
        """Read again where triggers stand."""
        for standing in self._agenda.standings(names):
            self._stands(standing)
            watched = self._watched.get(standing.trigger)
            if watched is not None:
                watched.kept = None

    def _stands(self, standing: Standing) -> None:
        watched = self._watched.get(standing.trigger)
        if watched is not None:
            watched.standing = standing


__all__ = ["Roster", "Watched"]
