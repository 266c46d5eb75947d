"""What an attempt takes of the machine and of what runs share, from the policy of its node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from penstock.errors import DefinitionError
from penstock.model.amounts import size
from penstock.model.graph import Graph, Node, PipelineAction, Task
from penstock.model.policy import Policy, Resources

if TYPE_CHECKING:
    from penstock.runtime.capacity.machine import Machine


class Limits(msgspec.Struct, frozen=True):
    """Limits that a project gives to what all runs of its store share. They take the place of what the code says."""

    #: pool -> how much there is of it
    pools: dict[str, int] = {}
    #: name of a task -> how many attempts at it may run at once
    tasks: dict[str, int] = {}
    #: tag -> how many attempts at tasks with that tag may run at once
    tags: dict[str, int] = {}
    #: name of a pipeline -> how many runs of it may be under way at once
    pipelines: dict[str, int] = {}


class Demand(NamedTuple):
    """What one attempt takes, cut down to what there is."""

    #: workers, or cores where attempts share a process
    slots: float
    #: bytes
    memory: int
    gpu: int
    #: pool -> how much of it; sorted, so that equal demands are equal
    pools: tuple[tuple[str, int], ...]
    priority: int
    #: it is more than the whole machine, and runs with nothing beside it
    alone: bool = False
    #: what it asks for that there is not; empty where it is all there
    excess: str = ""
    #: it runs beside others in one process, as a thread or a coroutine
    shared: bool = False

    @property
    def plain(self) -> bool:
        """Whether it takes a worker and nothing else."""
        return self.slots == 1 and not (self.memory or self.gpu or self.pools or self.alone or self.shared)


def pool_sizes(policy: Policy, task: str, limits: Limits) -> dict[str, int | None]:
    """The pools that an attempt takes a part of, with their sizes; None where only the store may know it."""
    found: dict[str, int | None] = {name: limits.pools.get(name) for name in policy.resources.pools}
    at_once = limits.tasks.get(task, policy.concurrency)
    if at_once is not None:
        found[f"task:{task}"] = at_once
    for tag in policy.tags:
        if tag in limits.tags:
            found[f"tag:{tag}"] = limits.tags[tag]
    return found


def demand_of(policy: Policy, task: str, memory: int, machine: Machine, slots: int, limits: Limits) -> Demand:
    """What an attempt takes of `slots` workers on a machine, with `memory` bytes for its process."""
    wanted = policy.resources
    pools = {name: wanted.pools.get(name, 1) for name in pool_sizes(policy, task, limits)}
    excess = excess_of(policy, memory, machine)
    return Demand(
        slots=min(_share(policy), slots),
        memory=min(memory, machine.memory) if memory else 0,
        gpu=min(wanted.gpu, len(machine.gpus)) if wanted.gpu else 0,
        pools=tuple(sorted(pools.items())),
        priority=policy.priority,
        alone=bool(excess),
        excess=excess,
        shared=policy.run_in != "process",
    )


def _share(policy: Policy) -> float:
    """The workers that an attempt takes; where it shares one with others, its part of a core."""
    cpu = policy.resources.cpu
    if policy.run_in == "process":
        return max(1.0, cpu)
    # in a thread or a loop, what asks for nothing in particular mostly waits
    return 0.0 if cpu == Resources().cpu else cpu


def excess_of(policy: Policy, memory: int, machine: Machine) -> str:
    """What of a demand is more than the whole machine has, in words; empty where nothing is."""
    wanted = policy.resources
    told: list[str] = []
    if wanted.cpu > max(1.0, machine.cores):
        told.append(f"{wanted.cpu:g} cores of {machine.cores:g}")
    if memory and memory > machine.memory:
        told.append(f"{size(memory)} of memory of {size(machine.memory)}")
    if wanted.gpu and wanted.gpu > len(machine.gpus):
        told.append(f"{counted(wanted.gpu, 'GPU')} of {len(machine.gpus)}")
    return ", ".join(told)


def check(graph: Graph, machine: Machine, pools: Mapping[str, int]) -> None:
    """Refuse what could never be met, before anything runs. `pools` are all there are, with their sizes.

    Raises DefinitionError for a pool that nobody gave a size, and for a `strict` demand that is more than the whole
    machine, or than the whole of a pool.
    """
    check_nodes(graph.nodes, graph.tasks, machine, pools)


def check_nodes(nodes: Iterable[Node], tasks: Mapping[str, Task], machine: Machine, pools: Mapping[str, int]) -> None:
    """Refuse nodes, with all that are inside of them, that could never run as they ask. See `check`."""
    for node in nodes_of(nodes, tasks):
        wanted = node.policy.resources
        if wanted.pools or wanted.strict:
            _check_node(node, machine, pools)


def _check_node(node: Node, machine: Machine, pools: Mapping[str, int]) -> None:
    wanted = node.policy.resources
    for name, amount in wanted.pools.items():
        if name not in pools:
            raise DefinitionError(
                f"{node.id!r} takes {amount} of the pool {name!r}, and nobody has said how large that is",
                where=str(node.location),
                remedy=f"Give it a size: penstock pools set {name}={max(amount, 4)}, or {name} = {max(amount, 4)} under "
                "[tool.penstock.pools] in pyproject.toml.",
            )
        if wanted.strict and amount > pools[name]:
            raise DefinitionError(
                f"{node.id!r} takes {amount} of the pool {name!r}, which has {pools[name]}",
                where=str(node.location),
                remedy="Ask for less, make the pool larger, or leave `strict` out: it then runs when the pool is all free.",
            )
    excess = excess_of(node.policy, wanted.memory, machine) if wanted.strict else ""
    if excess:
        raise DefinitionError(
            f"{node.id!r} asks for {excess} on this machine",
            where=str(node.location),
            remedy="Run it where there is more, or leave `strict` out: it then runs alone with what there is.",
        )


def nodes_of(nodes: Iterable[Node], tasks: Mapping[str, Task]) -> Iterable[Node]:
    """Nodes with all that are inside of them."""
    for node in nodes:
        yield node
        task = tasks.get(node.task)
        # of a Struct, `isinstance` takes several times as long to say no
        if task is not None and type(task.action) is PipelineAction:
            yield from nodes_of(task.action.nodes, tasks)


def counted(number: float, noun: str) -> str:
    """`1 GPU`, `2 GPUs`, `0.5 cores`."""
    return f"{number:g} {noun}" if number == 1 else f"{number:g} {noun}s"
