"""The whole table of transitions: every phase against every event, of a plain node and of an item."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from kernel_graphs import FAULT, hit, mapped, missed, node, outputs, phases, picture, run_of, started, succeeded

from penstock.kernel import VERSION, RunProgress, handle
from penstock.kernel.invariants import validate
from penstock.kernel.transitions import ImpossibleEventError
from penstock.model.event import (
    Answered,
    AnyEvent,
    Asked,
    Broken,
    CancelRequested,
    Concluded,
    Deferred,
    Expanded,
    Expired,
    Failed,
    Lost,
    Returned,
    RunStarted,
    Skipped,
    Substituted,
    Woke,
    Yielded,
)
from penstock.model.expression import Parameter

#: name of an event -> the event, of a node or an item
EVENTS: dict[str, Callable[[str, int], AnyEvent]] = {
    "Expanded": lambda name, item: Expanded(name, None),
    "Skipped": lambda name, item: Skipped(name, "no", item, 1),
    "Hit": hit,
    "Missed": missed,
    "Broken": lambda name, item: Broken(name, item, FAULT),
    "Started": started,
    "Succeeded": succeeded,
    "Failed": lambda name, item: Failed(name, item, 1, FAULT),
    "Returned": lambda name, item: Returned(name, item, 1),
    "Woke": lambda name, item: Woke(name, item, 2),
    "Yielded": lambda name, item: Yielded(name, item, 1, 1, outputs()[0]),
    "Deferred": lambda name, item: Deferred(name, item, 1, 5.0),
    "Lost": lambda name, item: Lost(name, item, 1),
    "Expired": lambda name, item: Expired(name, item, FAULT),
    "Asked": Asked,
    "Answered": lambda name, item: Answered(name, item, outputs()),
    "Concluded": lambda name, item: Concluded(name, item, outputs()),
    "Substituted": lambda name, item: Substituted(name, item, outputs()),
}

REPORTS = ("Succeeded", "Failed", "Returned", "Yielded", "Deferred", "Lost")
ANSWERS = ("Expanded", "Skipped", "Hit", "Missed", "Broken", "Woke", "Asked", "Answered", "Expired", "Substituted")
ENDED = ("SUCCEEDED", "CACHED", "FAILED", "SKIPPED", "UPSTREAM_FAILED", "CANCELLED")

#: (phase, event) -> phase; whatever is not here is impossible
POSSIBLE: dict[tuple[str, str], str] = {
    ("DECIDING", "Expanded"): "UPSTREAM_FAILED",
    ("DECIDING", "Skipped"): "SKIPPED",
    ("DECIDING", "Broken"): "FAILED",
    ("EXPANDING", "Expanded"): "CHECKING",
    ("EXPANDING", "Skipped"): "SKIPPED",
    ("EXPANDING", "Broken"): "FAILED",
    ("CHECKING", "Hit"): "CACHED",
    ("CHECKING", "Missed"): "QUEUED",
    ("CHECKING", "Broken"): "FAILED",
    ("QUEUED", "Started"): "RUNNING",
    ("QUEUED", "Hit"): "CACHED",
    ("RUNNING", "Succeeded"): "SUCCEEDED",
    ("RUNNING", "Failed"): "DELAYED",
    ("RUNNING", "Returned"): "QUEUED",
    ("RUNNING", "Skipped"): "SKIPPED",
    ("RUNNING", "Yielded"): "RUNNING",
    ("RUNNING", "Deferred"): "DELAYED",
    ("RUNNING", "Lost"): "QUEUED",
    ("DELAYED", "Woke"): "QUEUED",
    ("DELAYED", "Skipped"): "SKIPPED",
    ("DELAYED", "Expired"): "FAILED",
    ("QUEUED", "Expired"): "FAILED",
    ("QUEUED", "Skipped"): "QUEUED",
    ("CHECKING", "Asked"): "AWAITING",
    ("AWAITING", "Answered"): "SUCCEEDED",
    ("AWAITING", "Skipped"): "SKIPPED",
    ("AWAITING", "Expired"): "FAILED",
    ("SUBSTITUTING", "Substituted"): "SUCCEEDED",
    ("SUBSTITUTING", "Broken"): "FAILED",
    ("SUBSTITUTING", "Skipped"): "SUBSTITUTING",
    **{(phase, report): phase for phase in ("QUEUED", "DELAYED", "SUBSTITUTING", *ENDED) for report in REPORTS},
    **{(phase, late): phase for phase in ENDED for late in ("Skipped", "Answered", "Expired")},
    **{("CANCELLED", answer): "CANCELLED" for answer in ANSWERS},
}

ITEM = 1


def story_of(name: str, item: int) -> dict[str, list[AnyEvent]]:
    """For each phase, what brings a cell there that is being checked; the policy is one retry, after a delay."""
    fault = FAULT
    running: list[AnyEvent] = [missed(name, item), started(name, item)]
    again: list[AnyEvent] = [*running, Failed(name, item, 1, fault), Woke(name, item, 2), started(name, item, 2)]
    return {
        "CHECKING": [],
        "QUEUED": [missed(name, item)],
        "RUNNING": running,
        "DELAYED": [*running, Failed(name, item, 1, fault)],
        "AWAITING": [Asked(name, item)],
        "SUCCEEDED": [*running, succeeded(name, item)],
        "CACHED": [hit(name, item)],
        "FAILED": [*again, Failed(name, item, 2, fault)],
        "CANCELLED": [CancelRequested("enough")],
    }


def item_in(phase: str) -> RunProgress:
    """A run whose node `fit` has three items, the second of them in a phase."""
    run = run_of(mapped("fit", retries=1, delay=1.0))
    handle(run, RunStarted(VERSION), Expanded("fit", 3), *story_of("fit", ITEM)[phase])
    return run


def node_in(phase: str) -> RunProgress:
    """A run whose node `fit` is in a phase."""
    if phase in ("PENDING", "UPSTREAM_FAILED"):
        run = run_of(node("first"), node("fit", "first", retries=1, delay=1.0))
        failure: list[AnyEvent] = [Broken("first", -1, FAULT)]
        handle(run, RunStarted(VERSION), *(failure if phase == "UPSTREAM_FAILED" else []))
        return run
    if phase == "DECIDING":
        run = run_of(node("first"), node("fit", "first", guard=Parameter("go")))
        handle(run, RunStarted(VERSION), Broken("first", -1, FAULT))
        return run
    if phase == "OPEN":
        run = run_of(mapped("fit"))
        handle(run, RunStarted(VERSION), Expanded("fit", 3))
        return run
    run = run_of(node("fit", retries=1, delay=1.0, guard=Parameter("go")))
    handle(run, RunStarted(VERSION))
    if phase == "SKIPPED":
        handle(run, Skipped("fit", "no"))
    elif phase != "EXPANDING":
        handle(run, Expanded("fit", None), *story_of("fit", -1)[phase])
    return run


NODE_PHASES = (
    "PENDING",
    "DECIDING",
    "EXPANDING",
    "CHECKING",
    "QUEUED",
    "RUNNING",
    "DELAYED",
    "AWAITING",
    "OPEN",
    *ENDED,
)
ITEM_PHASES = ("CHECKING", "QUEUED", "RUNNING", "DELAYED", "AWAITING", "SUCCEEDED", "CACHED", "FAILED", "CANCELLED")


@pytest.mark.parametrize(("phase", "kind"), [*product(NODE_PHASES, EVENTS)])
def test_every_event_of_a_node(phase: str, kind: str) -> None:
    _check(node_in(phase), "fit", -1, phase, kind)


@pytest.mark.parametrize(("phase", "kind"), [*product(ITEM_PHASES, [*EVENTS][1:])])
def test_every_event_of_an_item(phase: str, kind: str) -> None:
    _check(item_in(phase), f"fit[{ITEM}]", ITEM, phase, kind)


def _check(run: RunProgress, cell: str, item: int, phase: str, kind: str) -> None:
    assert phases(run)[cell] == phase
    event = EVENTS[kind]("fit", item)
    before = picture(run)
    after = POSSIBLE.get((phase, kind))
    if after is None:
        with pytest.raises(ImpossibleEventError) as raised:
            handle(run, event)
        assert cell in str(raised.value)
        assert phase in str(raised.value)
        assert repr(event) in str(raised.value)
    else:
        handle(run, event)
        assert phases(run)[cell] == after
    if after is None or after == phase:
        assert picture(run) == before
    validate(run)


def test_a_run_starts_once() -> None:
    run = run_of(node("fit"))
    handle(run, RunStarted(VERSION))
    with pytest.raises(ImpossibleEventError, match=r"RunStarted\(version=2\) cannot happen to a run that has started"):
        handle(run, RunStarted(VERSION))


def test_an_event_of_a_node_that_is_not_there() -> None:
    with pytest.raises(ImpossibleEventError, match=r"Started\(node='other'.*no node 'other'"):
        handle(run_of(node("fit")), RunStarted(VERSION), started("other"))


@pytest.mark.parametrize("run", [item_in("CHECKING"), node_in("CHECKING")], ids=["mapped", "plain"])
def test_an_event_of_an_item_that_is_not_there(run: RunProgress) -> None:
    before = picture(run)
    with pytest.raises(ImpossibleEventError, match=r"cannot happen to fit\[3\], which is not there"):
        handle(run, hit("fit", 3))
    assert picture(run) == before
