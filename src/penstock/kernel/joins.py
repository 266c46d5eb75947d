"""When a node may start, by how its upstream ended: the rules of `model.graph.RULES`, and expressions over `Ended`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from penstock.kernel.state import NodeProgress, Phase
from penstock.model.expression import Scope, evaluate, is_known

#: rules that may let a node start before all of its upstream has ended
EARLY = frozenset({"one_success", "one_failed", "one_done", "always"})

_FRUITFUL = frozenset({Phase.SUCCEEDED, Phase.CACHED})
_FAILED = frozenset({Phase.FAILED, Phase.UPSTREAM_FAILED})
_ABSENT = frozenset({Phase.SKIPPED, Phase.CANCELLED})

Phases = Sequence[Phase]
#: what a node that may not start comes to; None: it may start
Verdict = tuple[Phase, str] | None


def _any(phases: Phases, kinds: frozenset[Phase]) -> bool:
    return any(phase in kinds for phase in phases)


def _all(phases: Phases, kinds: frozenset[Phase]) -> bool:
    return all(phase in kinds for phase in phases)


#: rule -> whether it is met; `one_*` rules are met by nothing where there is no upstream, except that it is empty
_MET: dict[str, Callable[[Phases], bool]] = {
    "all_success": lambda phases: _all(phases, _FRUITFUL),
    "all_failed": lambda phases: _all(phases, _FAILED),
    "all_done": lambda phases: True,
    "all_skipped": lambda phases: _all(phases, _ABSENT),
    "one_success": lambda phases: not phases or _any(phases, _FRUITFUL),
    "one_failed": lambda phases: not phases or _any(phases, _FAILED),
    "one_done": lambda phases: not phases or _any(phases, _FRUITFUL | _FAILED),
    "none_failed": lambda phases: not _any(phases, _FAILED),
    "none_skipped": lambda phases: not _any(phases, _ABSENT),
    "none_failed_min_one_success": lambda phases: not phases or (not _any(phases, _FAILED) and _any(phases, _FRUITFUL)),
    "always": lambda phases: True,
}

#: rules that are there to go on from success: without it, a failure upstream is passed on as one
_NEED_SUCCESS = frozenset({"all_success", "one_success", "none_failed", "none_failed_min_one_success"})


def met_early(progress: NodeProgress) -> bool:
    """Whether a node may start although some of its upstream has not ended."""
    rule = progress.node.join
    if rule not in EARLY:
        return False
    ended = [other.phase for other in progress.upstream if other.phase.ended]
    return rule == "always" or (bool(ended) and _MET[str(rule)](ended))


def verdict(progress: NodeProgress) -> Verdict:
    """What becomes of a node whose upstream has ended."""
    rule = progress.node.join
    if rule == "all_success":
        return _of_requirements(progress)
    phases = [_phase(progress, other) for other in progress.upstream]
    if not isinstance(rule, str):
        held = evaluate(rule, cast(Scope, _States(progress)))
        return None if held else (Phase.SKIPPED, "its join condition does not hold")
    return of_phases(rule, phases, [other.id for other in progress.upstream])


def may_be_left_out(progress: NodeProgress, found: tuple[Phase, str]) -> bool:
    """Whether the condition of a node may tell that it was left out, where how its upstream ended says otherwise."""
    guard, nodes = progress.node.guard, progress.frame.nodes
    left_out = found[0] is Phase.SKIPPED
    return guard is not None and not left_out and is_known(guard, lambda name: nodes[name].phase.fruitful)


def of_phases(rule: str, phases: Phases, names: Iterable[str]) -> Verdict:
    """What becomes of a node, or an item, by a rule and by how its upstream ended."""
    if _MET[rule](phases):
        return None
    worst = _worst(zip(names, phases, strict=True))
    if worst is not None and rule in _NEED_SUCCESS and (worst[0] is not Phase.SKIPPED or rule == "all_success"):
        return worst
    return Phase.SKIPPED, f"its join rule {rule} is not met"


def _phase(progress: NodeProgress, other: NodeProgress) -> Phase:
    """How an upstream node ended; one that is taken over item by item counts by its items, when their time comes."""
    begun = other.items is not None or other.yielded > 0
    return Phase.SUCCEEDED if begun and other in progress.streams else other.phase


def _of_requirements(progress: NodeProgress) -> Verdict:
    """Of each requirement at least one node must have run: a skipped branch is no obstacle where another one ran."""
    nodes = progress.frame.nodes
    missing: list[tuple[str, Phase]] = []
    for names in progress.requirements:
        if not any(_phase(progress, nodes[name]) in _FRUITFUL for name in names):
            missing += [(nodes[name].id, _phase(progress, nodes[name])) for name in names]
    return _worst(missing) if missing else None


def _worst(named: Iterable[tuple[str, Phase]]) -> Verdict:
    """The worst way in which upstream nodes did not succeed, passed on; None if all of them did."""
    worst: Verdict = None
    for name, phase in named:
        if phase in _FRUITFUL:
            continue
        passed_on = Phase.UPSTREAM_FAILED if phase is Phase.FAILED else phase
        if worst is None or _SEVERITY[passed_on] > _SEVERITY[worst[0]]:
            worst = passed_on, f"{name} {ENDS[phase]}"
    return worst


_SEVERITY = {Phase.SKIPPED: 0, Phase.CANCELLED: 1, Phase.UPSTREAM_FAILED: 2}
#: phase -> how a node came to it
ENDS = {
    Phase.FAILED: "failed",
    Phase.UPSTREAM_FAILED: "was not reached",
    Phase.SKIPPED: "was skipped",
    Phase.CANCELLED: "was cancelled",
}


class _States:
    """What an expression over states can reach."""

    def __init__(self, progress: NodeProgress) -> None:
        self._nodes = progress.frame.nodes

    def state(self, node: str) -> str:
        return self._nodes[node].phase.state.value

    def ran(self, node: str) -> bool:
        return self._nodes[node].phase.fruitful

    def __getattr__(self, name: str) -> Any:
        raise LookupError(f"a join is decided by states alone, not by a {name}")
