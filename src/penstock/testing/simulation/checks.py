"""What must hold of a run at its end."""

from __future__ import annotations

from typing import Any

from penstock.kernel import Phase, RunProgress, handle
from penstock.kernel.invariants import validate
from penstock.model.event import Started
from penstock.model.run import RunState, item_id
from penstock.model.value import Argument
from penstock.ports import Store
from penstock.testing.simulation.facts import Facts
from penstock.testing.simulation.plans import Plan
from penstock.testing.simulation.reading import Reading
from penstock.values import Values

#: run states -> those of the runs that a plan tells of
_ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)


def replayed(store: Store, run_id: str, plan: Plan) -> RunProgress:
    """The state that follows from the journal alone."""
    progress = RunProgress(plan.graph)
    for _, events in store.journal(run_id):
        handle(progress, *events)
    validate(progress)
    return progress


def check_journal(store: Store, driven: RunProgress, plan: Plan, facts: Facts) -> None:
    """The journal gives the state that the driver had."""
    again = _picture(replayed(store, facts.run_id, plan))
    for name, found in _picture(driven).items():
        facts.check(
            again.get(name) == found, "the journal tells another story than the driver", name, found, again.get(name)
        )


def check_end(store: Store, values: Values, plan: Plan, facts: Facts, *, exact: bool) -> None:
    """A run has come to what it must. Without `exact`, it was cut short: what has a result has the right one."""
    run = store.find(facts.run_id)
    progress = replayed(store, facts.run_id, plan)
    facts.check(run.state in _ENDED and run.state is facts.state, "the run has not ended", run.state.value)
    facts.check(all(each.phase.ended for each in progress.nodes.values()), "nodes of a run that has ended have not")
    reading = Reading(plan)
    found = _states(progress)
    if exact:
        wanted = {name: end.state for name, end in reading.ends.items()}
        for name in sorted(wanted.keys() | found.keys()):
            facts.check(
                wanted.get(name) == found.get(name),
                "a node has ended otherwise",
                name,
                found.get(name),
                "not",
                wanted.get(name),
            )
        state = RunState.FAILED if reading.failed else RunState.SUCCEEDED
        facts.check(run.state is state, "the run has ended otherwise", run.state.value, "not", state.value)
        for name, argument in run.outputs.items():
            _check_value(facts, name, reading.ends[name].value, values, argument)
    for progress_of in progress.nodes.values():
        for name, outputs in _outputs(progress_of):
            end = reading.ends.get(name)
            facts.check(end is not None and end.state == "SUCCEEDED", "a result of what has none", name)
            if end is not None and not (progress_of.items is None and progress_of.node.each is not None):
                _check_value(facts, name, end.value, values, outputs[0])
    _check_attempts(store, progress, plan, facts)


def _check_value(facts: Facts, name: str, wanted: Any, values: Values, argument: Argument) -> None:
    found = _plain(values.load(argument))
    facts.check(found == wanted, "a result is not the right one", name, found, "not", wanted)


def _plain(value: Any) -> Any:
    """A value without what an approval tells of who gave it."""
    if isinstance(value, list):
        return [_plain(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    return getattr(value, "approved", value)


def _outputs(progress: Any) -> list[tuple[str, Any]]:
    if progress.items is None:
        return [] if progress.outputs is None else [(progress.id, progress.outputs)]
    return [(item_id(progress.id, item), each) for item, each in enumerate(progress.items.outputs) if each is not None]


def _states(progress: RunProgress) -> dict[str, str]:
    """How every node and item ended; a result from the cache is as good as any."""
    found: dict[str, str] = {}
    for name, each in progress.nodes.items():
        found[name] = _state(each.phase)
        for item, phase in enumerate(each.items.phases if each.items is not None else ()):
            found[item_id(name, item)] = _state(Phase(phase))
    return found


def _state(phase: Phase) -> str:
    return "SUCCEEDED" if phase is Phase.CACHED else phase.name


def _check_attempts(store: Store, progress: RunProgress, plan: Plan, facts: Facts) -> None:
    """Attempts are as many as the policy allows, beside those that the infrastructure has lost, and each is recorded."""
    recorded = {(each.node, each.item, each.attempt): each for each in store.attempts(facts.run_id)}
    begun = {
        (event.node, event.item, event.attempt)
        for _, events in store.journal(facts.run_id)
        for event in events
        if isinstance(event, Started)
    }
    for name, item, attempt in begun:
        step = plan.known[f"task of {name.rpartition('/')[2]}"]
        lost = sum(
            each.fault is not None and each.fault.infrastructure
            for key, each in recorded.items()
            if key[:2] == (name, item)
        )
        allowed = 1 + step.retries + (step.fallback == "task") + lost
        facts.check(attempt <= allowed, "there were more attempts than are allowed", name, item, attempt, "of", allowed)
    ends: dict[tuple[str, int], list[str]] = {}
    for (name, item, _), record in recorded.items():
        if record.state in ("succeeded", "cached"):
            ends.setdefault((name, item), []).append(record.state)
    for (name, item), states in ends.items():
        facts.check(len(states) == 1, "a result was recorded twice", name, item, *states)
    for name, each in progress.nodes.items():
        # of a fan-out, the items are recorded
        cells = [-1] if each.node.each is None else range(len(each.items.phases) if each.items is not None else 0)
        for item in cells:
            facts.check(each.phase_of(item).fruitful == ((name, item) in ends), "an end is not recorded", name, item)


def _picture(run: RunProgress) -> dict[str, Any]:
    """What the kernel remembers of a run."""
    found: dict[str, Any] = {
        "": (run.started, run.finished, run.cancelling, run.final, run.stopping, run.expired, sorted(run.frames))
    }
    for name, each in run.nodes.items():
        items = None if each.items is None else (bytes(each.items.phases), list(each.items.outputs), each.items.more)
        found[name] = (each.phase, each.blockers, dict(each.attempts), each.outputs, each.yielded, items)
    return found


__all__ = ["check_end", "check_journal", "replayed"]
