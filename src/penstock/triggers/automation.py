"""When assets are materialised by themselves: what is to be made now, what is not, and why, from what is recorded alone.

Whoever decides with the same facts decides the same, and gives what is to be made the same keys.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from penstock.errors import PenstockError
from penstock.model.asset import AssetInput, AssetSpec, Materialization
from penstock.triggers.timetables import missed, next_tick, tick_key

#: an asset, and the key of its partition; that is empty for one without
Cell = tuple[str, str]
#: decisions that are kept for people, and letters of a key
_KEPT, _LONG = 50, 160


class Facts(NamedTuple):
    """What a decision is made from."""

    #: the keys of the latest partitions, as many as the rule looks at; an empty one for an asset without
    recent: Sequence[str]
    #: the keys of those that are made from something of which there is a new version
    touched: Collection[str]
    #: what a partition is made from, input by input; raises PenstockError where that cannot be told
    needed: Callable[[str], Sequence[tuple[AssetInput, Sequence[Cell]]]]
    #: the latest versions of those that have one
    latest: Callable[[Iterable[Cell]], Mapping[Cell, Materialization]]
    #: those of some that are being made, or about to be
    busy: Callable[[Iterable[Cell]], Collection[Cell]]
    #: the identity of its code, as it is registered
    code: str = ""
    #: which run of a partition has failed last, and why; empty where it has not
    failure: Callable[[str], str] = lambda _: ""


class Verdict(NamedTuple):
    """What is decided about a partition."""

    partition: str
    #: what tells it from all others; empty where it is not to be made
    key: str
    reason: str
    #: whether it is to be looked at again, though nothing new happens to what it is made from
    waits: bool = False

    @property
    def made(self) -> bool:
        return bool(self.key)


class Decision(NamedTuple):
    """What is decided about an asset."""

    verdicts: Sequence[Verdict]
    #: what to go on from: JSON-able
    cursor: dict[str, Any]
    #: when it is to be looked at again, though nothing happens
    next_at: float | None

    @property
    def wanted(self) -> list[Verdict]:
        """Those that are to be made."""
        return [each for each in self.verdicts if each.made]


class _Case(NamedTuple):
    """A partition that is decided about."""

    partition: str
    needed: Sequence[tuple[AssetInput, Sequence[Cell]]]
    latest: Mapping[Cell, Materialization]
    version: Materialization | None
    #: inputs of which there is a version that it was not made from: with the old and the new one in words
    new: Mapping[str, str]
    recent: bool


def decide(spec: AssetSpec, facts: Facts, cursor: Mapping[str, Any] | None, now: float) -> Decision:
    """What of an asset is to be made now. `cursor` is what the decision before has left; None for the first one, for which
    no tick is made up for, and no other code counts."""
    assert spec.automation is not None
    known = cursor or {"tick": now, "code": facts.code}
    tick, due = _ticked(spec, known, now)
    waiting: list[str] = known.get("waits", [])
    partitions = list(dict.fromkeys((*facts.recent, *waiting, *facts.touched)))
    asked: dict[str, str] = known.get("asked", {})
    changed = facts.code != known.get("code", facts.code)
    verdicts = [_verdict(spec, facts, each, asked, due, changed=changed) for each in partitions]
    waits = [each.partition for each in verdicts if each.waits]
    following = {
        "tick": tick,
        # until it could be carried out
        "due": due if any(each in waits for each in facts.recent) else None,
        "code": known.get("code") if changed and any(each in waits for each in facts.recent) else facts.code,
        "waits": waits,
        "asked": _asked(verdicts, asked),
        "said": [[each.partition, each.made, each.reason] for each in verdicts[-_KEPT:]],
    }
    timetable = spec.automation.timetable
    coming = None if timetable is None else next_tick(timetable, spec.name, now)
    return Decision(verdicts, following, None if coming is None else coming.at)


def _ticked(spec: AssetSpec, known: Mapping[str, Any], now: float) -> tuple[float, float | None]:
    """The last tick that was seen, and the one that is still to be carried out."""
    assert spec.automation is not None
    tick, due = known.get("tick") or now, known.get("due")
    if spec.automation.timetable is None:
        return now if "tick" not in known else tick, None
    found, tick = missed(spec.automation.timetable, spec.name, tick, now, "latest")
    return tick, found[-1].at if found else due


def _asked(verdicts: Sequence[Verdict], before: Mapping[str, str]) -> dict[str, str]:
    found = {each.partition: each.key or before.get(each.partition, "") for each in verdicts}
    return {partition: key for partition, key in found.items() if key}


def _verdict(
    spec: AssetSpec, facts: Facts, partition: str, asked: Mapping[str, str], due: float | None, *, changed: bool
) -> Verdict:
    try:
        case = _case(spec, facts, partition)
    except PenstockError as error:
        return Verdict(partition, "", f"it cannot be told what it is made from: {error.what}")
    reason, key = _rule(spec, case, due, facts.code, changed=changed)
    if not reason:
        return Verdict(partition, "", "none of its rules holds: " + _idle(spec, case))
    absent = next((_told(c) for i, cells in case.needed for c in cells if i.parameter and c not in case.latest), None)
    if absent is not None:
        return Verdict(partition, "", f"{reason}, and it waits for {absent}, which was never made", waits=True)
    cells = [cell for _, each in case.needed for cell in each]
    busy = facts.busy([(spec.name, partition), *cells])
    if (spec.name, partition) in busy:
        return Verdict(partition, "", f"{reason}, and it is being made", waits=True)
    if busy:
        return Verdict(partition, "", f"{reason}, and it waits for {_told(min(busy))}, which is being made", waits=True)
    if asked.get(partition) == key:
        failure = facts.failure(partition) or "it had no new version"
        return Verdict(partition, "", f"{reason}, for which it was started once, and {failure}")
    return Verdict(partition, key, reason)


def _case(spec: AssetSpec, facts: Facts, partition: str) -> _Case:
    needed = facts.needed(partition)
    own = spec.name, partition
    latest = facts.latest([own, *(cell for _, cells in needed for cell in cells)])
    version = latest.get(own)
    made_from = {} if version is None else {(each.asset, each.partition): each for each in version.upstream}
    new: dict[str, str] = {}
    for each, cells in needed:
        for cell in cells:
            there, before = latest.get(cell), made_from.get(cell)
            if there is not None and (before is None or before.digest != there.digest):
                then = "" if before is None else f", and it was made from version {before.version}"
                new.setdefault(each.asset, f"{_told(cell)} is at version {there.version}{then}")
    return _Case(partition, needed, latest, version, new, partition in facts.recent)


def _rule(spec: AssetSpec, case: _Case, due: float | None, code: str, *, changed: bool) -> tuple[str, str]:
    """Why it is to be made, by the first of the rules that holds, and the key of that; empty where none does."""
    assert spec.automation is not None
    never = case.version is None
    for rule in spec.automation.rules:
        match rule:
            case "eager" if case.new:
                return next(iter(case.new.values())), _key(case)
            case "ready" if case.needed and len(case.new) == len({each.asset for each, _ in case.needed}):
                return "all that it is made from has a new version", _key(case)
            case "missing" if never and case.recent:
                return "it was never made", _key(case)
            case "schedule" if due is not None and case.recent:
                return f"it is due at {tick_key(due)}", f"{case.partition or spec.name} at {tick_key(due)}"
            case "code" if changed and case.recent and not never:
                return "its code has changed", f"{case.partition or spec.name} by code {code[:16]}"
            case _:
                continue
    return "", ""


def _key(case: _Case) -> str:
    """What tells what it would be made from."""
    sources = sorted(
        (*cell, case.latest[cell].version) for _, cells in case.needed for cell in cells if cell in case.latest
    )
    text = ",".join(f"{_told((asset, key))}.{version}" for asset, key, version in sources) or "nothing"
    if len(text) > _LONG:
        from blake3 import blake3

        text = f"{len(sources)} versions {blake3(text.encode()).hexdigest(16)}"
    return f"{case.partition or 'all'} from {text}"


def _idle(spec: AssetSpec, case: _Case) -> str:
    """Why none of the rules holds, rule by rule."""
    assert spec.automation is not None
    return ", and ".join(dict.fromkeys(_unmet(rule, spec, case) for rule in spec.automation.rules))


def _unmet(rule: str, spec: AssetSpec, case: _Case) -> str:
    never = case.version is None
    if rule in ("missing", "schedule", "code") and not case.recent:
        return "it is none of the latest partitions"
    match rule:
        case "missing":
            return "it was made"
        case "schedule":
            return "it is not due"
        case "code":
            return (
                "it was never made, which is not a change of its code: add when_missing()"
                if never
                else "its code is as it was"
            )
        case _ if not spec.inputs:
            return "it is made from nothing"
        case _ if case.new:
            return f"not all that it is made from has a new version, but {', '.join(case.new)}"
        case _ if never:
            return "it was never made, and nothing that it is made from has a version"
        case _:
            return "nothing that it is made from has a new version"


def _told(cell: Cell) -> str:
    return f"{cell[0]}@{cell[1]}" if cell[1] else cell[0]


__all__ = ["Cell", "Decision", "Facts", "Verdict", "decide"]
