"""What a node or an item waits for now, and what would end that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from penstock.kernel.state import NodeProgress, Phase
from penstock.model.action import ApprovalAction
from penstock.model.amounts import size
from penstock.model.run import item_id, timestamp
from penstock.ports import Holder, PoolState
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.explaining.wording import listed, moment
from penstock.runtime.reading.past import Past

#: how many of what is to end first are told of
_ROOTS = 3


class Waiting(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is waited for."""

    #: inputs, worker, pool, limit, time, approval, result or driver
    kind: str
    #: in a sentence
    text: str
    #: what would end it: a command, or a sentence; empty where only time will
    remedy: str = ""
    #: RFC 3339: when it ends by itself, where that is known
    until: str = ""


def waits_of(past: Past, cell: Cell, now: float) -> tuple[Waiting, ...]:
    """What a node or an item that has not ended waits for, the most telling first."""
    without_driver = tuple(_without_driver(past))
    if without_driver or not past.progress.started:
        return without_driver or tuple(_to_begin(past))
    return tuple(_waits(past, cell, now))


def _waits(past: Past, cell: Cell, now: float) -> Iterator[Waiting]:
    progress = past.progress_of(cell)
    teller = _TELLERS.get(progress.phase_of(cell[1]))
    if teller is not None:
        yield from teller(past, cell, progress, now)


def _without_driver(past: Past) -> Iterator[Waiting]:
    from penstock.runtime.reading.drivers import driver_document

    driver = driver_document(past.store, past.run)
    resume = f"penstock resume {past.run.run_id}"
    if driver["orphaned"]:
        text = f"nobody drives the run any longer: the process {driver['driver']} is gone"
        yield Waiting("driver", text, resume)
    elif driver["unheard_s"] is not None:
        heard_of = past.store.heard_of(past.run.run_id)
        text = f"the process {driver['driver']} drives the run, and was last heard of at {moment(heard_of)}"
        yield Waiting("driver", text, f"{resume} goes on with it if that process is gone")


def _to_begin(past: Past) -> Iterator[Waiting]:
    """What a run waits for that has not begun."""
    name = f"pipeline:{past.run.pipeline}"
    pool = next((pool for pool in past.store.pools() if pool.name == name), None)
    if pool is not None and pool.held:
        runs = listed([f"run {holder.run_id}" for holder, _ in pool.held])
        at_once = "one run" if pool.size == 1 else f"{pool.size} runs"
        text = f"the run has not begun: only {at_once} of {past.run.pipeline} may be under way at once, now {runs}"
        yield Waiting("limit", text, f"penstock cancel {pool.held[0][0].run_id}, or wait for its end")


# What has to end first.


def _inputs(past: Past, cell: Cell, progress: NodeProgress, now: float) -> Iterator[Waiting]:
    if _is_held_back(progress, cell[1]):
        yield from _limit(past, progress)
        return
    missing = _missing(progress, cell[1])
    if not missing:
        return
    yield Waiting("inputs", f"it waits for {listed([_told(past, each) for each in missing])}")
    for root in _roots(past, missing)[:_ROOTS]:
        for wait in _waits(past, root, now):
            yield msgspec.structs.replace(wait, text=f"{past.name(root)}: {wait.text}")


def _missing(progress: NodeProgress, item: int) -> list[Cell]:
    """The nodes and items that have yet to end."""
    missing: list[Cell] = []
    for other in progress.upstream:
        if item >= 0 and other in progress.streams:
            phase = other.phase_of_item(item)
            ended = other.phase.ended or (phase is not None and Phase(phase).ended)
            missing += [] if ended else [(other.id, item if phase is not None else -1)]
        elif not other.phase.ended:
            missing.append((other.id, -1))
    return missing


def _told(past: Past, cell: Cell) -> str:
    phase = past.progress_of(cell).phase_of(cell[1])
    return past.name(cell) if phase is Phase.PENDING else f"{past.name(cell)}, which is {phase.state.value}"


def _roots(past: Past, missing: Sequence[Cell]) -> list[Cell]:
    """What is to end first: of what is missing, and of what that waits for, all that waits for nothing else."""
    seen = dict.fromkeys(missing)
    waiting, roots = list(missing), dict[Cell, None]()
    while waiting:
        cell = waiting.pop(0)
        further = [each for each in _further(past, cell) if each not in seen]
        if past.progress_of(cell).phase_of(cell[1]) not in (Phase.PENDING, Phase.OPEN):
            roots[cell] = None
        seen.update(dict.fromkeys(further))
        waiting += further
    return list(roots)


def _further(past: Past, cell: Cell) -> list[Cell]:
    """What a node or an item waits for: its upstream, or what is inside of it."""
    progress = past.progress_of(cell)
    phase = progress.phase_of(cell[1])
    if phase is Phase.PENDING:
        return _missing(progress, cell[1])
    if phase is not Phase.OPEN:
        return []
    if cell[1] < 0 and progress.items is not None:
        return [(cell[0], item) for item, phase in enumerate(progress.items.phases) if not Phase(phase).ended]
    frame = progress.frames.get(cell[1])
    return [] if frame is None else [(each.id, -1) for each in frame.nodes.values() if not each.phase.ended]


def _is_held_back(progress: NodeProgress, item: int) -> bool:
    return progress.limit is not None and any(held == item for held, _ in progress.limit.held)


def _limit(past: Past, progress: NodeProgress) -> Iterator[Waiting]:
    limit = progress.limit
    assert limit is not None
    flying = listed([past.name((progress.id, item)) for item in sorted(limit.flying)])
    most = "one of its items" if limit.size == 1 else f"{limit.size} of its items"
    text = f"only {most} may be under way at once (max_parallel={limit.size}), now {flying}"
    yield Waiting("limit", text, "it starts when one of them has ended, and those before it")


# Room.


def _room(past: Past, cell: Cell, progress: NodeProgress, now: float) -> Iterator[Waiting]:
    if _is_held_back(progress, cell[1]):
        yield from _limit(past, progress)
        return
    found = [*_result_of_others(past, cell), *_pools(past, progress)]
    yield from found or _worker(past, progress)


def _result_of_others(past: Past, cell: Cell) -> Iterator[Waiting]:
    fingerprint = past.wanted.get(cell)
    claimant = None if fingerprint is None else past.store.claimants([fingerprint]).get(fingerprint)
    if claimant is not None and (claimant.run_id, claimant.node, claimant.item) != (past.run.run_id, *cell):
        whose = "this run" if claimant.run_id == past.run.run_id else f"run {claimant.run_id}"
        yield Waiting(
            "result",
            f"{whose} makes the same result at this moment, in {item_id(claimant.node, claimant.item)}",
            "it takes that result over, or runs itself if there is none",
        )


def _pools(past: Past, progress: NodeProgress) -> Iterator[Waiting]:
    policy = progress.node.policy
    shared = {f"tag:{tag}" for tag in policy.tags}
    if name := _limited(past, progress):
        shared.add(f"task:{name}")
    pools = past.store.pools()
    for pool in pools:
        wanted = policy.resources.pools.get(pool.name, 1 if pool.name in shared else 0)
        held = sum(amount for _, amount in pool.held)
        if wanted and held and held + wanted > pool.size:
            yield _pool(past, pool, wanted, held)
    devices = [pool for pool in pools if pool.name.startswith("gpu:") and pool.held]
    if policy.resources.gpu and devices:
        holders = listed([_holder(past, holder) for pool in devices for holder, _ in pool.held])
        yield Waiting("pool", f"it waits for a GPU: {len(devices)} are held by {holders}", "it starts when one is free")


def _limited(past: Past, progress: NodeProgress) -> str:
    """The name of a node's task, if only so many attempts at it may be under way: the call says so, or, where no call of
    it does, the settings may."""
    name = past.progress.tasks[progress.node.task].name
    said = progress.node.policy.concurrency is not None
    others = (
        each.node.policy.concurrency
        for each in past.progress.nodes.values()
        if past.progress.tasks[each.node.task].name == name
    )
    return name if said or all(limit is None for limit in others) else ""


def _pool(past: Past, pool: PoolState, wanted: int, held: int) -> Waiting:
    holders = listed([_holder(past, holder) for holder, _ in pool.held])
    kind, _, name = pool.name.partition(":")
    if kind in ("task", "tag") and name:
        what = f"the task {name}" if kind == "task" else f"tasks tagged {name}"
        at_once = "one attempt" if pool.size == 1 else f"{pool.size} attempts"
        text = f"only {at_once} at {what} may be under way at once, now {holders}"
        return Waiting("limit", text, "it starts when one of them has ended")
    text = f"it takes {wanted} of the pool {pool.name}, of which {held} of {pool.size} are held by {holders}"
    return Waiting("pool", text, f"penstock pools set {pool.name}={held + wanted}")


def _holder(past: Past, holder: Holder) -> str:
    """`fit[3]`, `fit of run X`, `run X`."""
    run = "" if holder.run_id == past.run.run_id else f"run {holder.run_id}"
    if not holder.node:
        return run or "this run"
    node = item_id(holder.node, holder.item) if run else past.name((holder.node, holder.item))
    return f"{node} of {run}" if run else node


def _worker(past: Past, progress: NodeProgress) -> Iterator[Waiting]:
    running = [past.name((node, item)) for node, item, _ in past.progress.running()]
    if running:
        wanted = progress.node.policy.resources
        asks = [
            *([f"{wanted.cpu:g} cores"] if wanted.cpu > 1 else []),
            *([f"{size(wanted.memory)} of memory"] if wanted.memory else []),
        ]
        needs = f" with {listed(asks)}" if asks else ""
        verb = "is" if len(running) == 1 else "are"
        text = f"it waits for a free worker{needs}; {listed(running)} {verb} running"
        yield Waiting("worker", text, "it starts when one of them has ended; --workers gives a run more")


# Time, and people.


def _time(past: Past, cell: Cell, progress: NodeProgress, now: float) -> Iterator[Waiting]:
    since = past.ledger.delayed_since.get(cell, now)
    delay = 0.0 if progress.setbacks is None else progress.setbacks.delays.get(cell[1], 0.0)
    due = since + delay
    if progress.node.wait is not None:
        yield _asked_again(past, cell, progress, due)
        return
    fault = past.ledger.faults.get(cell)
    failed = "" if fault is None else f", because attempt {progress.attempts[cell[1]]} failed with {fault.type}"
    told = "" if fault is None or not fault.message else f": {fault.message}"
    yield Waiting("time", f"it is tried again at {moment(due)}{failed}{told}", until=timestamp(due))


def _asked_again(past: Past, cell: Cell, progress: NodeProgress, due: float) -> Waiting:
    wait = progress.node.wait
    assert wait is not None
    missing = past.ledger.missing.get(cell) or "what it waits for is not there"
    times = past.ledger.deferrals.get(cell, 0)
    text = f"{missing}; it has looked {'once' if times == 1 else f'{times} times'}, and looks again at {moment(due)}"
    began = past.ledger.began.get(cell)
    if wait.timeout is not None and began is not None:
        ending = "is skipped" if wait.on_timeout == "skip" else "fails"
        text += f"; it {ending} at {moment(began + wait.timeout)}"
    return Waiting("time", text, until=timestamp(due))


def _approval(past: Past, cell: Cell, progress: NodeProgress, now: float) -> Iterator[Waiting]:
    action = past.progress.tasks[progress.node.task].action
    assert isinstance(action, ApprovalAction)
    asked = past.ledger.asked.get(cell, now)
    text = f"it has waited for an answer since {moment(asked)}: {action.question}"
    until = ""
    if action.deadline is not None:
        then = {"approve": "counts as approved", "reject": "counts as rejected"}.get(action.default or "", "fails")
        text += f" (after {moment(asked + action.deadline)} it {then})"
        until = timestamp(asked + action.deadline)
    remedy = f"penstock approve {past.run.run_id} {_quoted(past.name(cell))}"
    yield Waiting("approval", text, remedy, until)


def _quoted(name: str) -> str:
    import shlex

    return shlex.quote(name)


_Teller = Callable[[Past, Cell, NodeProgress, float], Iterator[Waiting]]

_TELLERS: dict[Phase, _Teller] = {
    Phase.PENDING: _inputs,
    Phase.QUEUED: _room,
    Phase.DELAYED: _time,
    Phase.AWAITING: _approval,
}


__all__ = ["Waiting", "waits_of"]
