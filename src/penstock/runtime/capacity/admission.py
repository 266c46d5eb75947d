"""Which of the attempts that could start may start now.

Attempts that take the same wait in one lane, first in, first out; if the first of a lane cannot start, none of them can,
so that a hundred thousand items cost no more to pass over than one. Between lanes, the higher priority goes first, then
what was offered first.

Nothing starves: the head of a lane that later ones have overtaken for long goes before all others, whatever its
priority, and lays claim to what it lacks: nothing that takes of that starts before it.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import NamedTuple

from penstock.model.amounts import size
from penstock.model.graph import Graph
from penstock.model.instruction import Ready
from penstock.model.policy import Policy
from penstock.ports import Clock
from penstock.runtime.capacity.demand import Demand, Limits, counted, demand_of, nodes_of, pool_sizes
from penstock.runtime.capacity.machine import Machine
from penstock.runtime.capacity.pools import Pools

#: seconds until pools that others hold are asked for again; a little less than an idle loop rests
ASK_AGAIN = 0.15
#: sums of shares of cores are not exact
_SLACK = 1e-9


class Patience(NamedTuple):
    """When an attempt has been passed over for long: by so many others, or for so many seconds."""

    others: int = 50
    seconds: float = 60.0


#: how long attempts are passed over, unless said otherwise
PATIENCE = Patience()


class Grant(NamedTuple):
    """What an attempt was given that takes more than a worker, or was told."""

    demand: Demand
    #: indices of its GPUs
    devices: tuple[int, ...]
    #: what there is to say about it, once for all attempts alike; empty for nothing
    notice: str = ""


class _Lane:
    """Attempts that take the same, waiting."""

    __slots__ = ("ask_at", "claims", "demand", "lacking", "needs", "numbers", "overtaken", "queue", "since", "told")

    def __init__(self, demand: Demand) -> None:
        self.demand = demand
        #: pool -> how much of it
        self.needs = dict(demand.pools)
        self.queue: deque[Ready] = deque()
        #: their places among all that was ever offered
        self.numbers: deque[int] = deque()
        #: how many that were offered later have started before the head
        self.overtaken = 0
        #: since when the head is being overtaken
        self.since = 0.0
        #: what the head has laid claim to
        self.claims: set[str] = set()
        #: what the head lacked when it was last looked at
        self.lacking: tuple[str, ...] = ()
        #: when pools may be asked for again, on the monotonic clock
        self.ask_at = 0.0
        #: whether its excess was told
        self.told = False


class _Free:
    """What is left in one round, of the workers and of all that attempts take."""

    __slots__ = ("closed", "left", "room", "shared")

    def __init__(self, room: int, shared: int, left: dict[str, float]) -> None:
        self.room = room
        #: for attempts that run beside others in one process
        self.shared = shared
        self.left = left
        #: pools that nobody may take of
        self.closed: set[str] = set()


class Admission:
    """Lets the attempts of one run in, as far as the machine, the pools and the limits allow.

    `slots` is how many workers there are. The caller offers what could start, takes what may start (asking again
    several times a second while anything waits, because other runs give pools back without telling), and says when it
    has ended, whatever way; what it has offered and not taken it may withdraw.

    `grants` holds, while they are under way, what was given to attempts that take more than a worker.
    """

    def __init__(
        self,
        graph: Graph,
        machine: Machine,
        slots: int,
        pools: Pools,
        limits: Limits,
        clock: Clock,
        patience: Patience = PATIENCE,
    ) -> None:
        self.grants: dict[tuple[str, int], Grant] = {}
        self._pipeline = graph.name
        self._runs_at_once = limits.pipelines.get(graph.name, graph.policy.concurrency)
        self._machine = machine
        self._slots = slots
        self._pools = pools
        self._limits = limits
        self._clock = clock
        self._patience = patience
        self._shares_gpus = any(node.policy.resources.gpu for node in nodes_of(graph.nodes, graph.tasks))
        #: (id of a policy, task, memory) -> the policy, kept so that its id stays its own, and the lane
        self._known: dict[tuple[int, str, int], tuple[Policy, _Lane]] = {}
        self._lanes: dict[Demand, _Lane] = {}
        #: whether any lane is of attempts that run beside others in one process
        self._sharing = False
        self._offered = 0
        self._withdrawn: set[Ready] = set()
        #: how many attempts wait
        self.waiting_count = 0
        #: how many attempts take a worker and nothing else
        self._plain = 0
        #: of all others under way
        self._used = {"slots": 0.0, "memory": 0.0}
        self._devices: set[int] = set()
        #: of what is under way, how many take more than one worker
        self._wide = 0
        self._alone = False

    # The run as a whole.

    def enter(self) -> bool:
        """Whether the run may begin; if not, ask again after ASK_AGAIN seconds."""
        if self._runs_at_once is None:
            return True
        self._pools.size({self._pool_of_runs: self._runs_at_once})
        return self._pools.hold("", -1, {self._pool_of_runs: 1})

    def waiting_to_enter(self) -> str:
        """Why the run may not begin, in words."""
        return self._pools.told({self._pool_of_runs: 1})

    def close(self) -> None:
        """Give back all that the run holds of pools. Nothing is let in afterwards."""
        self._lanes.clear()
        self._known.clear()
        self.waiting_count = 0
        self._pools.close()

    def abandon(self) -> None:
        """Leave what the run holds of pools to another driver of it."""
        self._pools.abandon()

    @property
    def _pool_of_runs(self) -> str:
        return f"pipeline:{self._pipeline}"

    # In and out.

    def offer(self, ready: Ready, policy: Policy, task: str, memory: int = 0, *, ahead: bool = False) -> None:
        """An attempt could start. `task` is the task's name, `memory` the most bytes for its process, 0 for no limit.

        One that goes `ahead` starts before those that take the same.
        """
        lane = self._lane(policy, task, memory)
        self.waiting_count += 1
        if ahead and lane.queue:
            lane.queue.appendleft(ready)
            lane.numbers.appendleft(lane.numbers[0])
            return
        lane.queue.append(ready)
        lane.numbers.append(self._offered)
        self._offered += 1

    def queued(self, policy: Policy, task: str, memory: int = 0) -> int:
        """How many attempts wait that take the same. Preparing many more would be in vain, while others may start."""
        return len(self._lane(policy, task, memory).queue)

    @property
    def shares(self) -> bool:
        """Whether something waits that is to run beside others in one process."""
        return self._sharing and any(lane.demand.shared and lane.queue for lane in self._lanes.values())

    def take(self, room: int, shared: int = 0) -> list[Ready]:
        """What may start now, in order. They count as under way.

        `room` is how many attempts the executor would take, `shared` how many that run beside others in one process.
        """
        active = [lane for lane in self._lanes.values() if self._head(lane) is not None]
        if not active or (room <= 0 and shared <= 0) or self._alone:
            return []
        if len(active) == 1 and active[0].demand.plain and not self._wide:
            lane = active[0]
            taken = [lane.queue.popleft() for _ in range(min(max(0, room), len(lane.queue)))]
            for _ in taken:
                lane.numbers.popleft()
            if self._withdrawn:
                taken = [ready for ready in taken if not self._is_withdrawn(ready)]
            self._plain += len(taken)
        else:
            taken = self._round(room, shared, active)
        self.waiting_count -= len(taken)
        return taken

    def end(self, node: str, item: int) -> None:
        """An attempt that was taken is over, or came back unstarted."""
        grant = self.grants.pop((node, item), None)
        if grant is None:
            self._plain -= 1
            return
        demand = grant.demand
        self._alone = self._alone and not demand.alone
        self._used["slots"] -= demand.slots
        self._used["memory"] -= demand.memory
        self._wide -= demand.slots > 1
        self._devices.difference_update(grant.devices)
        if demand.pools or grant.devices:
            self._pools.release(node, item)
            for lane in self._lanes.values():
                lane.ask_at = 0.0

    def withdraw(self, ready: Ready) -> None:
        """An attempt that was offered, and not taken, is not to start any more."""
        if ready not in self._withdrawn:
            self._withdrawn.add(ready)
            self.waiting_count -= 1

    def clear(self) -> None:
        """Withdraw everything that waits."""
        self._withdrawn.clear()
        self.waiting_count = 0
        for lane in self._lanes.values():
            lane.queue.clear()
            lane.numbers.clear()
            self._forget(lane)

    def devices(self, node: str, item: int) -> tuple[int, ...] | None:
        """The GPUs that an attempt under way may see; None for all there are: in a run in which nothing asks for
        GPUs, every attempt sees all of them."""
        if not self._shares_gpus:
            return None
        grant = self.grants.get((node, item))
        if grant is not None and grant.devices:
            return grant.devices
        return () if self._machine.gpus else None

    # What is told.

    def waiting(self, node: str, item: int) -> str | None:
        """What an attempt that was offered waits for, in words; None if it does not wait."""
        for lane in self._lanes.values():
            if any(ready.node == node and ready.item == item for ready in lane.queue):
                return self._reason(lane)
        return None

    def _reason(self, lane: _Lane) -> str:
        demand, used = lane.demand, self._used
        told: list[str] = []
        for lacking in lane.lacking:
            if lacking == "alone":
                told.append(f"the whole machine, because it asks for {demand.excess}")
            elif lacking == "slots":
                at = used["slots"] + self._plain
                told.append(f"{counted(demand.slots, 'core')}, {at:g} of {self._slots} in use")
            elif lacking == "memory":
                at, of = size(int(used["memory"])), size(self._machine.memory)
                told.append(f"{size(demand.memory)} of memory, {at} of {of} in use")
            elif lacking == "gpu":
                told.append(f"{counted(demand.gpu, 'GPU')}, {len(self._devices)} of {len(self._machine.gpus)} in use")
        if any(lacking in lane.needs for lacking in lane.lacking):
            told.append(self._pools.told(lane.needs) or f"pool {', '.join(lane.needs)}: others have waited for longer")
        return "; ".join(told) or "a free worker"

    # One round.

    def _round(self, room: int, shared: int, active: list[_Lane]) -> list[Ready]:
        now = self._clock.monotonic()
        free = self._free(room, shared, active)
        line = [(*self._rank(lane, now), lane.numbers[0], lane) for lane in active]
        heapq.heapify(line)
        taken: list[Ready] = []
        numbers: list[int] = []
        while line and (free.room > 0 or free.shared > 0) and not self._alone:
            due, _, number, lane = heapq.heappop(line)
            if self._lacks(lane, free, now):
                if due == 0 and not self._claim(lane, free):
                    break
                continue
            taken.append(self._start(lane, free))
            numbers.append(number)
            if self._head(lane) is not None:
                heapq.heappush(line, (*self._rank(lane, now), lane.numbers[0], lane))
        self._count_overtaken(active, numbers, now)
        return taken

    def _free(self, room: int, shared: int, active: list[_Lane]) -> _Free:
        """What there is to be given. As long as no attempt takes more than one worker, the executor's own room, which
        may be more than it has workers, is all that counts of them."""
        wide = self._wide or any(lane.demand.slots > 1 or lane.demand.alone for lane in active)
        slots = self._slots - self._used["slots"] - self._plain if wide else float(room)
        memory = self._machine.memory - self._used["memory"] if any(lane.demand.memory for lane in active) else 0
        gpu = len(self._machine.gpus) - len(self._devices) if any(lane.demand.gpu for lane in active) else 0
        return _Free(room, shared, {"slots": slots, "memory": memory, "gpu": gpu})

    def _rank(self, lane: _Lane, now: float) -> tuple[int, int]:
        overtaken = lane.overtaken
        if overtaken >= self._patience.others or (overtaken and now - lane.since >= self._patience.seconds):
            return 0, 0
        return 1, -lane.demand.priority

    def _lacks(self, lane: _Lane, free: _Free, now: float) -> bool:
        """Whether the head of a lane cannot start; where it can, it holds its pools and devices."""
        demand, left = lane.demand, free.left
        if (free.shared if demand.shared else free.room) <= 0:
            lane.lacking = ("slots",)
            return True
        if demand.alone:
            lane.lacking = ("alone",) if self._plain or self.grants else ()
        elif demand.plain:
            lane.lacking = ("slots",) if left["slots"] < 1 - _SLACK else ()
        else:
            taken = (("slots", demand.slots), ("memory", demand.memory), ("gpu", demand.gpu))
            lane.lacking = tuple(name for name, amount in taken if amount and amount > left[name] + _SLACK)
        if not lane.lacking and (lane.needs or demand.gpu):
            lane.lacking = self._lacking_pools(lane, free, now)
        return bool(lane.lacking)

    def _lacking_pools(self, lane: _Lane, free: _Free, now: float) -> tuple[str, ...]:
        closed = tuple(name for name in lane.needs if name in free.closed)
        if closed or now < lane.ask_at:
            return closed or tuple(lane.needs) or ("gpu",)
        ready = lane.queue[0]
        devices = self._free_devices(lane.demand.gpu)
        if devices is None:
            lacking: tuple[str, ...] = ("gpu",)
        elif self._pools.hold(ready.node, ready.item, lane.needs | {self._device(index): 1 for index in devices}):
            lane.ask_at = 0.0
            self._devices.update(devices)
            self.grants[ready.node, ready.item] = Grant(lane.demand, devices)
            return ()
        else:
            lacking = tuple(lane.needs) or ("gpu",)
        lane.ask_at = now + ASK_AGAIN
        return lacking

    def _free_devices(self, count: int) -> tuple[int, ...] | None:
        """Devices that neither this run nor another one of the store has; None if there are too few."""
        if not count:
            return ()
        free = [index for index in self._machine.gpus if index not in self._devices]
        self._pools.size({self._device(index): 1 for index in free})
        taken = self._pools.taken(map(self._device, free))
        free = [index for index in free if self._device(index) not in taken]
        return tuple(free[:count]) if len(free) >= count else None

    def _device(self, index: int) -> str:
        return f"gpu:{self._machine.host}:{index}"

    def _claim(self, lane: _Lane, free: _Free) -> bool:
        """Keep what a head that has been passed over for long lacks, for it alone. Whether anything else may start.

        A claim lasts until the head starts, lest what it needs of one thing is taken while it waits for another. While
        it waits for what other runs hold, though, this machine does not stand still for it.
        """
        if lane.demand.alone and "alone" in lane.lacking:
            return False
        lane.claims.update(lane.lacking)
        free.closed |= lane.claims & lane.needs.keys()
        if not any(name in lane.needs for name in lane.lacking):
            amounts = {"slots": lane.demand.slots, "memory": lane.demand.memory, "gpu": lane.demand.gpu}
            for name in lane.claims & amounts.keys():
                free.left[name] -= amounts[name]
        return True

    def _start(self, lane: _Lane, free: _Free) -> Ready:
        demand = lane.demand
        ready = lane.queue.popleft()
        lane.numbers.popleft()
        if demand.shared:
            free.shared -= 1
        else:
            free.room -= 1
        free.left["slots"] -= demand.slots
        free.left["memory"] -= demand.memory
        free.left["gpu"] -= demand.gpu
        self._forget(lane)
        if demand.plain:
            self._plain += 1
            return ready
        held = self.grants.get((ready.node, ready.item))
        notice = "" if lane.told or not demand.excess else f"asks for {demand.excess}; runs alone with what there is"
        lane.told = True
        self.grants[ready.node, ready.item] = Grant(demand, held.devices if held else (), notice)
        self._used["slots"] += demand.slots
        self._used["memory"] += demand.memory
        self._wide += demand.slots > 1
        self._alone = demand.alone
        return ready

    def _count_overtaken(self, active: list[_Lane], numbers: list[int], now: float) -> None:
        for lane in active:
            if self._head(lane) is None:
                continue
            later = sum(1 for number in numbers if number > lane.numbers[0])
            if later and not lane.overtaken:
                lane.since = now
            lane.overtaken += later

    # Lanes.

    def _lane(self, policy: Policy, task: str, memory: int) -> _Lane:
        known = self._known.get((id(policy), task, memory))
        if known is not None:
            return known[1]
        demand = demand_of(policy, task, memory, self._machine, self._slots, self._limits)
        pools = pool_sizes(policy, task, self._limits)
        self._pools.size({name: size for name, size in pools.items() if size is not None})
        self._shares_gpus = self._shares_gpus or policy.resources.gpu > 0
        self._sharing = self._sharing or demand.shared
        lane = self._lanes.setdefault(demand, _Lane(demand))
        self._known[id(policy), task, memory] = policy, lane
        return lane

    def _head(self, lane: _Lane) -> Ready | None:
        """The first of a lane that was not withdrawn."""
        while lane.queue:
            if not self._withdrawn or not self._is_withdrawn(lane.queue[0]):
                return lane.queue[0]
            lane.queue.popleft()
            lane.numbers.popleft()
            self._forget(lane)
        return None

    def _is_withdrawn(self, ready: Ready) -> bool:
        if ready in self._withdrawn:
            self._withdrawn.remove(ready)
            return True
        return False

    @staticmethod
    def _forget(lane: _Lane) -> None:
        """What was noted of the head of a lane goes with it."""
        lane.overtaken = 0
        lane.claims.clear()
        lane.lacking = ()
        lane.ask_at = 0.0
